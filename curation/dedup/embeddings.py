"""Embeddings: the derived table from which documents of like meaning are found; any sentence encoder does."""

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from classifiers import encoder as encoders
from classifiers.encoder import LoadedEncoder, SentenceEncoder, find_encoder, load_encoder
from curation.derive import Derived
from manifests.code import code_digest
from manifests.schema import SemanticDedup

FIELD = "dedup.semantic.model"
CODE = ("classifiers/encoder.py", "curation/dedup/embeddings.py")


@dataclass(frozen=True)
class Encoder(SentenceEncoder):
    """The encoder of a manifest; pickles to a worker, which loads the model once."""

    @staticmethod
    def of(settings: SemanticDedup) -> "Encoder":
        """The encoder that a manifest names; its path is absolute.

        Raises:
            RequestError: there is no such folder, it holds no safetensors, or it needs what is not read here.
        """
        found = find_encoder(
            settings.model, FIELD, settings.pooling, settings.max_tokens, settings.prefix, settings.batch_tokens
        )
        return Encoder(**asdict(found))

    @property
    def fingerprint(self) -> str:
        """Changes when an embedding of the same text would."""
        settings = f"{self.digest} {self.pooling} {self.max_tokens} {self.prefix}"
        return xxhash.xxh3_64_hexdigest(f"{settings} {code_digest(*CODE)}".encode())

    @property
    def schema(self) -> pa.Schema:
        """Of the table `embeddings`: one row per different text, ordered by its digest; vectors are of length 1."""
        return pa.schema(
            [
                pa.field("text_digest", pa.string(), nullable=False),
                pa.field("embedding", pa.list_(pa.float16(), self.n_dims), nullable=False),
            ]
        )

    @property
    def derived(self) -> Derived:
        """The table `embeddings` of a run."""
        return Derived("embeddings", self.fingerprint, ["text_digest", "text"], self.schema, _EmbeddingsOf(self))


@dataclass(frozen=True)
class _EmbeddingsOf:
    encoder: Encoder

    def __call__(self, part: pa.Table) -> pa.Table:
        rows = pl.DataFrame(pl.from_arrow(part)).filter(pl.col("text").str.contains(r"\S"))
        rows = rows.unique("text_digest").sort("text_digest")
        vectors = embed(rows["text"], self.encoder)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.encoder.n_dims)
        return pa.table([rows["text_digest"].to_arrow().cast(pa.string()), column], schema=self.encoder.schema)


def check_installed() -> None:
    """Refuse to start without torch and transformers.

    Raises:
        RequestError: tells how to install them.
    """
    encoders.check_installed("dedup.semantic", "semantic")


def embed(texts: pl.Series, encoder: Encoder) -> npt.NDArray[np.float16]:
    """The embeddings (n, n_dims) of n texts, each of length 1; of a text the first `max_tokens` tokens count.

    Raises:
        RequestError: the model cannot be loaded.
        RunError: the model gives numbers that are none.
    """
    if not len(texts):
        return np.empty((0, encoder.n_dims), np.float16)
    vectors = _load(encoder).vectors(texts.to_arrow().cast(pa.large_string()))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return vectors.astype(np.float16)


@lru_cache(1)
def _load(encoder: Encoder) -> LoadedEncoder:
    """The encoder, once per process."""
    check_installed()
    return load_encoder(encoder, FIELD)
