"""Routes of the HTTP service, a file for each noun."""
