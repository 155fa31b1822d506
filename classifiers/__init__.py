"""Models that judge text."""
