"""Words, sentences and capitals in English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.benchmarks.ifeval_english import count_capital_words, count_sentences, count_words


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("...", 0),
        ("No mark at all", 1),
        ("Hello there. I am Dr. Smith. It costs 3.5 dollars, e.g. this.", 3),
        ("1. First item.\n2. Second item.", 2),
        ("a. First item\nb. Second item", 1),
        ("Wait... what? Yes!", 2),
        ("Really?! Yes.", 2),
        ("He lives in the U.S. He likes it. J. K. Rowling wrote.", 3),
        ('"Go." He said so. "Stop!" She left.', 4),
        ("See you at 5 p.m. tomorrow.", 1),
        ("**Bold.** Next.", 2),
        ("Visit example.com. It is good.", 2),
        ("It was in 1990. The wall had fallen.", 2),
        ("A line without a mark\nand its end.\n\nA new one", 2),
    ],
)
def test_sentences(text: str, n: int) -> None:
    assert count_sentences(text) == n


@pytest.mark.parametrize(
    ("text", "n"), [("don't stop", 3), ("well-known fact", 3), ("", 0), ("- one\n* two", 2), ("3.5 km", 3)]
)
def test_words(text: str, n: int) -> None:
    assert count_words(text) == n


@pytest.mark.parametrize(
    ("text", "n"),
    [("I AM here", 2), ("NASA, IBM.", 2), ("U.S.A. won", 1), ("WELL-KNOWN", 1), ("Nope", 0), ("C3PO", 1)],
)
def test_capital_words(text: str, n: int) -> None:
    assert count_capital_words(text) == n


@given(st.lists(st.sampled_from(["Birds sing.", "Why not?", "Stop!", "He came; he saw."]), max_size=30))
def test_sentences_add_up(sentences: list[str]) -> None:
    assert count_sentences(" ".join(sentences)) == count_sentences("\n\n".join(sentences)) == len(sentences)
