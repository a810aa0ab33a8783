"""Audio encoders of Hugging Face, through transformers: ``hf:NAME``."""
