"""Given the same words, the English signals and rulesets agree with datatrove: on every number and every reason."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings

from curation.signals import measure_signals
from tests.curation.datatrove_oracle import REASONS, Datatrove, differing_numbers, our_reasons, whitespace_datatrove
from tests.curation.texts import texts


@pytest.fixture(scope="module")
def datatrove() -> Iterator[Datatrove]:
    with whitespace_datatrove() as filters:
        yield filters


def disagreements(datatrove: Datatrove, documents: Sequence[str]) -> list[str]:
    """Every number and every reason that differs, C4's order of lorem ipsum and curly bracket aside."""
    measured = measure_signals(pa.array(documents, pa.large_string())).to_pylist()
    found = [
        line
        for text, signals in zip(documents, measured, strict=True)
        for line in differing_numbers(datatrove.numbers(text), signals)
    ]
    for name, reasons in our_reasons(documents).items():
        for text, ours in zip(documents, reasons, strict=True):
            theirs = datatrove.reason(name, text)
            if ours != theirs and {ours, theirs} != {"lorem_ipsum", "curly_bracket"}:
                found.append(f"{name}: {ours} here, {theirs} in datatrove: {text[:60]!r}")
    return found


@given(text=texts())
@settings(max_examples=300, deadline=None)
def test_hostile_texts(datatrove: Datatrove, text: str) -> None:
    assert disagreements(datatrove, [text]) == []


def prose(n_words: int, seed: int = 0, per_line: int = 12) -> str:
    """Invented words with a few stop words among them, every line ended by a full stop; no word pair repeats much."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(["ba", "ro", "ti", "lem", "su", "kin", "da", "vo"], k=3)) for _ in range(n_words)]
    words[:: per_line - 1] = (["the", "of", "with"] * n_words)[: len(words[:: per_line - 1])]
    lines = [" ".join(words[i : i + per_line]) for i in range(0, n_words, per_line)]
    return "\n".join(f"{line}." for line in lines)


def seeded(phrase: str, n_times: int, n_words: int) -> str:
    """Prose with `phrase` in it n_times."""
    return " ".join(f"{phrase} {prose(n_words // n_times, seed)}" for seed in range(n_times))


def repeated_stretch(n_repeated: int, n_words: int) -> str:
    """Prose of n_words and a stretch that comes twice: the longer the prose, the smaller the stretch's share."""
    stretch = prose(n_repeated, seed=1).replace("\n", " ")
    return f"{prose(n_words // 2, seed=2)} {stretch} {prose(n_words // 2, seed=3)} {stretch}"


LONG_LINES = "\n".join(f"extraordinarilylongword{i} anotherverylongword{i * 7}." for i in range(40))
DROPPED = {
    ("gopher_repetition", "empty"): [""],
    ("gopher_repetition", "dup_para_frac"): ["\n\n".join([prose(200), *["x"] * 3])],
    ("gopher_repetition", "dup_para_char_frac"): ["\n\n".join([prose(100), prose(100), *"abc"])],
    ("gopher_repetition", "dup_line_frac"): [prose(200) + "\nx" * 20],
    ("gopher_repetition", "dup_line_char_frac"): ["\n".join([*[prose(100).replace("\n", " ")] * 2, *"abcd"])],
    ("gopher_repetition", "top_2_gram"): [seeded("averylongword anotherlongword", 10, 80)],
    ("gopher_repetition", "top_3_gram"): [seeded("a b averylongwordindeed", 10, 80)],
    ("gopher_repetition", "top_4_gram"): [seeded("a b c averylongwordindeed", 10, 80)],
    **{
        ("gopher_repetition", f"duplicated_{n}_n_grams"): [
            repeated_stretch(12 * n, m) for m in range(40 * n, 100 * n, 8)
        ]
        for n in range(5, 11)
    },
    ("gopher_quality", "gopher_short_doc"): ["", " ", "too short", "! " * 99],
    ("gopher_quality", "gopher_long_doc"): ["word " * 100_001],
    ("gopher_quality", "gopher_below_avg_threshold"): ["a bc d ef " * 20],
    ("gopher_quality", "gopher_above_avg_threshold"): ["abcdefghijk " * 60],
    ("gopher_quality", "gopher_too_many_hashes"): ["word #word " * 60],
    ("gopher_quality", "gopher_too_many_ellipsis"): ["word... word " * 60, "word word… " * 60],
    ("gopher_quality", "gopher_too_many_bullets"): ["\n".join(f"\t- {x}" for x in prose(200).split("\n"))],
    ("gopher_quality", "gopher_too_many_end_ellipsis"): [prose(200).replace(".", "... \r")],
    ("gopher_quality", "gopher_below_alpha_threshold"): ["word 1234 5678 " * 60],
    ("gopher_quality", "gopher_enough_stop_words"): ["The Of With word words " * 60],
    ("c4", "lorem_ipsum"): ["He said Lorem Ipsum."],
    ("c4", "curly_bracket"): ["Now { this is code."],
    ("c4", "too_few_sentences"): ["", "One is here. And two. Three! Four?", "No end here\n" * 9, "Too short.\n" * 9],
    ("fineweb", "empty"): ["", " \n\u2028"],
    ("fineweb", "line_punct_ratio"): ["no end at all\n" * 9],
    ("fineweb", "short_line_ratio"): ["Short one.\n" * 9],
    ("fineweb", "char_dup_ratio"): [f"{prose(100)}\n{prose(100)}"],
    ("fineweb", "list_ratio"): [LONG_LINES],
}


@pytest.mark.parametrize(("name", "reason"), DROPPED)
def test_every_reason(datatrove: Datatrove, name: str, reason: str) -> None:
    documents = DROPPED[name, reason]
    assert disagreements(datatrove, documents) == []
    assert reason in our_reasons(documents)[name]


def test_every_reason_of_datatrove_has_a_document() -> None:
    assert set(DROPPED) == {(name, reason) for name, rules in REASONS.items() for reason in rules.values()}


@pytest.mark.parametrize("name", REASONS)
def test_prose_is_kept(datatrove: Datatrove, name: str) -> None:
    documents = [prose(400, seed) for seed in range(5)]
    assert disagreements(datatrove, documents) == []
    assert our_reasons(documents)[name] == [None] * 5


def english_samples(folder: Path, n_docs: int) -> Iterator[list[str]]:
    """Per file of data/text, up to n_docs of its English documents."""
    for path in sorted((folder / "text").glob("*.parquet")):
        documents = pl.scan_parquet(path).filter(pl.col("lang") == "en").select("text").collect()["text"]
        if documents.len():
            yield documents.sample(min(n_docs, documents.len()), seed=7).to_list()


def test_real_documents(datatrove: Datatrove, shared_data: Path) -> None:
    for documents in english_samples(shared_data, 60):
        assert disagreements(datatrove, documents) == []


@pytest.mark.slow
def test_all_english_documents(datatrove: Datatrove, shared_data: Path) -> None:
    for documents in english_samples(shared_data, 10**6):
        assert disagreements(datatrove, documents) == []
