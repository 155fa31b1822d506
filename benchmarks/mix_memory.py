"""Peak memory of `onggi mix` at 10 MB to 2 GB of text: it may not follow the size of the input.

    python benchmarks/mix_memory.py --tokenizer FOLDER [--sizes-mb 10 100 500 2000] [--workdir FOLDER] [--write]

The input is all of `data/text`, again and again, in each round with other words: Latin letters are exchanged for one
another and common syllables for others, so that neither documents nor words are known from the round before. It is
written as Parquet, half of it in each of two sources, and mixed in two stages with a transition. The peak is the
resident memory of the whole process tree, sampled every 20 ms.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from memory import watch
from mix_peers import end_of_text
from sample_text import SCHEMA, markdown, publish, texts_of

ROOT = Path(__file__).resolve().parent.parent
ROWS_PER_GROUP = 2000
FILE_BYTES = 64 << 20
"""Text per file."""
COMMON = "이다는에의을가하고지로도기한사"
"""Syllables that half of all Korean words have one of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of a tokenizer.json")
    parser.add_argument("--sizes-mb", type=int, nargs="+", default=[10, 100, 500, 2000])
    parser.add_argument("--workdir", type=Path, help="where inputs and outputs go; by default a temporary folder")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    tokenizer = options.tokenizer.resolve()
    rows, peaks = [], []
    for size in options.sizes_mb:
        with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
            write_inputs(options.data, size * 10**6, Path(folder) / "in")
            manifest = Path(folder) / "mix.yaml"
            manifest.write_text(yaml.safe_dump(mixture(tokenizer, size)))
            peak, seconds = watch([sys.executable, "-m", "onggi", "mix", str(manifest)])
            record = orjson.loads((Path(folder) / "out/run.json").read_bytes())
        peaks.append(peak)
        n_tokens = record["counts"]["tokens"]
        rows.append(
            [
                f"{size:,}",
                f"{n_tokens / 1e6:,.1f}",
                f"{peak / 2**20:,.0f}",
                f"{peak / peaks[0]:.2f}",
                f"{seconds:.0f}",
            ]
        )
        print(rows[-1], file=sys.stderr, flush=True)
    table = markdown(["input MB", "million tokens", "peak MiB", "times the first", "seconds"], rows)
    report = f"# Peak memory of `onggi mix`\n\nMade by `benchmarks/mix_memory.py`.\n\n{table}"
    if options.write:
        publish("mix_memory", report)
    else:
        print(report)


def mixture(tokenizer: Path, size_mb: int) -> dict[str, object]:
    """Two stages with a transition, which take nearly all there is: text has 3 to 5 bytes per token."""
    n_tokens = size_mb * 10**6 // 6
    return {
        "kind": "mixture",
        "name": "memory",
        "tokenizer": {"path": str(tokenizer), "eod": end_of_text(str(tokenizer / "tokenizer.json"))},
        "sequence_length": 4096,
        "sources": [{"name": name, "path": f"in/{name}-*.parquet", "category": name} for name in ("one", "two")],
        "stages": [
            {"name": "first", "tokens": n_tokens // 2, "weights": {"one": 60, "two": 40}},
            {
                "name": "second",
                "tokens": n_tokens // 2,
                "weights": {"one": 40, "two": 60},
                "transition": n_tokens // 8,
            },
        ],
        "validation": {"frac": 0.005},
        "output": "out",
    }


def write_inputs(data: Path, size_bytes: int, folder: Path) -> None:
    """Parquet files of both sources, document by document in turn."""
    folder.mkdir(parents=True)
    group, in_group, in_file, written, number, writer = list[tuple[str, str]](), 0, 0, 0, 0, None
    for name, text in documents(data):
        group.append((name, text))
        in_group += len(text.encode())
        done = written + in_group >= size_bytes
        if len(group) < ROWS_PER_GROUP and in_group < 8 << 20 and not done:
            continue
        if writer is None:
            path = folder / f"{('one', 'two')[number % 2]}-{number:03d}.parquet"
            writer = pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1)
        ids, texts = zip(*group, strict=True)
        writer.write_table(pa.table([pa.array(ids), pa.array(texts, pa.large_string())], schema=SCHEMA))
        in_file, written, group, in_group = in_file + in_group, written + in_group, [], 0
        if done or in_file >= min(FILE_BYTES, size_bytes // 4):
            writer.close()
            writer, in_file, number = None, 0, number + 1
        if done:
            return


def documents(data: Path) -> Iterator[tuple[str, str]]:
    """Documents without end, none of them twice."""
    known, turn = [one for language in ("ko", "en") for one in texts_of(data, language)], 0
    known = [one for start in range(97) for one in known[start::97]]  # both languages throughout
    while True:
        for name, text in known:
            yield f"{turn}-{name}", changed(text, turn)
        turn += 1


def changed(text: str, turn: int) -> str:
    """The text with other words: Latin letters are exchanged for one another, and common syllables for others."""
    if turn == 0:
        return text
    rng = random.Random(turn)
    vowels, consonants = "aeiou", "bcdfghjklmnpqrstvwxyz"
    others = [*rng.sample(vowels, len(vowels)), *rng.sample(consonants, len(consonants))]
    table = bytes.maketrans((vowels + consonants).encode(), "".join(others).encode())
    text = text.encode().translate(table).decode()  # a byte of a syllable is no letter
    for syllable in COMMON:
        text = text.replace(syllable, chr(rng.randrange(0xAC00, 0xD7A4)))
    return text


if __name__ == "__main__":
    main()
