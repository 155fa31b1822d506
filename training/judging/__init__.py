"""Judged chat benchmarks: a model answers turn by turn, a judge scores what it said."""
