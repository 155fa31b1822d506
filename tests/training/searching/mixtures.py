"""Small mixtures to search in: two sources of a hundred texts or more, and models that take no time."""

from pathlib import Path
from typing import Any

from curation.mixture.survey import MixJob, Surveyed, survey
from manifests.engine import HERE, Engine, Workers, silent
from manifests.schema_mixture import Proxy
from tests.curation.mixture import small

MODEL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "sequence_length": 32,
    "batch": 4,
    "tokens": 1280,
}
SEARCH: dict[str, Any] = {"proxies": 8, "candidates": 1000, "model": MODEL}


def lay_out(folder: Path, own: Path, n: int = 150, **changes: Any) -> Path:
    """A manifest over n Korean and n English documents, a tenth of which is held out; returns its path.

    Args:
        folder: where to.
        own: folder of the tokenizer.
        n: documents of each source.
        changes: of the manifest.
    """
    for name, words in (("ko", small.KOREAN), ("en", small.ENGLISH)):
        if not (folder / f"data/{name}.parquet").exists():
            small.parquet(folder / f"data/{name}.parquet", small.rows(n, name, words))
    defaults: dict[str, Any] = {
        "tokenizer": {"path": str(own), "engine": "library"},
        "validation": {"frac": 0.1},
        "search": SEARCH,
    }
    return small.manifest(folder, **(defaults | changes))


def job(path: Path, workers: Workers = HERE, *overrides: str) -> MixJob:
    return small.job(path, None, workers, overrides)


def surveyed(of: MixJob) -> Surveyed:
    return survey(of, Engine(), silent)


def proxy(**changes: Any) -> Proxy:
    return Proxy.model_validate(MODEL | changes)
