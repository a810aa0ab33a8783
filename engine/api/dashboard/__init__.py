"""The dashboard: a page for people over the same API that programs use."""
