"""Python client of the HTTP service."""
