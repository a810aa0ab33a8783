"""Fine-tuning of embedding models on labelled clips."""
