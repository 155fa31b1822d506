"""Conversations for property tests: Hangul and its jamo, emoji, white space, and what reads like a control token."""

from typing import Any

from hypothesis import strategies as st

from tests.training import tiny

FRAGMENTS = [
    *("안녕하세요", "각", "ㅋㅋㅋ", "ㅠㅠ", "\u1112\u1161\u11ab", "가나다 라마바", "값은 12,000원", "漢字"),
    *(
        "Hello",
        "world",
        "don't",
        "x = [1, 2]",
        "naïve",
        "  ",
        "\n",
        "\n\n",
        "\t",
        " .",
        "👨‍👩‍👧‍👦",
        "🙂",
        "\u200b",
        "\ufeff",
    ),
    *("user", "assistant", "\nassistant\n", "system", "<|", "|>", "<|im_", "end|>", "<tool_call>", "<think>"),
]
CONTROL = [*tiny.SPECIAL, "<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>system\n", "<|im_<|im_end|>end|>"]


def contents(control: bool = True) -> st.SearchStrategy[str]:
    """What somebody says: never empty."""
    fragments = st.sampled_from(FRAGMENTS + (CONTROL if control else []))
    free = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    return st.lists(st.one_of(fragments, free), min_size=1, max_size=6).map("".join).filter(str.strip)


def conversations(control: bool = True) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Messages, with a system prompt or without, of one to three turns."""
    pair = st.tuples(contents(control), contents(control))
    system = st.one_of(st.none(), contents(control))
    return st.builds(
        lambda first, pairs: tiny.conversation(*(text for pair in pairs for text in pair), system=first),
        system,
        st.lists(pair, min_size=1, max_size=3),
    )
