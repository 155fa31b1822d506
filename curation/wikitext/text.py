"""Wikitext to text: prose, headings, lists, tables by policy, and every formula to the letter.

text -> wikitext_guard -> wikitext_tokens -> wikitext_render (links, tags, templates, tables) -> wikitext_tidy
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from curation.read_batch import Note
from curation.wikitext.guard import with_marks, without_unclosed
from curation.wikitext.marks import VERBATIM_CLOSE, VERBATIM_OPEN, without_reserved
from curation.wikitext.names import Namespaces, Templates, name_set, namespaces
from curation.wikitext.render import Renderer, Verbatim
from curation.wikitext.tidy import lines_of
from curation.wikitext.tokens import collector_paused
from manifests.schema_readers import Mediawiki

MAX_NOTED_TEMPLATES = 10

_INDENTED_TABLE = re.compile(r"^[: ]{1,20}(?=\{\|)", re.MULTILINE)
_SECTION = re.compile(r"^(?==)", re.MULTILINE)
_VERBATIM = re.compile(rf"{VERBATIM_OPEN}(\d+){VERBATIM_CLOSE}")


@dataclass(frozen=True, slots=True)
class PageText:
    """What became of a page."""

    text: str
    n_formulas: int  # that stand in the text
    n_formulas_in: int  # that stood in the wikitext, outside comments and `<nowiki>`
    n_templates_dropped: int
    disambiguation: bool
    notes: tuple[Note, ...] = ()


class Converter:
    """Turns pages of one wiki into text.

    Args:
        policy: what is kept, and how.
        names: the wiki's own names of its namespaces, by number.
        language: of the wiki, as `ko`; names of languages and dates are written in it.
    """

    def __init__(self, policy: Mediawiki, names: dict[int, str] | None = None, language: str = "en") -> None:
        self.policy, self.language = policy, language
        self.templates = Templates(policy.keep_templates)
        self.namespaces: Namespaces = namespaces(names)
        given = policy.drop_sections
        self.sections = name_set("sections") if given is None else frozenset(title.lower().strip() for title in given)

    def text_of(self, wikitext: str, title: str = "") -> PageText:
        """The text of a page. Whatever the wikitext is, there is one, in time that follows its length."""
        with collector_paused():
            return self._text_of(_with_plain_tables(without_reserved(wikitext.replace("\r\n", "\n"))), title)

    def _text_of(self, wikitext: str, title: str) -> PageText:
        guarded, n_unclosed = without_unclosed(wikitext)
        notes = [Note("unclosed_markup", f"{n_unclosed} openings without an end")] if n_unclosed else []
        page = self._renderer(title)
        try:
            rendered = page.part(guarded)
        except _parser_errors():
            page = self._renderer(title)
            rendered, n_failed = _by_sections(page, guarded)
            notes.append(Note("parser_failed", f"{n_failed} sections are read as plain text"))
        return self._page_text(page, rendered, notes)

    def _renderer(self, title: str) -> Renderer:
        return Renderer(self.policy, self.templates, self.namespaces, self.language, title)

    def _page_text(self, page: Renderer, rendered: str, notes: list[Note]) -> PageText:
        lined, alone, lost = lines_of(rendered, self.sections)
        placed = Counter(int(number) for number in _VERBATIM.findall(lined))
        n_formulas = sum(page.verbatim[number].kind == "formula" for number in placed)
        text = self._with_verbatim(lined, page.verbatim, frozenset(alone))
        found = page.found
        found.lost_formulas["section"] += sum(page.verbatim[number].kind == "formula" for number in lost)
        notes += _formula_notes(found.n_formulas, n_formulas, found.lost_formulas)
        for kind, names in (
            ("unknown_template", found.unknown_templates),
            ("parser_function", found.dropped_functions),
        ):
            notes += [Note(kind, name) for name in list(names)[:MAX_NOTED_TEMPLATES]]
        return PageText(
            text=with_marks(text),
            n_formulas=n_formulas,
            n_formulas_in=found.n_formulas,
            n_templates_dropped=found.n_templates_dropped,
            disambiguation=found.disambiguation,
            notes=tuple(notes),
        )

    def _with_verbatim(self, text: str, verbatim: list[Verbatim], alone: frozenset[int]) -> str:
        if VERBATIM_OPEN not in text:
            return text
        as_tags = self.policy.formulas == "tags"

        def written(found: re.Match[str]) -> str:
            number = int(found[1])
            return _written(verbatim[number], as_tags=as_tags, alone=number in alone)

        return _VERBATIM.sub(written, text)


def _with_plain_tables(wikitext: str) -> str:
    """Tables that are written with `{{!}}`, as in templates, or behind colons, as the tokenizer knows them."""
    if "{{{!}}" in wikitext:
        wikitext = wikitext.replace("{{{!}}", "{|").replace("{{!}}}", "|}").replace("\n{{!}}", "\n|")
    return _INDENTED_TABLE.sub("", wikitext) if ":{|" in wikitext or ": {|" in wikitext else wikitext


@cache
def _parser_errors() -> tuple[type[Exception], ...]:
    from mwparserfromhell.parser import ParserError

    return (ParserError, RecursionError, LookupError, AttributeError)


def _by_sections(page: Renderer, guarded: str) -> tuple[str, int]:
    """The text of sections read one by one, and how many of them are left as they are written.

    Where the tokenizer fails, or loses the end of something that it has begun, so that the tokens end too early.
    """
    parts, n_failed = [], 0
    for section in _SECTION.split(guarded):
        try:
            parts.append(page.part(section))
        except _parser_errors():
            parts.append(section)
            n_failed += 1
    return "".join(parts), n_failed


def _written(part: Verbatim, *, as_tags: bool, alone: bool) -> str:
    if part.kind == "code":
        return f"```{part.tag}\n{part.text.strip(chr(10))}\n```"
    if part.kind == "inline":
        return f"`{part.text}`"
    if part.kind == "text":
        return part.text
    display = part.display or alone
    if as_tags:
        return f"<{part.tag}{' display=' + chr(34) + 'block' + chr(34) if display else ''}>{part.text}</{part.tag}>"
    tex = part.text if part.tag == "math" else f"\\ce{{{part.text}}}"
    return f"$${tex}$$" if display else f"${tex}$"


def _formula_notes(n_in: int, n_out: int, lost: Counter[str]) -> list[Note]:
    if n_in == n_out:
        return []
    rest = n_in - n_out - lost.total()
    where = [f"{n} in {place}" for place, n in sorted(lost.items()) if n] + ([f"{rest} elsewhere"] if rest else [])
    return [Note("formulas_dropped", f"{n_in - n_out} of {n_in}: {', '.join(where)}")]
