"""Rows and vectors of an archive: its database, its FAISS index, search over both."""
