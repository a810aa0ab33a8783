"""The built-in model ``voice``."""
