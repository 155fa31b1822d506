"""Language identification: accuracy on data/langid by half, kind and source, false alarms on data/text, speed.

    python benchmarks/language.py [--data ../shared/data] [--out benchmarks/results/language.md]

Everything was tuned on rows and documents whose xxh3(id) is even; the published figures are those of the odd half.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

import fasttext.FastText
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from classifiers.fasttext_models import FastTextModel, sample_windows
from classifiers.language import LID176, LanguageIdentifier

TAGS = ("ko", "en", "zxx", "ko-Latn")
SPEED_FILES = ("en_books_misc", "en_ms_cpp", "ko_petitions", "ko_ms_cpp")
SPEED_MIN_CHARS, SPEED_DOCS, SPEED_MAX_CHARS = 2000, 1500, 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "language.md")
    options = arguments.parse_args()
    identifier, lid176 = LanguageIdentifier(), FastTextModel(LID176)
    rows = pq.read_table(options.data / "langid" / "labelled.parquet").to_pylist()
    found = identify(identifier, [row["text"] for row in rows])
    alone = [lid176.labels[i] for i in lid176.predict(column([row["text"] for row in rows])).label[:, 0]]
    parts = [
        "# Language identification",
        "Made by `benchmarks/language.py`. Tuned on the even half (xxh3 of the id); published: the odd half.",
        "## data/langid",
        halves_table(rows, alone, found),
        "## Odd half by kind: rows by what they were called",
        confusion_table([row for row in rows if is_odd(row["id"])], of_odd(rows, found), "kind"),
        "## Odd half by source",
        confusion_table([row for row in rows if is_odd(row["id"])], of_odd(rows, found), "source"),
        "## data/text, odd documents: what they were called",
        "`right`: the language of the source's folder (documents without one are left out). These files hold API"
        " reference and notebooks, some of them nothing but code, and Korean folders hold untranslated pages"
        " (`untranslated`: called English, with less than 15% Hangul letters), so not all of the rest is wrong.",
        text_table(identifier, options.data / "text"),
        "## Speed",
        f"One process, one core, median of three, MB of whole text per second of processor time; documents of at"
        f" least {SPEED_MIN_CHARS:,} characters. The plain loop calls fastText on their first {SPEED_MAX_CHARS:,}.",
        speed_table(identifier, options.data / "text"),
        "fastText's part alone: lid.176 on the lower-cased samples of those documents (at most"
        f" {SPEED_MAX_CHARS:,} characters each), the library's `multilinePredict` beside our kernels; MB of samples"
        " per second of processor time.",
        predict_table(lid176, options.data / "text"),
    ]
    report = "\n\n".join(parts) + "\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(report)
    print(report)


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def identify(identifier: LanguageIdentifier, texts: list[str]) -> list[str]:
    return identifier.identify(column(texts)).language.to_pylist()


def is_odd(name: str) -> bool:
    return xxhash.xxh3_64_intdigest(name.encode()) % 2 == 1


def of_odd(rows: list[dict[str, str]], found: list[str]) -> list[str]:
    return [tag for row, tag in zip(rows, found, strict=True) if is_odd(row["id"])]


def halves_table(rows: list[dict[str, str]], alone: list[str], found: list[str]) -> str:
    truth = [row["lang"] for row in rows]
    odd = np.array([is_odd(row["id"]) for row in rows])
    lines = [["", "lid.176 alone, odd", "Onggi, even", "**Onggi, odd**", "odd - even"]]
    measures = [("accuracy", accuracy)] + [(f"F1 {tag}", lambda t, f, tag=tag: f1(t, f, tag)) for tag in TAGS]
    for name, measure in measures:
        pick = [measure(*both(truth, tags, half)) for tags, half in ((alone, odd), (found, ~odd), (found, odd))]
        lines.append([name, f"{pick[0]:.4f}", f"{pick[1]:.4f}", f"**{pick[2]:.4f}**", f"{pick[2] - pick[1]:+.4f}"])
    lines.append(["rows", f"{odd.sum():,}", f"{(~odd).sum():,}", f"{odd.sum():,}", ""])
    return table(lines)


def both(truth: list[str], found: list[str], half: np.ndarray) -> tuple[list[str], list[str]]:
    kept = np.flatnonzero(half)
    return [truth[i] for i in kept], [found[i] for i in kept]


def accuracy(truth: list[str], found: list[str]) -> float:
    return sum(t == f for t, f in zip(truth, found, strict=True)) / len(truth)


def f1(truth: list[str], found: list[str], tag: str) -> float:
    hits = sum(t == f == tag for t, f in zip(truth, found, strict=True))
    return 2 * hits / max(truth.count(tag) + found.count(tag), 1)


def confusion_table(rows: list[dict[str, str]], found: list[str], by: str) -> str:
    """One line per (kind or source, true language); languages other than the four together."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row, tag in zip(rows, found, strict=True):
        lang = row["lang"] if row["lang"] in TAGS else "others"
        called = tag if tag in TAGS else "itself" if tag == row["lang"] else "another"
        counts.setdefault((row[by], lang), Counter())[called] += 1
    lines = [[by, "language", "rows", *TAGS, "itself", "another", "right"]]
    for (name, lang), called in sorted(counts.items()):
        n_rows, n_right = called.total(), called["itself" if lang == "others" else lang]
        cells = [str(called[tag] or "") for tag in (*TAGS, "itself", "another")]
        lines.append([name, lang, str(n_rows), *cells, f"{n_right / n_rows:.1%}"])
    return table(lines)


def text_table(identifier: LanguageIdentifier, folder: Path) -> str:
    names = ("right", "zxx", "ko-Latn", "untranslated", "ko", "en", "und", "another")
    lines = [["file", "documents", *names]]
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path, columns=["id", "text", "lang"]).to_pylist()
        rows = [row for row in rows if row["lang"] and is_odd(row["id"])]
        columns = identifier.identify(column([row["text"] for row in rows]))
        called: Counter[str] = Counter()
        for row, tag, hangul_frac in zip(
            rows, columns.language.to_pylist(), columns.hangul_frac.to_pylist(), strict=True
        ):
            untranslated = row["lang"] == "ko" and tag == "en" and hangul_frac < 0.15
            name = "right" if tag == row["lang"] else "untranslated" if untranslated else tag
            called[name if name in names else "another"] += 1
        lines.append([path.stem, f"{len(rows):,}", *(f"{called[name] / len(rows):.2%}" for name in names)])
    return table(lines)


def speed_table(identifier: LanguageIdentifier, folder: Path) -> str:
    peer = library()
    lines = [["file", "documents", "MB", "KB/document", "plain fastText loop", "**Onggi**", "ratio"]]
    for name in SPEED_FILES:
        arrow = speed_texts(folder / f"{name}.parquet")
        size_mb = pc.sum(pc.binary_length(arrow)).as_py() / 1e6
        identifier.identify(arrow.slice(0, 10))  # compiles
        plain = size_mb / processor_seconds(lambda: plain_loop(peer, arrow))  # noqa: B023
        ours = size_mb / processor_seconds(lambda: identifier.identify(arrow))  # noqa: B023
        size_kb = size_mb * 1e3 / len(arrow)
        cells = [f"{size_mb:.1f}", f"{size_kb:.1f}", f"{plain:.1f}", f"**{ours:.1f}**", f"{ours / plain:.2f}"]
        lines.append([name, f"{len(arrow):,}", *cells])
    return table(lines)


def predict_table(lid176: FastTextModel, folder: Path) -> str:
    peer = library()
    lines = [["file", "MB", "fastText", "**Onggi**", "ratio", "same label", "largest difference of score"]]
    for name in SPEED_FILES:
        samples = pc.utf8_lower(sample_windows(speed_texts(folder / f"{name}.parquet"), SPEED_MAX_CHARS))
        entries = [text.replace("\n", " ").replace("\r", " ") + "\n" for text in samples.to_pylist()]
        size_mb = pc.sum(pc.binary_length(samples)).as_py() / 1e6
        theirs = size_mb / processor_seconds(lambda: peer.f.multilinePredict(entries, 1, 0.0, "strict"))  # noqa: B023
        ours = size_mb / processor_seconds(lambda: lid176.predict(samples))  # noqa: B023
        top = lid176.predict(samples)
        names, scores = peer.f.multilinePredict(entries, 1, 0.0, "strict")
        same = [f"__label__{lid176.labels[i]}" == found[0] for i, found in zip(top.label[:, 0], names, strict=True)]
        difference = np.abs(top.score[:, 0] - np.minimum(np.concatenate(scores), 1)).max()
        cells = [f"{size_mb:.1f}", f"{theirs:.1f}", f"**{ours:.1f}**", f"{ours / theirs:.1f}"]
        lines.append([name, *cells, f"{np.mean(same):.2%}", f"{difference:.0e}"])
    return table(lines)


def speed_texts(path: Path) -> pa.LargeStringArray:
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    return column([text for text in texts if len(text) >= SPEED_MIN_CHARS][:SPEED_DOCS])


def library() -> fasttext.FastText._FastText:
    return fasttext.FastText._FastText(model_path=str(LID176))


def plain_loop(peer: fasttext.FastText._FastText, arrow: pa.LargeStringArray) -> None:
    for text in arrow.to_pylist():
        peer.f.predict(text[:SPEED_MAX_CHARS].replace("\n", " ") + "\n", 1, 0.0, "strict")


def processor_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return median(seconds)


def table(lines: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])


if __name__ == "__main__":
    main()
