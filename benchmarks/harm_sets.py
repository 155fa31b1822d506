"""The texts that the models of harm are measured on: labelled sets in halves, and ordinary texts without labels.

A text is in the odd half where XXH3-64 of it is odd. Thresholds are tuned on even halves, figures are of odd ones.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import harm_data
import numpy as np
import numpy.typing as npt
import polars as pl
import zstandard
from spam_data import SMS, is_for_training, read_sms
from spam_texts import fill, read_real, read_slots, read_texts

Flags = npt.NDArray[np.bool_]
KINDS = ("toxicity", "adult", "gambling")
ORDINARY = {
    "encyclopedia": "ko_wiki_korquad", "law": "ko_law", "petitions": "ko_petitions",
    "documentation, ko": "ko_docs_mixed", "books, ko": "ko_books_misc", "news comments": "ko_comments_kocohub",
    "film reviews": "ko_reviews_nsmc", "documentation, en": "en_docs_mixed", "books, en": "en_books_misc",
    "manuals, ko and en": "koen_html_docs",
}  # fmt: skip
N_ORDINARY, MAX_CHARS = 1_500, 2_000
"""Texts of each file at most, and how much of each."""


@dataclass(frozen=True)
class Labelled:
    """Texts of one set, language and half."""

    name: str
    language: str
    texts: Sequence[str]
    labels: Flags

    def part(self, chosen: Sequence[bool], name: str | None = None) -> "Labelled":
        """Some of its texts."""
        texts = [text for text, is_chosen in zip(self.texts, chosen, strict=True) if is_chosen]
        return Labelled(name or self.name, self.language, texts, self.labels[np.array(chosen, bool)])

    @property
    def n_positive(self) -> int:
        """How many texts are what is looked for."""
        return int(self.labels.sum())


def labelled_sets(kind: str, data: Path) -> list[Labelled]:
    """The odd halves of the sets of one kind."""
    if kind == "toxicity":
        return _toxic_sets(data)
    return [whole.part(_odd(whole)) for whole in whole_sets(kind, data)]


def tuning_sets(kind: str, data: Path) -> list[Labelled]:
    """The even halves by which thresholds are tuned."""
    if kind == "toxicity":
        return _of_people(data, "even", with_offensive=False)
    return [whole.part([not is_odd for is_odd in _odd(whole)]) for whole in whole_sets(kind, data)]


def whole_sets(kind: str, data: Path) -> list[Labelled]:
    """Sets of advertisements that nothing was trained on, both halves."""
    composed, quoted = ([make(kind, language) for language in ("ko", "en")] for make in (_composed, _quoted))
    english = [composed[1], quoted[1]]
    texts = [text for one in english for text in one.texts]
    together = Labelled("composed and quoted", "en", texts, np.concatenate([one.labels for one in english]))
    return [composed[0], quoted[0], together, *([_sms(data)] if kind == "adult" else [])]


def _odd(labelled: Labelled) -> list[bool]:
    return [harm_data.is_odd(text) for text in labelled.texts]


def _of_people(data: Path, half: str, with_offensive: bool) -> list[Labelled]:
    rows = harm_data.human(data, half)
    ko, en = (rows.filter(pl.col("language") == language) for language in ("ko", "en"))
    if not with_offensive:
        ko = ko.filter(pl.col("name") != "offensive")
    return [_rows("kocohub: hate", "ko", ko, ko["label"] == 1), _rows("t-davidson", "en", en, en["label"] == 1)]


def _toxic_sets(data: Path) -> list[Labelled]:
    hate, tweets = _of_people(data, "odd", with_offensive=False)
    every, _ = _of_people(data, "odd", with_offensive=True)
    ko = harm_data.human(data, "odd").filter(pl.col("language") == "ko")
    curse = harm_data.curse("odd")
    kmhas = pl.read_csv(harm_data.LABELS / "kmhas.tsv", separator="\t", quote_char=None)
    kmhas = kmhas.filter(~pl.col("text").is_in(harm_data.training_set(data)["text"].to_list()))
    sets = [
        hate,
        Labelled("kocohub: hate, of all", "ko", every.texts, every.labels),
        _rows("kocohub: any", "ko", ko, ko["name"] != "none"),
        _rows("K-MHaS", "ko", kmhas, kmhas["classes"] != "8"),
        _rows("curse", "ko", curse, curse["label"] == 1),
        tweets,
    ]
    return sets + [random_texts(data, language) for language in ("ko", "en")]


def random_texts(data: Path, language: str) -> Labelled:
    """Documents drawn at random and judged, of the odd half."""
    rows = harm_data.judged(data, "test").filter(pl.col("language") == language)
    return _rows("random, judged", language, rows, rows["label"] == 1)


def _rows(name: str, language: str, rows: pl.DataFrame, labels: pl.Series) -> Labelled:
    return Labelled(name, language, rows["text"].to_list(), labels.to_numpy().astype(bool))


def _composed(kind: str, language: str) -> Labelled:
    """Composed texts of authors from whom nothing is learnt."""
    slots, rng = read_slots(), random.Random(5)
    mine = [item for item in read_texts() if item.is_test and item.language == language]
    texts = [fill(item.text, slots, rng) for item in mine]
    return Labelled("composed", language, texts, np.array([item.kind == kind for item in mine]))


def _quoted(kind: str, language: str) -> Labelled:
    """Quotations from the web."""
    mine = [row for row in read_real() if row[1] == language]
    return Labelled("quoted", language, [row[3] for row in mine], np.array([row[0] == kind for row in mine]))


def _sms(data: Path) -> Labelled:
    """The SMS that were not trained on, but for those that count neither way."""
    adult, neither = read_sms()
    frame = pl.read_parquet(data / "text" / "en_noisy.parquet").filter(source=SMS).unique("text", maintain_order=True)
    rows = [row for row in frame.iter_rows(named=True) if not is_for_training(row["id"])]
    lines = [(row["text"], row["url"].rsplit("#", 1)[-1]) for row in rows]
    mine = [(text, line in adult) for text, line in lines if line not in neither]
    return Labelled("SMS", "en", [text for text, _ in mine], np.array([is_adult for _, is_adult in mine]))


def advertisements(kind: str) -> list[str]:
    """All advertisements of a kind that nothing was trained on, slots as they stand."""
    composed = [item.text for item in read_texts() if item.is_test and item.kind == kind]
    return composed + [row[3] for row in read_real() if row[0] == kind]


def ordinary_texts(data: Path) -> dict[tuple[str, str], list[str]]:
    """Texts that no model learnt from and nobody labelled, by name and language."""
    found = {(name, file[:2]): _untrained(data / "text" / f"{file}.parquet") for name, file in ORDINARY.items()}
    news = _news(data)
    for language, is_mine in (("ko", _is_korean), ("en", str.isascii)):
        found[f"news pages, {language}", language] = [text for text in news if is_mine(text[:200])]
    quoted = [row[3] for row in read_real() if row[0] == "none"]
    found["news of these very matters", "ko"] = quoted
    return found


def _untrained(path: Path) -> list[str]:
    """The beginnings of texts that are in neither half that the models learnt from."""
    rows = pl.read_parquet(path, columns=["id", "text"]).sort("id").iter_rows()
    texts = [text for name, text in rows if not is_for_training(name) and harm_data.is_odd(text)]
    return [text[:MAX_CHARS] for text in texts[:N_ORDINARY]]


def _news(data: Path) -> list[str]:
    """Main text of pages of article-extraction-benchmark, most of them news."""
    packed = (data / "extraction" / "scrapinghub.gold.jsonl.zst").read_bytes()
    rows = map(json.loads, zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines())
    return [row["gold_text"][:MAX_CHARS] for row in rows if row.get("gold_text")]


def _is_korean(text: str) -> bool:
    return sum("가" <= char <= "힣" for char in text) > len(text) / 3
