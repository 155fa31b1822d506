"""Mixtures by `onggi mix` itself, of some hundred short texts, for the tiny models of `tests.training.tiny`."""

from pathlib import Path
from typing import Any

from tests.curation.mixture import small

LENGTH = 64


def make_mixture(folder: Path, tokenizer: Path, n: int = 160, **changes: Any) -> Path:
    """Mix n Korean and n English documents into sequences of 64 tokens; the folder of the mixture.

    Args:
        folder: where to; the manifest and the texts lie in it, too.
        tokenizer: folder of the model's.
        n: documents of each source.
        changes: of the manifest, as `stages`.
    """
    for name, words in (("ko", small.KOREAN), ("en", small.ENGLISH)):
        small.parquet(folder / "data" / f"{name}.parquet", small.rows(n, name, words))
    settings: dict[str, Any] = {"tokenizer": {"path": str(tokenizer), "engine": "library"}, "sequence_length": LENGTH}
    small.mixed(small.manifest(folder, **(settings | changes)))
    return folder / "out"
