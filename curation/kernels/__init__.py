"""Numba kernels over the UTF-8 buffers of Arrow text columns: no Python object per document."""
