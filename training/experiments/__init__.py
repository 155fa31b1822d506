"""Experiments: runs once per arm and seed, what they are compared by, and the ladder that does all once."""
