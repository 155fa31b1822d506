"""Sentences hidden in long texts."""
