"""Text to measure on: seeded samples of the development corpora, and any amount of their sentences reshuffled."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261121
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string())])
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def texts_of(data: Path, language: str) -> list[tuple[str, str]]:
    """(id, text) of all documents of `data/text` whose files are in this language, in a fixed order."""
    found = []
    for path in sorted((data / "text").glob(f"{language}_*.parquet")):
        table = pq.read_table(path, columns=["id", "text"])
        found += zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
    return found


def write_sample(data: Path, language: str, size_bytes: int, path: Path) -> int:
    """Write a seeded sample of whole documents of about `size_bytes` of text; returns the bytes of text in it."""
    documents = texts_of(data, language)
    random.Random(SEED).shuffle(documents)
    chosen, total = [], 0
    for name, text in documents:
        if total >= size_bytes:
            break
        chosen.append((name, text))
        total += len(text.encode())
    ids, texts = zip(*chosen, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table([pa.array(ids), pa.array(texts, pa.large_string())], schema=SCHEMA), path)
    return total


def write_reshuffled(data: Path, size_bytes: int, path: Path, file_bytes: int = 256 << 20) -> None:
    """Write documents of sentences drawn by seed from all of `data/text`, as Parquet files in the folder `path`."""
    sentences = [
        [part for _, text in texts_of(data, language) for part in SENTENCE_END.split(text) if len(part) > 20]
        for language in ("ko", "en")
    ]
    rng = random.Random(SEED)
    path.mkdir(parents=True, exist_ok=True)
    writer, written, in_file, number = None, 0, 0, 0
    while written < size_bytes:
        batch = [_document(rng, sentences[rng.randrange(2)]) for _ in range(1000)]
        size = sum(len(text.encode()) for text in batch)
        if writer is None:
            writer = pq.ParquetWriter(path / f"{number:03d}.parquet", SCHEMA, compression="zstd")
        ids = [f"{written}-{i}" for i in range(len(batch))]
        writer.write_table(pa.table([pa.array(ids), pa.array(batch, pa.large_string())], schema=SCHEMA))
        written, in_file = written + size, in_file + size
        if in_file >= file_bytes:
            writer.close()
            writer, in_file, number = None, 0, number + 1
    if writer:
        writer.close()


def _document(rng: random.Random, sentences: list[str]) -> str:
    return "\n".join(" ".join(rng.choices(sentences, k=rng.randint(1, 5))) for _ in range(rng.randint(3, 8)))


def markdown(header: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def publish(name: str, text: str) -> None:
    """Print a result and keep it under `benchmarks/results`."""
    print(text)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(text)
