"""From an audio file, or a stretch of one, to samples, windows and speech."""
