"""What the HTTP service does behind its routes: jobs, uploads, keys."""
