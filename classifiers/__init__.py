"""Models that judge text."""

import manifests  # noqa: F401  # sets where Numba keeps compiled kernels, before any is imported
