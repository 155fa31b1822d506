"""Distillation: a student learns a teacher's distribution of each next token."""
