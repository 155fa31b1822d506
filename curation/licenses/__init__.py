"""Which licence a repository and each of its files is under, as SPDX expressions, and what follows."""
