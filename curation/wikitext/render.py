"""Wikitext read token by token, and written as text with marks for what only whole lines can decide."""

import html
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from curation.wikitext.links import external_link, wikilink
from curation.wikitext.marks import GONE, HEADING, LIST, VERBATIM_CLOSE, VERBATIM_OPEN
from curation.wikitext.names import Namespaces, Templates
from curation.wikitext.tags import FORMULA_TAGS, tag
from curation.wikitext.templates import template
from curation.wikitext.tokens import token_types, tokenize
from manifests.schema_readers import Mediawiki

_VERBATIM = re.compile(rf"{VERBATIM_OPEN}(\d+){VERBATIM_CLOSE}")
_ENTITIES = {"nbsp": " ", "thinsp": " ", "ensp": " ", "emsp": " ", "160": " ", "lt": "\ufdd8", "60": "\ufdd8"}
"""`<` stays apart from what is markup until the end (see wikitext_guard.py)."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Something kept to the letter: a formula, code, or text that is no markup."""

    kind: str  # formula | code | inline | text
    text: str
    tag: str = ""  # math, chem or ce of a formula; the language of code
    display: bool = False


@dataclass(slots=True)
class Findings:
    """What was met on a page."""

    n_formulas: int = 0
    lost_formulas: Counter[str] = field(default_factory=Counter)  # by where
    n_templates_dropped: int = 0
    unknown_templates: dict[str, None] = field(default_factory=dict)  # ordered
    dropped_functions: dict[str, None] = field(default_factory=dict)
    disambiguation: bool = False


class Renderer:
    """One page, or a part of it that was stored apart."""

    def __init__(
        self,
        policy: Mediawiki,
        templates: Templates,
        namespaces: Namespaces,
        language: str,
        title: str,
    ) -> None:
        self.tokens: list[Any] = []
        self.at = 0
        self.policy, self.templates, self.namespaces = policy, templates, namespaces
        self.language, self.title = language, title
        self.types = token_types()
        self.verbatim: list[Verbatim] = []
        self.found = Findings()
        self.in_formula = False
        self.stop: Any = None
        self.content_end = frozenset({self.types.TagOpenClose})

    def part(self, text: str) -> str:
        """The text of wikitext that is taken apart by itself: a page, a section, a caption of a gallery."""
        before = self.tokens, self.at, self.in_formula
        try:
            self.tokens, self.at, self.in_formula = tokenize(text), 0, False
            return self.run(frozenset())
        finally:
            self.tokens, self.at, self.in_formula = before

    def one(self) -> str:
        """The text of the next token, and of what belongs to it."""
        token = self.tokens[self.at]
        self.at += 1
        return token["text"] if type(token) is self.types.Text else _handlers()[type(token)](self, token)

    def run(self, stops: frozenset[Any]) -> str:
        """The text up to a token of one of the types, which is passed and left in `stop`; else to the end."""
        out: list[str] = []
        tokens, handlers, text_type = self.tokens, _handlers(), self.types.Text
        at, n_tokens = self.at, len(self.tokens)
        while at < n_tokens:
            token = tokens[at]
            kind = type(token)
            at += 1
            if kind is text_type:
                out.append(token["text"])
            elif kind in stops:
                self.at, self.stop = at, kind
                return "".join(out)
            else:
                self.at = at
                out.append(handlers[kind](self, token))
                at = self.at
        self.at, self.stop = at, None
        return "".join(out)

    def keep(self, verbatim: Verbatim) -> str:
        """The mark that stands for something kept to the letter."""
        self.verbatim.append(verbatim)
        return f"{VERBATIM_OPEN}{len(self.verbatim) - 1}{VERBATIM_CLOSE}"

    def kept(self, kind: str, text: str, tag_name: str = "") -> str:
        """The mark of code, or of text that is no markup."""
        return self.keep(Verbatim(kind, text, tag_name)) if text else ""

    def heading(self, level: int, title: str) -> str:
        """The line of a heading."""
        return f"\n{HEADING}{level}{' '.join(title.split())}\n"

    def formula(self, tex: str, tag_name: str = "math", *, display: bool = False) -> str:
        """A formula; inside another one it is a part of that."""
        for mark in (HEADING, LIST, GONE):
            if mark in tex:
                tex = tex.replace(mark, "")
        tex = tex.strip()
        if self.in_formula or not tex:
            return f"\\ce{{{tex}}}" if tex and tag_name != "math" else tex
        self.found.n_formulas += 1
        if VERBATIM_OPEN in tex:  # code or text inside it
            tex = _VERBATIM.sub(lambda found: self.verbatim[int(found[1])].text, tex)
        return self.keep(Verbatim("formula", tex, tag_name, display))

    def skip(self, opening: Any, closings: frozenset[Any], where: str | None) -> None:
        """Go behind the end of what has been opened by a token of type `opening`.

        Formulas on the way count as lost `where`; None is inside a formula, which has been counted.
        """
        depth, tokens, at = 1, self.tokens, self.at
        tag_open, template_open = self.types.TagOpenOpen, self.types.TemplateOpen
        while depth:
            kind = type(tokens[at])
            at += 1
            if kind in closings:
                depth -= 1
            elif where and kind is template_open and self._is_formula(at):
                self._lose(where)
                self.at = at
                self.skip(template_open, frozenset({self.types.TemplateClose}), None)
                at = self.at
            elif kind is opening:
                depth += 1
            if where and kind is tag_open and self._begins_formula(at):
                self._lose(where)
        self.at = at

    def skip_tag(self, where: str | None) -> None:
        """Go behind the end of a tag whose name is the next token."""
        self.skip(self.types.TagOpenOpen, _tag_ends(), where)

    def skip_template(self, where: str | None) -> None:
        """Go behind the end of a template."""
        self.skip(self.types.TemplateOpen, frozenset({self.types.TemplateClose}), where)

    def _lose(self, where: str) -> None:
        self.found.n_formulas += 1
        self.found.lost_formulas[where] += 1

    def _is_formula(self, at: int) -> bool:
        name = self.tokens[at].get("text")
        return name is not None and self.templates.find(name)[1].kind == "formula"

    def _begins_formula(self, at: int) -> bool:
        name = self.tokens[at].get("text")
        begins = name is not None and name.strip().lower() in FORMULA_TAGS
        return begins and type(self.tokens[at + 1]) is not self.types.TagCloseSelfclose


@cache
def _tag_ends() -> frozenset[Any]:
    types = token_types()
    return frozenset({types.TagCloseClose, types.TagCloseSelfclose})


@cache
def _handlers() -> dict[Any, Callable[[Renderer, Any], str]]:
    types = token_types()
    handlers: dict[Any, Callable[[Renderer, Any], str]] = {
        types.WikilinkOpen: wikilink,
        types.ExternalLinkOpen: external_link,
        types.TemplateOpen: template,
        types.TagOpenOpen: tag,
        types.HTMLEntityStart: _entity,
        types.HeadingStart: _heading,
        types.CommentStart: _comment,
        types.ArgumentOpen: _argument,
    }
    others = {getattr(types, name) for name in types.__all__ if name != "Token"} - handlers.keys()
    return handlers | dict.fromkeys(others, lambda page, token: "")


def _entity(page: Renderer, token: Any) -> str:
    numeric, hexadecimal = "", ""
    while type(token := page.tokens[page.at]) is not page.types.Text:
        numeric = "#"
        hexadecimal = token.get("char") or ""
        page.at += 1
    page.at += 2  # the text and the end
    known = _ENTITIES.get(token["text"])
    return known if known and not hexadecimal else html.unescape(f"&{numeric}{hexadecimal}{token['text']};")


def _heading(page: Renderer, token: Any) -> str:
    title = page.run(frozenset({page.types.HeadingEnd}))
    return page.heading(token["level"], title)


def _comment(page: Renderer, token: Any) -> str:
    page.skip(page.types.CommentStart, frozenset({page.types.CommentEnd}), None)
    return ""


def _argument(page: Renderer, token: Any) -> str:
    """`{{{1|default}}}`, which only templates have: the default."""
    page.run(frozenset({page.types.ArgumentSeparator, page.types.ArgumentClose}))
    if page.stop is page.types.ArgumentClose:
        return ""
    return page.run(frozenset({page.types.ArgumentClose}))
