"""The normal form: how fast, what it changes in real text, and how much planted mojibake it restores.

python benchmarks/normalize.py --data ../shared/data
"""

import argparse
import statistics
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ftfy
import polars as pl
import pyarrow as pa

from curation.normalize import NORMAL_FORM, normalize, normalize_column

RESULT = Path(__file__).parent / "results" / "normalize.md"
N_DAMAGED_PER_FILE = 300
DAMAGES: dict[str, tuple[str, str]] = {
    "UTF-8 read as Latin-1": ("utf-8", "latin-1"),
    "UTF-8 read as Windows-1252": ("utf-8", "sloppy-windows-1252"),
    "EUC-KR read as Latin-1": ("euc_kr", "latin-1"),
}


def read(data: Path, pattern: str) -> pa.LargeStringArray:
    rows = pl.concat([pl.read_parquet(path, columns=["text"]) for path in sorted((data / "text").glob(pattern))])
    return pa.array(rows["text"].to_list(), pa.large_string())


def megabytes_per_second(texts: pa.LargeStringArray, work: Callable[[pa.LargeStringArray], object]) -> float:
    size_mb = len(texts.buffers()[2]) / 1e6
    seconds = []
    for _ in range(3):
        start = time.process_time()
        work(texts)
        seconds.append(time.process_time() - start)
    return size_mb / statistics.median(seconds)


def speeds(korean: pa.LargeStringArray, english: pa.LargeStringArray) -> list[str]:
    """Normal text as it comes, text without any change to make, and text where every document has to change."""
    normalize_column(korean[:10])
    lines = ["| text | MB/s, column | MB/s, ftfy.fix_text a document |", "|---|---:|---:|"]
    for name, texts in (("Korean", korean), ("English", english)):
        clean = normalize_column(texts)
        windows = pa.array([text.replace("\n", "\r\n") for text in texts.to_pylist()], pa.large_string())
        peer = texts[:: max(1, len(texts) // 500)]
        peer = pa.array(peer.to_pylist(), pa.large_string())
        ftfy_speed = megabytes_per_second(peer, lambda column: [ftfy.fix_text(text) for text in column.to_pylist()])
        for kind, column in (("as it is", texts), ("already normal", clean), ("every line end \\r\\n", windows)):
            peer_speed = f"{ftfy_speed:.1f}" if kind == "as it is" else ""
            lines.append(f"| {name}, {kind} | {megabytes_per_second(column, normalize_column):,.0f} | {peer_speed} |")
    return lines


def kind_of(character: str) -> str:
    if unicodedata.category(character) == "Cc":
        return "control characters, line ends"
    if unicodedata.category(character) in ("Zs", "Zl", "Zp"):
        return "space characters"
    if unicodedata.category(character) == "Cf":
        return "invisible (U+200B, U+FEFF, U+00AD, U+2060)"
    if 0xFF01 <= ord(character) <= 0xFF5E:
        return "fullwidth ASCII"
    if 0xFFA0 <= ord(character) <= 0xFFDC:
        return "halfwidth Hangul"
    if 0xF900 <= ord(character) <= 0xFAFF:
        return "hanja twice encoded (NFC)"
    return "other"


def changes(data: Path) -> list[str]:
    """Which characters of data/text the normal form takes away, by kind, and whether any line was repaired."""
    n_characters, n_documents, n_all = Counter[str](), Counter[str](), 0
    for path in sorted((data / "text").glob("*.parquet")):
        before = read(data, path.name)
        after = normalize_column(before)
        n_all += len(before)
        for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True):
            if old != new:
                lost = Counter(kind_of(c) for c in (Counter(old) - Counter(new)).elements())
                n_characters += lost
                n_documents.update(lost.keys())
                n_documents["any change"] += 1
    lines = [f"Of {n_all:,} documents:", "", "| what is replaced | documents | characters |", "|---|---:|---:|"]
    for kind, n in n_documents.most_common():
        lines.append(f"| {kind} | {n:,} | {n_characters[kind] or n_characters.total():,} |")
    return lines


def restored(data: Path, pattern: str, damage: str) -> tuple[int, int]:
    """(documents restored exactly, documents damaged), of those that the damage can happen to."""
    right, wrong = DAMAGES[damage]
    n_right = n_damaged = 0
    for path in sorted((data / "text").glob(pattern)):
        texts = [normalize(text) for text in read(data, path.name).to_pylist()[:N_DAMAGED_PER_FILE]]
        for text in texts:
            try:
                damaged = text.encode(right).decode(wrong)
            except UnicodeEncodeError:
                continue
            if damaged != text:
                n_damaged += 1
                n_right += normalize(damaged) == text
    return n_right, n_damaged


def repairs(data: Path) -> list[str]:
    lines = ["| damage | language | documents | restored exactly |", "|---|---|---:|---:|"]
    for damage in DAMAGES:
        for language, pattern in (("Korean", "ko_*.parquet"), ("English", "en_*.parquet")):
            n_right, n_damaged = restored(data, pattern, damage)
            if n_damaged and not (damage.startswith("EUC") and language == "English"):
                lines.append(f"| {damage} | {language} | {n_damaged:,} | {n_right / n_damaged:.1%} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    sections = [
        f"# The normal form {NORMAL_FORM}\n\nWritten by `benchmarks/normalize.py`.\n",
        "## Speed\n\nOne core, processor time, median of 3.\n",
        *speeds(read(data, "ko_*.parquet"), read(data, "en_*.parquet")),
        "\n## What changes in real text (data/text)\n",
        *changes(data),
        "\n## Planted mojibake\n",
        f"The first {N_DAMAGED_PER_FILE} documents of each file of data/text that have a character to damage.\n",
        *repairs(data),
    ]
    text = "\n".join(sections) + "\n"
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
