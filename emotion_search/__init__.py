"""emotion-search: search archives of speech by the emotion in the voice."""
