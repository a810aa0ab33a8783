"""Bodies of requests and answers as pydantic models, a file for each noun."""
