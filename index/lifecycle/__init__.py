"""An index is built, saved, kept fresh and verified."""
