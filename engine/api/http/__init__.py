"""HTTP machinery that knows none of our nouns: bodies, problems, keys, limits, ETags."""
