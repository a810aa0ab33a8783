"""``Library``, the facade that command line, API and notebooks call, by subject."""
