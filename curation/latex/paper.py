"""A TeX submission as one document: main file, flattened source, macros, text."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from curation.latex.expand import collect, expand
from curation.latex.flatten import flatten, without_comments
from curation.latex.macros import Environment, Macro
from curation.latex.main_file import SUFFIXES, main_file
from curation.latex.text import TextConverter
from curation.latex.tokens import Tokens, environment, tokenize
from curation.read_batch import Note
from manifests.schema_readers import Latex

SOURCE_CHARS_MAX = 1 << 24
"""A flattened source; of a hundred thousand papers none comes near, and tokens take many times its memory."""
UNUSED_CHARS_MIN = 200
"""Text in a .tex file that no one includes, for it to be worth a note."""
KOREAN = re.compile(
    r"\\usepackage\s*(?:\[[^\]]{0,500}\])?\s*\{[^}]{0,500}\b(?:kotex|xetexko|luatexko|dhucs|hangul|hfont|cjk-ko)\b"
)
NEW_THEOREM = re.compile(
    r"\\(?:newtheorem|newmdtheoremenv|spnewtheorem)\*?\s*\{([^{}\\]{1,64})\}\s*(?:\[[^\]]{0,100}\])?\s*\{([^{}\\$]{1,100})\}"
    r"|\\declaretheorem\s*(?:\[[^\]]{0,300}?\bname\s*=\s*\{?([^,\]}]{1,100})[^\]]{0,300}\])\s*\{([^{}\\]{1,64})\}"
)


@dataclass
class Document:
    """The text of a submission and what is known of it; None for `text` where it was too large."""

    text: str | None
    title: str
    main_file: str
    n_files: int
    n_formulas: int
    n_sections: int
    language: str | None
    notes: list[Note] = field(default_factory=list)

    def facts(self) -> dict[str, str | None]:
        """What `metadata` says of it."""
        return {
            "title": self.title or None,
            "main_file": self.main_file,
            "n_files": str(self.n_files),
            "n_missing": str(self._n_notes("missing_input")),
            "n_cycles": str(self._n_notes("input_cycle")),
            "n_unused": str(self._n_notes("unused_file")),
            "n_formulas": str(self.n_formulas),
            "n_sections": str(self.n_sections),
            "language": self.language,
        }

    def _n_notes(self, kind: str) -> int:
        return sum(note.kind == kind for note in self.notes)


def convert(
    files: Mapping[str, str], options: Latex, chars_max: int = SOURCE_CHARS_MAX, others: Iterable[str] = ()
) -> Document | None:
    """The document that decoded files make, or None where no file is TeX.

    Args:
        files: text by name; line ends as `\\n`.
        chars_max: more flattened source than that gives a document without text.
        others: names of files that came with them and are no source.
    """
    main = main_file(files)
    if main is None:
        return None
    keep = options.bibliography == "keep"
    flat = flatten(files, main, chars_max, bibliography=keep, others=others)
    notes = flat.notes + _unused(files, set(flat.files))
    found = _Facts(flat.text)
    if flat.too_large:
        return Document(None, "", main, len(flat.files), 0, 0, found.language, notes)
    defined = collect(without_comments(files[name]) for name in flat.packages)
    expanded = expand(
        flat.text, chars_max, formulas=options.macros == "expand", verbatim=flat.verbatim, defined=defined
    )
    tokens = tokenize(expanded.text, flat.verbatim)
    first, end = _body(tokens)
    converter = TextConverter(tokens, found.theorems, tables=options.tables == "rows", bibliography=keep)
    title = converter.title()
    body = converter.convert(first, end)
    if options.to == "latex":
        source = flat.text if options.macros == "keep" else expanded.text
        text = _latex(source, defined, keep_macros=options.macros == "keep")
    else:
        text = _compose(title, body, expanded.definitions)
    counts = converter.counts
    return Document(
        text,
        title,
        main,
        len(flat.files),
        counts.n_formulas,
        counts.n_sections,
        found.language,
        notes + expanded.notes,
    )


class _Facts:
    """What a source says of itself beside its text."""

    def __init__(self, source: str) -> None:
        self.language = "ko" if KOREAN.search(source) else None
        self.theorems = {(m[1] or m[4]).strip(): (m[2] or m[3]).strip() for m in NEW_THEOREM.finditer(source)}


def _unused(files: Mapping[str, str], read: set[str]) -> list[Note]:
    """The .tex files with text that no file includes, in order of their names."""
    names = (name for name in sorted(files) if name not in read and name.lower().endswith(SUFFIXES))
    return [Note("unused_file", name) for name in names if _has_text(files[name])]


def _has_text(source: str) -> bool:
    return len(without_comments(source[: 1 << 20]).strip()) >= UNUSED_CHARS_MIN


def _body(tokens: Tokens) -> tuple[int, int]:
    """The tokens between `\\begin{document}` and its end; all of them in plain TeX, which has neither.

    Of several, which a preamble or a manual may show, the longest.
    """
    bodies = []
    for index in range(len(tokens)):
        if tokens.source[tokens.starts[index]] == "\\" and environment(tokens.text(index)) == ("begin", "document"):
            last = tokens.partner[index]
            bodies.append((index + 1, last if last > index else len(tokens)))
    return max(bodies, key=lambda body: body[1] - body[0], default=(0, len(tokens)))


def _compose(title: str, body: str, definitions: list[str]) -> str:
    parts = [f"# {title}" if title else "", body.strip(), "\n".join(definitions)]
    return "\n\n".join(part for part in parts if part)


def _latex(source: str, defined: list[Macro | Environment], *, keep_macros: bool) -> str:
    """The source from `\\begin{document}` on, behind the definitions that stood before it."""
    at = source.find("\\begin{document}")
    if at < 0 or not keep_macros:
        return source[max(at, 0) :].strip()
    definitions = [*defined, *collect([source[:at]])]
    lines = [d.begin.source if isinstance(d, Environment) else d.source for d in definitions]
    return "\n".join([*dict.fromkeys(lines), source[at:].strip()])
