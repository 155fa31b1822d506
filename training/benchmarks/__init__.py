"""Benchmarks that are known: what is asked, in which form, and how what is said is scored."""
