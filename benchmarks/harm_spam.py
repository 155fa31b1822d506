"""How well `gambling` and `adult` find advertisements, beside lists of phrases, and what becomes of hidden words.

python benchmarks/harm_spam.py --data ../shared/data --peers PEERS > benchmarks/results/harm_spam.md

PEERS holds the source of kss (`pip download --no-binary :all: --no-deps kss`) and the package naughty-words
(`npm pack naughty-words`, LDNOOBW's list), unpacked. Nothing here was trained on; the threshold is 0.5 throughout.
"""

import argparse
import ast
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from spam_data import SMS, is_for_training, read_sms
from spam_texts import HARDER, KINDS, SPELLINGS, fill, read_real, read_slots, read_texts, spelled

from classifiers.evaluate import auc
from classifiers.scorer import SHIPPED, Scorer
from classifiers.spelling import plain_spelling

DPS = [
    "콜걸", "출장안마", "출장마사지", "출장만남", "출장서비스", "출장샵", "조건만남", "조건카톡", "스포츠토토",
    "토토사이트",
    "사설토토", "바카라", "카지노사이트", "카지노추천", "카지노주소", "바다이야기", "폰섹", "마사지샵",
    "안전놀이터", "먹튀사이트",
]  # fmt: skip
"""EleutherAI/dps drops documents with any of 37 phrases (korean_job.yaml); these are their stems."""
HAERAE = [
    "www", "http", "...", "ㅋㅋㅋ", "약관", "is", "카지노", "토토", "\u3000", "■", "▲", "010", ".kr", "@", "마사지",
    "스웨디시", "대선",
]  # fmt: skip
"""HAERAE KOREAN-WEBTEXT drops documents with any of these (its card)."""
ORDINARY = {
    "encyclopedia": "ko_wiki_korquad", "law": "ko_law", "petitions": "ko_petitions",
    "documentation, ko": "ko_docs_mixed",
    "comments": "ko_comments_kocohub", "film reviews": "ko_reviews_nsmc", "books, ko": "ko_books_misc",
    "documentation, en": "en_docs_mixed", "books, en": "en_books_misc", "manuals": "koen_html_docs",
}  # fmt: skip

LATIN_WORD = re.compile(r"[a-z0-9]{3,}")
N_ORDINARY, ORDINARY_CHARS = 5_000, 2_000
"""Texts of each file at most, and how much of each."""

HEAD = """# Advertisements for gambling and sexual services

By `benchmarks/harm_spam.py`. Everything in one run: the shipped models at 0.5, and lists of phrases as their
tools use them (one hit; the last row wants two different ones after hidden spellings are undone). Nothing here
was trained on.

- **composed**: texts of authors (manners of writing) that training does not hold, all written by a large
  language model, as were those trained on. The negatives are composed too: news, law, medicine, travel and
  other advertising in the same words.
- **quoted**: short quotations of advertisements found in issue trackers and on pages, and of news and posts
  about the same matters. Real, but few, and phrases of the training set were composed after some of them had
  been seen. The negatives are Korean; of HAERAE's list, made for Korean, the English rows say little.
- **SMS**: the half of the SMS Spam Collection that was not trained on; labels by reading, those that only
  advertise dating or chat left out (`benchmarks/data/spam/sms_adult.txt`).
- Ordinary texts: the half that was not trained on, the first 2,000 characters of at most 5,000 texts of each
  file. They have no labels; some comments are in truth what is looked for.
- Hidden words: composed and quoted advertisements that hold a word of `classifiers/lexicon/hidden.txt` (or a
  few Latin ones), with each of these spelled so. Those in italics the view does not undo, or not wholly.

Two cores shared with other work; speeds are of processor time.
"""

Judge = Callable[[Sequence[str]], np.ndarray]
"""A score per text."""


@dataclass(frozen=True)
class Method:
    """Something that says how much a text is an advertisement; from `threshold` on it is one."""

    name: str
    judge: Judge
    threshold: float


@dataclass(frozen=True)
class Found:
    """How well a method finds what it should in a set."""

    n: int
    n_positive: int
    precision: float
    recall: float
    f1: float
    auc: float


def model_method(kind: str) -> Method:
    """The shipped model."""
    scorer = Scorer(SHIPPED / kind)
    return Method(f"**{kind}**", lambda texts: _scored(scorer, texts), 0.5)


def _with_and_without(kind: str, folder: Path | None) -> list[Method]:
    """The shipped model, and one that reads texts as they are."""
    if folder is None:
        return [model_method(kind)]
    scorer = Scorer(folder / kind)
    return [model_method(kind), Method("without the view", lambda texts: _scored(scorer, texts), 0.5)]


def _scored(scorer: Scorer, texts: Sequence[str]) -> np.ndarray:
    found = scorer.score(pa.array(texts, pa.large_string())).score
    return np.nan_to_num(found.to_numpy(zero_copy_only=False).astype(float))


def list_methods(peers: Path) -> list[Method]:
    """Lists of phrases: as their tools use them, and as peers.md 5.8 proposes, two different ones after folding."""
    lists = {"dps, its phrases": DPS, "HAERAE": HAERAE, **_lists_of(peers)}
    found = [Method(name, _hits(words), 1) for name, words in lists.items()]
    every = sorted(
        {word for words in (DPS, *_lists_of(peers).values()) for word in words}
        | {"카지노", "토토", "마사지", "스웨디시"}
    )
    return [*found, Method("all, two hits after folding", _folded_hits(every), 2)]


def _hits(words: Sequence[str]) -> Judge:
    """How many different ones a text holds: Latin words as words, all else as parts of the text."""
    lowered = sorted({word.lower() for word in words})
    latin = {word for word in lowered if LATIN_WORD.fullmatch(word)}
    parts = [word for word in lowered if word not in latin]

    def count(texts: Sequence[str]) -> np.ndarray:
        lower = [text.lower() for text in texts]
        found = [len(latin & set(LATIN_WORD.findall(text))) + sum(part in text for part in parts) for text in lower]
        return np.array(found, float)

    return count


def _folded_hits(words: Sequence[str]) -> Judge:
    count = _hits(words)
    return lambda texts: count(plain_spelling(pa.array(texts, pa.large_string())).to_pylist())


def _lists_of(peers: Path) -> dict[str, list[str]]:
    """KSS's bad words and LDNOOBW, read as data."""
    [kss] = peers.rglob("_modules/safety/utils.py")
    assigned = [node for node in ast.walk(ast.parse(kss.read_text("utf-8"))) if isinstance(node, ast.Assign)]
    lists = [node.value for node in assigned if ast.unparse(node.targets[0]) == "bad_words"]
    [bad_words] = [ast.literal_eval(value) for value in lists if isinstance(value, ast.List)]
    ldnoobw = [
        word for name in ("ko.json", "en.json") for word in json.loads(_ldnoobw(peers, name).read_text("utf-8"))
    ]
    return {"KSS, its bad words": sorted(set(bad_words)), "LDNOOBW, ko and en": ldnoobw}


def _ldnoobw(peers: Path, name: str) -> Path:
    return next(path for path in sorted(peers.rglob(name)) if path.parent.name in ("package", "naughty-words"))


def measured(method: Method, texts: Sequence[str], positive: np.ndarray) -> Found:
    """Precision, recall, F1 and AUC of a method on a set."""
    scores = method.judge(texts)
    said = scores >= method.threshold
    hits = int((said & positive).sum())
    precision, recall = hits / max(int(said.sum()), 1), hits / max(int(positive.sum()), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return Found(len(texts), int(positive.sum()), precision, recall, f1, auc(positive, scores))


def composed_set(kind: str, language: str) -> tuple[list[str], np.ndarray]:
    """Composed texts of authors from whom nothing is learnt."""
    slots, rng = read_slots(), random.Random(5)
    mine = [item for item in read_texts() if item.is_test and item.language == language]
    return [fill(item.text, slots, rng) for item in mine], np.array([item.kind == kind for item in mine])


def real_set(kind: str, language: str) -> tuple[list[str], np.ndarray]:
    """Quotations from the web."""
    mine = [row for row in read_real() if row[1] == language or row[0] == "none"]
    return [row[3] for row in mine], np.array([row[0] == kind for row in mine])


def sms_set(data: Path) -> tuple[list[str], np.ndarray]:
    """The odd half of the SMS, but for those that count neither way."""
    adult, neither = read_sms()
    frame = pl.read_parquet(data / "text" / "en_noisy.parquet").filter(source=SMS).unique("text", maintain_order=True)
    rows = [
        (row["text"], row["url"].rsplit("#", 1)[-1])
        for row in frame.iter_rows(named=True)
        if not is_for_training(row["id"])
    ]
    mine = [(text, line in adult) for text, line in rows if line not in neither]
    return [text for text, _ in mine], np.array([is_adult for _, is_adult in mine])


def ordinary_set(data: Path, name: str) -> list[str]:
    """The odd half of a file, the beginning of each text."""
    frame = pl.read_parquet(data / "text" / f"{name}.parquet")
    texts = [row["text"] for row in frame.iter_rows(named=True) if not is_for_training(row["id"])]
    return [text[:ORDINARY_CHARS] for text in texts[:N_ORDINARY]]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""])


def found_table(kind: str, data: Path, methods: Sequence[Method]) -> str:
    """All methods on all sets with labels."""
    makes = {"composed": composed_set, "quoted": real_set}
    sets = {f"{what}, {language}": make(kind, language) for what, make in makes.items() for language in ("ko", "en")}
    if kind == "adult":
        sets["SMS, en"] = sms_set(data)
    rows = []
    for name, (texts, positive) in sets.items():
        for method in methods:
            f = measured(method, texts, positive)
            numbers = [f"{v:.3f}" for v in (f.precision, f.recall, f.f1, f.auc)]
            rows.append([name, f"{f.n_positive} of {f.n:,}", method.name, *numbers])
    return table(f"`{kind}`: what is found", ["set", "positive", "method", "precision", "recall", "F1", "AUC"], rows)


def ordinary_table(data: Path, methods: Sequence[Method]) -> str:
    """What is said of ordinary texts, of which nearly none advertises anything."""
    rows = []
    for title, name in ORDINARY.items():
        texts = ordinary_set(data, name)
        rates = [f"{100 * (method.judge(texts) >= method.threshold).mean():.2f}%" for method in methods]
        rows.append([title, f"{len(texts):,}", *rates])
    return table("Ordinary texts that are taken for one", ["texts", "n", *(m.name for m in methods)], rows)


def spelling_table(methods: dict[str, Sequence[Method]]) -> str:
    """Recall by spelling, of composed Korean and English advertisements that hold a word that can be hidden."""
    rows = []
    for how in [*SPELLINGS, *HARDER]:
        row: list[object] = [how if how in SPELLINGS else f"*{how}*"]
        for kind, mine in methods.items():
            ads = [item.text for item in read_texts() if item.is_test and item.kind == kind]
            ads += [row[3] for row in read_real() if row[0] == kind]
            changeable = [text for text in ads if spelled(text, "dots", random.Random(1)) != text]
            texts = [spelled(text, how, random.Random(k)) for k, text in enumerate(changeable)]
            row += [f"{(method.judge(texts) >= method.threshold).mean():.2f}" for method in mine]
        rows.append(row)
    head = ["spelling", *(f"{kind}: {method.name.strip('*')}" for kind, mine in methods.items() for method in mine)]
    return table("Recall of hidden words", head, rows)


def speed_table(data: Path) -> str:
    """MB/s of one core: the view, the models with it."""
    rows = []
    for title, name in (
        ("petitions", "ko_petitions"),
        ("comments", "ko_comments_kocohub"),
        ("documentation, en", "en_docs_mixed"),
    ):
        texts = pa.array(pl.read_parquet(data / "text" / f"{name}.parquet")["text"].to_list(), pa.large_string())
        size = sum(len(text.encode()) for text in texts.to_pylist()) / 1e6
        scorer = Scorer(SHIPPED / "gambling")
        rows.append(
            [title, f"{size:.1f}", *(f"{size / _seconds(f, texts):.0f}" for f in (plain_spelling, scorer.score))]
        )
    return table("Speed, MB/s of one core", ["texts", "MB", "the view", "`gambling` with it"], rows)


def _seconds(work: Callable[[pa.LargeStringArray], object], texts: pa.LargeStringArray) -> float:
    work(texts.slice(0, 10))
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        work(texts)
        best = min(best, time.process_time() - start)
    return float(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True, help="kss and naughty-words, unpacked")
    parser.add_argument(
        "--without-view", type=Path, help="folder of models of the same recipes with `model.view=null`"
    )
    args = parser.parse_args()
    lists = list_methods(args.peers)
    print(HEAD)
    for kind in KINDS:
        print(found_table(kind, args.data, [model_method(kind), *lists]))
    print(ordinary_table(args.data, [*(model_method(kind) for kind in KINDS), *lists]))
    print(spelling_table({kind: [*_with_and_without(kind, args.without_view), *lists[-1:]] for kind in KINDS}))
    print(speed_table(args.data))


if __name__ == "__main__":
    main()
