"""Audio, embeddings and the pipelines over them: ingest, query, serve."""
