"""Tasks: each a class that makes samples of a seed, by asking teachers."""
