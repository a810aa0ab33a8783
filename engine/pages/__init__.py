"""HTML and PNG reports."""
