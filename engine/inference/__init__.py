"""What a model gives for files: embeddings, frames, emotion labels; no archive needed."""
