"""Narrower models of a model's own weights."""
