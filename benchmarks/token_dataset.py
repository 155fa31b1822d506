"""How fast a mixture is read for training and exported: sequences per second of one process, and memory.

    python -m benchmarks.token_dataset [MIXTURE] [--sequences 20000] [--length 4096]

Without a mixture, one of random ids is written first, laid out as `onggi mix` does.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from curation.mixture.export import TOKENS, Export, export
from curation.mixture.record import MixtureRecord
from manifests.contracts import tokens_schema, versioned
from manifests.store import Folder
from tests.curation.mixture.mixtures import write_mixture
from training.token_batches import TokenBatches
from training.token_dataset import TokenDataset


def random_mixture(folder: Path, n_sequences: int, length: int, n_ids: int = 100_000) -> None:
    """Sequences of four documents each, in row groups of a million tokens and files of 256 MiB of ids."""
    write_mixture(folder, length=length, n_documents=(2,))
    schema, random = versioned(tokens_schema(length), "tokens"), np.random.default_rng(0)
    per_group, per_file = max(1, (1 << 20) // length), max(1, (1 << 26) // length)
    for path in (folder / "tokens").iterdir():
        path.unlink()
    for number, first in enumerate(range(0, n_sequences, per_file)):
        path, end = folder / "tokens" / f"part-{number:05d}.parquet", min(first + per_file, n_sequences)
        how = {"column_encoding": {"input_ids.list.element": "BYTE_STREAM_SPLIT"}, "use_dictionary": ["stage"]}
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, **how) as writer:
            for start in range(first, end, per_group):
                n = min(per_group, end - start)
                writer.write_table(_rows(start, n, length, random, n_ids).cast(schema))
    record = Folder(str(folder)).read_json("run.json")
    record["outputs"], record["tokenizer"]["vocab_size"] = [], n_ids
    record["stages"] = [{**record["stages"][0], "first_sequence": 0, "n_sequences": n_sequences}]
    Folder(str(folder)).write_json("run.json", MixtureRecord.model_validate(record).model_dump(mode="json"))


def _rows(first: int, n: int, length: int, random: np.random.Generator, n_ids: int) -> pa.Table:
    # as skewed as ids of a tokenizer are, so that they compress about as well
    ids = np.minimum(random.zipf(1.2, n * length), n_ids - 1).astype(np.uint32)
    quarter = length // 4
    starts = np.tile(np.arange(4, dtype=np.int32) * quarter, n)
    columns = {
        "sequence": np.arange(first, first + n),
        "stage": ["stage1"] * n,
        "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids), length),
        "n_tokens": np.full(n, length, np.int32),
        "cross_document": np.zeros(n, bool),
        "document_starts": starts.reshape(n, 4).tolist(),
        "document_ids": [[random.bytes(16) for _ in range(4)] for _ in range(n)],
        "document_copies": [[0] * 4] * n,
        "document_offsets": [[0] * 4] * n,
        "source_of_span": [["ko"] * 4] * n,
    }
    schema = tokens_schema(length)
    arrays = [columns[field.name] for field in schema]
    made = [
        array.cast(field.type) if isinstance(array, pa.Array) else pa.array(array, field.type)
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.Table.from_arrays(made, schema=schema)


def report(what: str, n_sequences: int, started: float, length: int) -> None:
    seconds = time.perf_counter() - started
    memory = psutil.Process().memory_info().rss / 1e6
    print(
        f"{what:28} {n_sequences / seconds:9,.0f} sequences/s {n_sequences * length / seconds / 1e6:8.1f} M tokens/s "
        f"{memory:6.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mixture", nargs="?")
    parser.add_argument("--sequences", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=4096)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.mixture or f"{scratch}/mixture"
        if not chosen.mixture:
            random_mixture(Path(folder), chosen.sequences, chosen.length)
        started = time.perf_counter()
        dataset = TokenDataset(folder)
        length = dataset.sequence_length
        print(f"{len(dataset):,} sequences of {length:,}; opened in {time.perf_counter() - started:.3f} s")
        for name in ("read once", "read again"):
            started = time.perf_counter()
            for number in range(len(dataset)):
                dataset[number]
            report(name, len(dataset), started, length)
        started = time.perf_counter()
        for _ in TokenBatches(dataset, 8):
            pass
        report("batches of 8", len(dataset), started, length)
        numbers = np.random.default_rng(0).integers(0, len(dataset), 300).tolist()
        started = time.perf_counter()
        for number in numbers:
            dataset[number]
        report("at random", len(numbers), started, length)
        for name in TOKENS:
            started = time.perf_counter()
            export(Export(folder, name, f"{scratch}/{name}"))
            report(f"export {name}", len(dataset), started, length)


if __name__ == "__main__":
    main()
