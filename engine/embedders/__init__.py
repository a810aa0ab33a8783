"""Embedding models: the protocol, finding and loading them."""
