"""Code out of answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.sandboxes.code_blocks import blocks, extract_code

F, G = "def f(x):\n    return x\n", "def g(x):\n    return x + 1\n"


def fence(code: str, language: str = "python", mark: str = "```") -> str:
    return f"{mark}{language}\n{code}{mark}\n"


@pytest.mark.parametrize(
    ("response", "entry_point", "code"),
    [
        (fence(F), None, F),
        (fence(F, ""), None, F),
        (fence(F, "py"), None, F),
        (fence(F, "Python"), None, F),
        (f"여기 있습니다.\n\n{fence(F)}\n설명: f를 씁니다.", None, F),
        (f"1. First\n   ```python\n{F}   ```\n", None, F),
        (fence(F, mark="~~~"), None, F),
        (fence(f'{F}s = """\n```\n"""\n', mark="````"), None, f'{F}s = """\n```\n"""\n'),
        (f"```python\n{F}", None, F),  # the closing fence is missing
        (F, None, F),
        (f"{fence(F)}Use it:\n" + fence("print(f(1))\n"), None, F),
        (fence("print(f(1))\n") + fence(F), None, F),
        (fence(F) + fence("pip install x\n", "bash"), None, F),
        (f"{fence(F)}{fence(G)}", "f", F),
        (f"{fence(F)}{fence(G)}", "g", G),
        (f"{fence(F)}Better:\n{fence(F + G)}", "f", F + G),
        (f"{fence(F + G)}Better:\n{fence(F)}", "f", F),
        (fence("f = lambda x: x\n"), "f", "f = lambda x: x\n"),
        (fence("class f:\n    pass\n"), "f", "class f:\n    pass\n"),
        (fence(F), "g", None),
        (f"<think>maybe\n{fence(G)}</think>\n{fence(F)}", None, F),
        (f"<think>maybe\n{fence(G)}</think>\nI do not know.", None, None),
        (fence("def f(x) return x\n"), None, None),
        (fence("fn main() {}\n", "rust"), None, None),
        ("I cannot help with that.", None, None),
        ("Yes", None, None),
        ("42", None, None),
        ("", None, None),
        (fence("print(1)\n"), None, "print(1)\n"),
        (fence("\0\n"), None, None),
    ],
)  # fmt: skip
def test_code_of_a_response(response: str, entry_point: str | None, code: str | None) -> None:
    assert extract_code(response, entry_point) == code


@given(st.text())
def test_whatever_is_said_has_code_or_none(text: str) -> None:
    extract_code(text)
    extract_code(f"```python\n{text}\n```")


@given(st.lists(st.text(st.characters(blacklist_characters="`~\r", blacklist_categories=["Cs"]))))
def test_every_block_is_found_as_it_was(codes: list[str]) -> None:
    said = "Text.\n".join(f"```python\n{code}\n```\n" for code in codes)
    assert [code.strip("\n") for _, code in blocks(said)] == [code.strip("\n") for code in codes]
