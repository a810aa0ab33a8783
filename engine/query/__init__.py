"""From examples to a query vector to hits."""
