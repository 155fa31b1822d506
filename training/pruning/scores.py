"""Importance as it is kept: numbers by axis, and the file that they lie in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from manifests.errors import RequestError

F64 = NDArray[np.float64]
AXES = ("hidden", "mlp", "heads")


@dataclass(frozen=True, eq=False)
class Scores:
    """Importance by norm or layer; more is more important."""

    hidden: F64
    """(norms, hidden channels): the norms of the first layer, of the second, ..., and the last norm."""
    mlp: F64
    """(layers, neurons)."""
    heads: F64
    """(layers, heads of queries)."""
    n_samples: int = 0
    n_tokens: int = 0

    def save(self, path: Path) -> None:
        """Write them whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        counts = {"n_samples": str(self.n_samples), "n_tokens": str(self.n_tokens)}
        save_file({name: np.ascontiguousarray(getattr(self, name)) for name in AXES}, partial, metadata=counts)
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read them.

        Raises:
            RequestError: they are not there.
        """
        try:
            with safe_open(path, "np") as file:
                counts = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in AXES}
        except (OSError, SafetensorError) as error:
            raise RequestError(f"{path}: no scores of importance can be read: {error}") from error
        return cls(**arrays, n_samples=int(counts["n_samples"]), n_tokens=int(counts["n_tokens"]))
