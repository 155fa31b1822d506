"""What a run is: its declaration, the contracts of its data, its data on disk, its record, and where it executes."""

from manifests.code import use_kernel_cache

use_kernel_cache()  # Numba reads it when it is imported, and every package here imports this one first
