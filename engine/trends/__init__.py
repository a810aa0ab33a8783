"""Emotion over a recording, and over days and weeks."""
