"""Small mixtures: a byte-level tokenizer made in the test, documents of made-up words, and manifests over them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from curation.mixture.pipeline import mix
from curation.mixture.record import MixtureRecord
from curation.mixture.survey import MixJob, prepare
from manifests.engine import HERE, Workers
from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from tests.curation.tokens.small import byte_level

ENGLISH = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "and",
    "then",
    "it",
    "reads",
    "documents",
    "of",
    "tokens",
]
KOREAN = [
    "한국어",
    "말뭉치를",
    "다듬는",
    "일은",
    "장을",
    "담그는",
    "일과",
    "같습니다",
    "문서를",
    "읽습니다",
    "안녕하세요",
]

Row = dict[str, Any]
Writer = Callable[[Path, Sequence[Row]], Path]


@dataclass(frozen=True)
class Document:
    """A document that a mixture may use: what an oracle is told of it."""

    text: str
    key: str = ""
    times: int = 1
    """In an epoch."""
    id: str | None = None
    """Of a document of a run, which has one already."""


def rows(n: int, seed: str, words: Sequence[str] = ENGLISH, n_words: tuple[int, int] = (1, 30)) -> list[Row]:
    """Documents with all columns that a source may have; no two are alike."""
    drawn = random.Random(seed)
    return [
        {
            "text": " ".join([f"{seed}{number}", *drawn.choices(words, k=drawn.randint(*n_words))]),
            "key": f"{seed}-{number}",
            "language": "ko" if words is KOREAN else "en",
            "license": ("CC-BY-4.0", "MIT", None)[number % 3],
            "score": number % 10 / 2,
        }
        for number in range(n)
    ]


def parquet(path: Path, of: Sequence[Row], row_group_size: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(of)), path, row_group_size=row_group_size)
    return path


def jsonl(path: Path, of: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in of))
    return path


def tokenizer(folder: Path) -> Path:
    """A folder with a byte-level tokenizer; made once."""
    return folder if (folder / "tokenizer.json").exists() else byte_level(folder)


def manifest(folder: Path, **changes: Any) -> Path:
    """A manifest in a folder, over `data/NAME.parquet` of two sources unless told otherwise."""
    sources = [{"name": name, "path": f"data/{name}.parquet", "category": name} for name in ("ko", "en")]
    settings = {
        "kind": "mixture",
        "name": "small",
        "tokenizer": {"path": "tokenizer", "engine": "library"},
        "sequence_length": 64,
        "sources": sources,
        "output": "out",
    }
    path = folder / "mix.yaml"
    path.write_text(yaml.safe_dump(settings | changes, allow_unicode=True), "utf-8")
    return path


def lay_out(folder: Path, n: int = 300, **changes: Any) -> Path:
    """A folder with a tokenizer, two sources of n documents and a manifest; returns the manifest's path."""
    tokenizer(folder / "tokenizer")
    for name, words in (("ko", KOREAN), ("en", ENGLISH)):
        parquet(folder / f"data/{name}.parquet", rows(n, name, words))
    return manifest(folder, **changes)


def job(path: Path, output: str | None = None, workers: Workers = HERE, overrides: Sequence[str] = ()) -> MixJob:
    loaded = load_kind(MixtureManifest, str(path), list(overrides))
    return prepare(loaded, str(path.parent), output, workers)


def mixed(path: Path, output: str | None = None, workers: Workers = HERE, *overrides: str) -> MixtureRecord:
    """The record of a mixture, made."""
    return mix(job(path, output, workers, overrides))


def documents(of: Sequence[Row], key: str | None = None, **more: Any) -> list[Document]:
    """What the oracle is told of rows that may be used."""
    return [Document(row["text"], str(row[key] or "") if key else "", **more) for row in of if row["text"]]


def stored(folder: Path) -> Mapping[str, Any]:
    """Modification times and inodes of the files of a folder."""
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.iterdir())}
