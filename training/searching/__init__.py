"""Weights of a mixture, looked for with small models."""
