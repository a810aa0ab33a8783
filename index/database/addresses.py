"""Addresses of objects in buckets, beside paths of files."""

OBJECTS = ("s3://", "gs://", "az://")
"""How they begin."""


def is_object(path: str) -> bool:
    """Whether a path is the address of an object in a bucket; no absolute path of a file is."""
    return path.startswith(OBJECTS)
