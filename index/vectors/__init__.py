"""Geometry of vectors without SQL: kinds of index, spaces, exact top k from estimates."""
