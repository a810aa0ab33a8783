"""Programs on clients that are generated from the service's document."""
