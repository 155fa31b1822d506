"""Minified files: JavaScript, styles and the like without the line ends and spaces that people put into them."""

import re

LINE_CHARS_MEAN = 110
"""Mean length of the lines from which on scripts and styles look minified (linguist's is the same)."""
LINE_CHARS_LONG = 500
SPACE_FRAC_MAX = 0.14
"""Share of white space in what is minified; hand-written code has more than twice as much."""
LONG_LINES_FRAC_MIN = 0.5
"""Share of a file's characters that lie in long lines, from which on it is made of them."""
CHARS_MIN = 500

_NAME = re.compile(r"[.-](?:min|pack|packed)\.(?:js|mjs|cjs|css|html?|json)$", re.IGNORECASE)
_COMMENTS = re.compile(r"/\*.*?\*/|^[^\S\n]*//[^\n]*$", re.DOTALL | re.MULTILINE)
_LINE_COMMENTS = re.compile(r"^[^\S\n]*//[^\n]*$", re.MULTILINE)
_MAPPED = re.compile(r"^/[*/][#@] source(?:Mapping)?URL=", re.MULTILINE)
_CHUNK = re.compile(
    r"\A(?:/\*.*?\*/\s*)?(?:\"use strict\";)?\(?(?:self|window|globalThis)[.\[][\"']?\w*(?:rs|web)pack\w*", re.DOTALL
)
"""How a bundler's chunk begins."""
_LANGUAGES = frozenset({"JavaScript", "CSS", "TypeScript"})
_MARKUP = frozenset({"HTML", "XML", "SVG", "JSON"})


def is_minified(path: str, language: str | None, text: str) -> bool:
    """Whether a file was minified: by its name or, for scripts and styles, by the length of its lines and its white
    space, comments left out (a licence often stays at the top). A map of sources beside it is a sign of both."""
    if _NAME.search(path):
        return True
    if language not in _LANGUAGES:
        return False
    if _CHUNK.search(text[:2000]):
        return True
    if len(text) < CHARS_MIN:
        return False
    closed = text.rfind("*/") + 2 if "*/" in text else 0  # behind it, each `/*` would be looked for to the very end
    body = (_COMMENTS.sub("", text[:closed]) + _LINE_COMMENTS.sub("", text[closed:])).strip()
    lines = [line for line in body.split("\n") if line.strip()]
    if not lines:
        return False
    n_chars = sum(map(len, lines))
    n_long = sum(len(line) for line in lines if len(line) > LINE_CHARS_LONG)
    is_dense = _space_frac(body) <= SPACE_FRAC_MAX
    if n_chars > max(LINE_CHARS_MEAN * len(lines), CHARS_MIN) and is_dense:
        return True
    return n_long > LONG_LINES_FRAC_MIN * n_chars and (is_dense or bool(_MAPPED.search(text[-1000:])))


def _space_frac(text: str) -> float:
    n_space = text.count(" ") + text.count("\n") + text.count("\t")
    return n_space / len(text)
