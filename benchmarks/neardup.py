r"""Near-duplicates: speed of the kernel, detection beside the formula, recall and precision, planted Korean edits.

Speed is processor time of one thread over the texts of data/text. Pairs are those of data/neardup; the similarity by
which they are sorted into tenths is the exact Jaccard of sets of strings, cut here in Python by the rules of
`curation/kernels/shingles.py`, not by its code.

    python benchmarks/neardup.py [--data ../shared/data]
"""

import argparse
import re
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

import manifests  # noqa: F401  (sets the cache of kernels before Numba is imported)
from curation.dedup.signatures import Banding, detection, shingle_sets, sign
from curation.kernels.clusters import count_common

RESULT = Path(__file__).parent / "results" / "neardup.md"
N_SEEDS = 50
JACCARD_MIN = 0.8
KOREAN = re.compile(r"[ᄀ-ᇿ\u3040-\u318f㐀-鿿ꥠ-\ua97f가-\ud7ff豈-\ufaffｦ-ￜ\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
PARTICLES = {
    "은": "는",
    "는": "은",
    "이": "가",
    "가": "이",
    "을": "를",
    "를": "을",
    "와": "과",
    "과": "와",
    "에": "로",
}


def column(frame: pl.DataFrame, name: str) -> pa.LargeStringArray:
    return frame[name].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())


def strings(text: str) -> set[str]:
    """The shingles of a text, as strings."""
    words = [word.lower() for word in re.findall(r"\w+", text)]
    found: set[str] = set()

    def add(segment: list[str], dense: bool) -> None:
        items: list[str] | str = "".join(segment) if dense else segment
        if segment:
            grams = [items[k : k + 5] for k in range(max(1, len(items) - 4))]
            found.update("".join(gram) if dense else "\0" + " ".join(gram) for gram in grams)

    if not KOREAN.search(text):
        add(words, False)
        return found
    first = at = 0
    while at < len(words):
        run = at
        while run < len(words) and not KOREAN.search(words[run]):
            run += 1
        if run - at >= 5:
            add(words[first:at], True)
            add(words[at:run], False)
            first = run
        at = run + 1
    add(words[first:], True)
    return found


def jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def verified(left: pa.LargeStringArray, right: pa.LargeStringArray, banding: Banding) -> np.ndarray:
    """Whether pairs are similar enough as the comparison of candidates sees it, by hashed shingles."""
    sets = [shingle_sets(texts, banding) for texts in (left, right)]
    found = np.zeros(len(left), bool)
    for i in range(len(left)):
        a, b = (np.asarray(part[i].values) for part in sets)
        n_common = count_common(a, b)
        found[i] = n_common >= JACCARD_MIN * (len(a) + len(b) - n_common)
    return found


def shares_band(left: pa.LargeStringArray, right: pa.LargeStringArray, banding: Banding) -> np.ndarray:
    return (sign(left, banding).bands == sign(right, banding).bands).any(axis=1)


def speed(data: Path) -> list[str]:
    lines = ["| text | MB | MB/s |", "|---|---|---|"]
    total = {"ko": [0.0, 0.0], "en": [0.0, 0.0]}
    for path in sorted((data / "text").glob("*.parquet")):
        texts = column(pl.read_parquet(path, columns=["text"]), "text")
        size_mb = texts.nbytes / 1e6 - len(texts) * 8e-6
        sign(texts[:1], Banding())
        best = min(timed(texts) for _ in range(3))
        language = path.name[:2]
        if language in total and not path.name.startswith("koen"):
            total[language][0] += size_mb
            total[language][1] += best
        lines.append(f"| {path.stem} | {size_mb:.1f} | {size_mb / best:.0f} |")
    for language, (size_mb, seconds) in total.items():
        lines.append(f"| **all {language}** | {size_mb:.1f} | **{size_mb / seconds:.0f}** |")
    return lines


def timed(texts: pa.LargeStringArray) -> float:
    started = time.thread_time()
    sign(texts, Banding())
    return time.thread_time() - started


def detection_table(pairs: pl.DataFrame, exact: np.ndarray) -> list[str]:
    left, right = column(pairs, "text_a"), column(pairs, "text_b")
    hits = np.stack([shares_band(left, right, Banding(seed=seed)) for seed in range(1, N_SEEDS + 1)])
    expected = np.array([detection(value) for value in exact])
    tenth = np.minimum((exact * 10).astype(int), 9)
    lines = [
        f"| language | tenth | pairs | formula | found, {N_SEEDS} seeds | difference | shipped | standard errors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for language in ("en", "ko"):
        for k in range(10):
            rows = (pairs["lang"].to_numpy() == language) & (tenth == k)
            if rows.any():
                mean, found, shipped = expected[rows].mean(), hits[:, rows].mean(), hits[0, rows].mean()
                spread = np.sqrt((expected[rows] * (1 - expected[rows])).sum()) / rows.sum()
                errors = (shipped - mean) / spread if spread > 1e-9 else 0.0
                lines.append(
                    f"| {language} | {k / 10:.1f}-{(k + 1) / 10:.1f} | {rows.sum()} | {mean:.4f} | {found:.4f} "
                    f"| {found - mean:+.4f} | {shipped:.4f} | {errors:+.2f} |"
                )
    return lines


def recall_table(pairs: pl.DataFrame, exact: np.ndarray) -> list[str]:
    left, right = column(pairs, "text_a"), column(pairs, "text_b")
    candidate, similar = shares_band(left, right, Banding()), verified(left, right, Banding())
    lines = [
        "| language | pairs with `jaccard_w5` >= .8 | recall, candidates | recall, compared | precision, candidates "
        "| precision, compared |",
        "|---|---|---|---|---|---|",
    ]
    for language in ("en", "ko"):
        of_language = pairs["lang"].to_numpy() == language
        wanted = of_language & (pairs["jaccard_w5"].to_numpy() >= JACCARD_MIN)
        true = exact >= JACCARD_MIN
        before, after = of_language & candidate, of_language & candidate & similar
        lines.append(
            f"| {language} | {wanted.sum()} | {candidate[wanted].mean():.4f} "
            f"| {(candidate & similar)[wanted].mean():.4f} | {true[before].mean():.4f} | {true[after].mean():.4f} |"
        )
    return lines


def planted_table(data: Path, n_texts: int = 1000) -> list[str]:
    """Real Korean texts and edited copies of them."""
    names = ("ko_petitions", "ko_books_misc", "ko_wiki_korquad", "ko_ms_cpp", "ko_docs_mixed")
    texts = pl.concat([pl.read_parquet(data / f"text/{name}.parquet", columns=["text"]) for name in names])
    long = texts.filter(pl.col("text").str.len_chars() >= 500).unique(maintain_order=True)
    originals = long.sample(n_texts, seed=0)["text"].to_list()
    rng = np.random.default_rng(0)
    edits = {
        "10% of particles swapped": [swap_particles(text, rng, 0.1) for text in originals],
        "5% of spaces dropped": [drop_spaces(text, rng, 0.05) for text in originals],
    }
    lines = ["| edit | texts | changed | candidates | compared |", "|---|---|---|---|---|"]
    left = pa.array(originals, pa.large_string())
    for name, edited in edits.items():
        right = pa.array(edited, pa.large_string())
        changed = np.array([a != b for a, b in zip(originals, edited, strict=True)])
        candidate, similar = shares_band(left, right, Banding()), verified(left, right, Banding())
        lines.append(
            f"| {name} | {n_texts} | {changed.sum()} | {candidate[changed].mean():.4f} "
            f"| {(candidate & similar)[changed].mean():.4f} |"
        )
    return lines


def swap_particles(text: str, rng: np.random.Generator, frac: float) -> str:
    """Of the words that end in a particle, this share gets another one."""
    return re.sub(
        r"(?<=[가-힣])[은는이가을를와과에](?=\s|$)",
        lambda match: PARTICLES[match[0]] if rng.random() < frac else match[0],
        text,
    )


def drop_spaces(text: str, rng: np.random.Generator, frac: float) -> str:
    return re.sub(" ", lambda match: "" if rng.random() < frac else " ", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    pairs = pl.read_parquet(data / "neardup/pairs.parquet")
    exact = np.array([jaccard(strings(a), strings(b)) for a, b in pairs.select("text_a", "text_b").iter_rows()])
    sections = {
        "Signatures, 14x8, one thread": speed(data),
        "Detection by tenth of exact Jaccard": detection_table(pairs, exact),
        "Recall and precision": recall_table(pairs, exact),
        "Planted Korean edits, texts of 500 characters or more": planted_table(data),
    }
    report = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    print(report)
    RESULT.write_text(report + "\n")


if __name__ == "__main__":
    main()
