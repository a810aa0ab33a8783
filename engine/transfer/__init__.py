"""Export and import of an archive."""
