"""The computer itself: processor cores, threads, freed memory."""
