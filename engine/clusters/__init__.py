"""Clusters and maps of an archive: what lies together, what it has in common, how it looks."""
