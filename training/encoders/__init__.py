"""Encoders made of language models."""
