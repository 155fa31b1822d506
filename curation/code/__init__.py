"""Repositories and archives of code: which files there are, in what language, made by whom."""
