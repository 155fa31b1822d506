"""Prompts have the tokens that were asked for, by any tokenizer, and a few fewer at most."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.needles.engines import TOKEN, Counting
from training.needles.haystack import Language, read_haystack
from training.needles.needle import draw
from training.needles.prompts import TOLERANCE, Prompts, TooShortError

HAYSTACKS = {name: read_haystack(name, None, ".") for name in ("ko", "en")}
COUNTS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "bytes": lambda text: len(text.encode()),
    "words": lambda text: len(text.split()) + 1,
    "words and marks": lambda text: len(TOKEN.findall(text)),
    "pairs of bytes, whose seams move": lambda text: (len(text.encode()) + 1) // 2,
    "one in three seams is joined": lambda text: len(TOKEN.findall(text)) - text.count(". 이") - text.count(". T"),
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(COUNTS)),
    st.sampled_from(["ko", "en"]),
    st.booleans(),
    st.integers(64, 3000),
    st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_prompts_are_as_long_as_asked_for(
    counted: str, language: Language, chat: bool, n_tokens: int, depth: float, seed: int
) -> None:
    rng = random.Random(seed)
    prompts = Prompts(Counting(str, count=COUNTS[counted]), HAYSTACKS[language], chat)
    hidden = draw(language, rng, lambda word: False)
    try:
        made = prompts.prompt(hidden, n_tokens, depth, rng.randrange(3000))
    except TooShortError as error:
        assert error.n_tokens > n_tokens
        return
    assert n_tokens - TOLERANCE <= made.n_tokens == COUNTS[counted](made.text) <= n_tokens
    assert made.text.count(hidden.sentence) == 1
    text = made.text.split("\n\n")[1]
    before, after = text.split(hidden.sentence)
    assert not before or before.rstrip()[-1] in ".!?…다요죠까\"'”’)»」』"
    assert not after or after[0] in " \n"
    assert not hidden.begun or chat or made.text.endswith(hidden.begun)


def test_text_that_is_short_is_gone_through_again() -> None:
    haystack = type(HAYSTACKS["en"])("en", HAYSTACKS["en"].sentences[:7])
    prompts = Prompts(Counting(str), haystack, False)
    made = prompts.prompt(draw("en", random.Random(0), lambda word: False), 2000, 0.5, 3)
    assert 2000 - TOLERANCE <= made.n_tokens <= 2000
    assert made.text.count(haystack.sentences[4].strip()) > 5


@pytest.mark.parametrize("language", ["ko", "en"])
def test_real_byte_level_tokens(language: Language, tiny_tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer)

    def count(text: str) -> int:
        return (
            len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) + 1
        )  # a token that begins it

    prompts, rng = Prompts(Counting(str, count=count), HAYSTACKS[language], False), random.Random(0)
    for n_tokens, depth in ((600, 0.0), (1000, 0.3), (2000, 1.0), (8192, 0.5)):
        made = prompts.prompt(draw(language, rng, lambda word: False), n_tokens, depth, rng.randrange(3000))
        assert n_tokens - TOLERANCE <= made.n_tokens == count(made.text) <= n_tokens
