"""Continued pre-training: packed sequences of token mixtures, in which documents do not see each other."""
