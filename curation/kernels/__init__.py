"""Numba kernels over the UTF-8 buffers of Arrow text columns: no Python object per document, no allocation."""

from functools import partial

from numba import njit, uintp

# Compiled once and cached; other threads run meanwhile. Kernels borrow their arrays from Python and allocate nothing,
# so Numba need not count references, which at every call for a line or a word costs up to a third of the time.
kernel = partial(njit, nogil=True, cache=True, _nrt=False)

# `array[i]` is `array[i]` for an i that is never negative, without the code that negative ones would need.
at = uintp
