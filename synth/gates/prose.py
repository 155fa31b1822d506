"""The prose of a sample: what it says to a reader, without code, formulas, URLs and calls of functions."""

import re
import unicodedata

from synth.samples import Sample

_THOUGHTS = re.compile(r"<think>(.*?)</think>", re.DOTALL)

_SIGNS = re.compile(r"[`$\\<]|~~~|://|www\.")
"""What any of the patterns below needs: most texts have none, and are left alone."""

_APART = re.compile(
    r"""
    ^[ \t]*(?P<fence>`{3,}|~{3,}).*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)     # a code block, one left open too
    | <tool_call>.*?(?:</tool_call>|\Z)
    | \$\$.{1,4000}?\$\$
    | \\\[.{1,4000}?\\\]
    | \\\(.{1,1000}?\\\)
    | \\begin\{(?P<name>[a-z]+\*?)\}.{0,4000}?\\end\{(?P=name)\}
    | \$(?=\S)[^$\n]{1,400}?(?<=\S)\$(?!\d)                                  # not the money in `$5 and $10`
    | `[^`\n]+`
    | \\[a-zA-Z]+                                                            # \boxed, \frac
    | (?:https?://|www\.)[^\s<>()"'“”가-힣]+
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)

_TABLES_AND_RULES = re.compile(r"^[ \t]*(?:\|.*|[-=_*~+─━═ \t]{3,200})$\n?", re.MULTILINE)
"""Lines of a table, and lines that part what stands above from what stands below."""


def spoken(sample: Sample) -> str:
    """The words that a sample teaches: its text, or what the assistant says in its answer, in NFC."""
    if sample.form == "text":
        return unicodedata.normalize("NFC", sample.text)
    said = (message.content for message in sample.answer if message.role == "assistant")
    return unicodedata.normalize("NFC", "\n".join(said))


def parted(text: str) -> tuple[str, str]:
    """(thoughts in <think>...</think>, all other text)."""
    if "<think>" not in text or "</think>" not in text:  # else many that are open are looked through to the end each
        return "", text
    return "\n".join(_THOUGHTS.findall(text)), _THOUGHTS.sub("\n", text)


def prose(text: str) -> str:
    """A text without code, formulas, URLs and calls; a space stands in the place of each."""
    return _APART.sub(" ", text) if _SIGNS.search(text) else text


def without_tables(text: str) -> str:
    """A text without the lines of tables and rules."""
    return _TABLES_AND_RULES.sub("", text)
