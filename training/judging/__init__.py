"""Answers that a judge scores."""
