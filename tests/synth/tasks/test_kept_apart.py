"""What translations leave as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.kept_apart import PlaceholderError, mask, outside, unmask


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Run `pip install x` now.", ["`pip install x`"]),
        ("Use ``a ` b`` here", ["``a ` b``"]),
        ("Text\n```python\nx = 1  # $5\n```\nmore", ["```python\nx = 1  # $5\n```"]),
        ("~~~\n```\n~~~", ["~~~\n```\n~~~"]),
        ("The sum $x^2 + y$ is", ["$x^2 + y$"]),
        ("Costs $5 and $10 today", []),
        ("He paid $5 million, not 6$ more", []),
        ("$<<6*2=12>>12\nSo he makes a profit of 12-6=$<<12-6=6>>6", []),
        ("It was $23=$4+x, or $40/2=$y", []),
        (r"where $f = \text{one of the two}$ or $a_t$-like", [r"$f = \text{one of the two}$", "$a_t$"]),
        ("$$\na+b\n$$ end", ["$$\na+b\n$$"]),
        (r"Let \(n\) and \[ n^2 \] be", [r"\(n\)", r"\[ n^2 \]"]),
        (
            "\\begin{align*}\na &= b\n\\end{align*} so",
            ["\\begin{align*}\na &= b\n\\end{align*}"],
        ),
        ("See https://a.example/b?c=1&d=(2).", ["https://a.example/b?c=1&d=(2"]),
        ("See https://a.example/위키, and www.b.example/c.", ["https://a.example/", "www.b.example/c"]),
        ("Mail a.b+c@d.example.org.", ["a.b+c@d.example.org"]),
        ("It weighs 3.5 kg at 20°C, 1,000 km/h", ["3.5 kg", "20°C", "1,000 km/h"]),
        ("5 men and 10 mums", []),
        ("A ⟦1⟧ of theirs", ["⟦", "⟧"]),
        ("Kim Minji and Kim; Kimchi", ["Kim Minji", "Kim"]),
    ],
)
def test_spans(text: str, spans: list[str]) -> None:
    masked = mask(text, ["Kim", "Kim Minji"])
    assert list(masked.spans.values()) == spans
    assert unmask(masked.text, masked.spans) == text


def test_numbers_go_on() -> None:
    assert mask("`a` `b`", first=7).text == "⟦7⟧ ⟦8⟧"


@pytest.mark.parametrize("said", ["가", "⟦1⟧ ⟦1⟧ ⟦2⟧", "⟦1⟧", "⟦1⟧⟦2⟧⟦3⟧", "⟦1⟧ ⟦2⟧ ⟦둘⟧", "⟦1⟧ ⟦2⟧ ⟧"])
def test_each_has_one_place(said: str) -> None:
    with pytest.raises(PlaceholderError):
        unmask(said, {1: "`a`", 2: "`b`"})


def test_order_may_change_and_content_is_not_read() -> None:
    assert unmask("나 ⟦2⟧ 가 ⟦1⟧", {1: "⟦2⟧", 2: r"\1"}) == r"나 \1 가 ⟦2⟧"
    assert outside("가⟦1⟧나") == "가 나"


PIECES = st.sampled_from(
    [*"`$\\[](){}⟦⟧@.12 \n", "가", "á", "👍🏽", "```", "$$", "\\begin{a}", "\\end{a}", "https://x.y", "kg"]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_back_again(text: str) -> None:
    masked = mask(text, ["가"])
    assert unmask(masked.text, masked.spans) == text
