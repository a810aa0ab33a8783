"""An archive as files, and back."""
