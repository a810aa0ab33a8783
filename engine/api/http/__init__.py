"""HTTP parts that all routes share: bodies, problems, keys, limits, ETags."""
