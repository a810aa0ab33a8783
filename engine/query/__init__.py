"""Query by example."""
