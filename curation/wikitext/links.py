"""Links of wikitext: what a reader sees of them, captions of images, and what is no part of the text."""

import re
from typing import TYPE_CHECKING, Any

from curation.wikitext.names import name_set

if TYPE_CHECKING:
    from curation.wikitext.render import Renderer

_INTERWIKI = re.compile(
    r"(?:[a-z]{2,3}|simple|zh-[a-z-]+|be-tarask|be-x-old|roa-rup|map-bms|bat-smg|fiu-vro|nds-nl):(?=.)"
)
_SIZE = re.compile(
    r"(?:\d*x)?\d+ ?(?:px|픽셀)|(?:upright|위로|alt|대체글|link|링크|page|쪽|lang|언어|class|thumbtime|start|end|"
    r"섬네일|thumb|thumbnail) ?=.*",
    re.DOTALL,
)


def wikilink(page: "Renderer", token: Any) -> str:
    """`[[target|text]]`: the text, or the target; of a file its caption."""
    types, tokens, at = page.types, page.tokens, page.at
    first = tokens[at]
    kind = type(tokens[at + 1]) if type(first) is types.Text else None
    if kind in (types.WikilinkClose, types.WikilinkSeparator):
        target: str = first["text"]
        page.at, page.stop = at + 2, kind
    else:
        target = page.run(frozenset({types.WikilinkSeparator, types.WikilinkClose}))
    has_text = page.stop is types.WikilinkSeparator
    if ":" in target:
        return _with_namespace(page, target, has_text=has_text)
    if has_text:
        return page.run(frozenset({types.WikilinkClose})) or _without_brackets(target)
    return target


def _with_namespace(page: "Renderer", target: str, *, has_text: bool) -> str:
    target = target.strip()
    prefix = target.partition(":")[0].strip().lower()
    if prefix in page.namespaces.file:
        return _caption(page) if has_text else ""
    gone = prefix in page.namespaces.category or (not has_text and _INTERWIKI.match(target.lower()) is not None)
    if gone:
        if has_text:
            page.skip(page.types.WikilinkOpen, frozenset({page.types.WikilinkClose}), "category")
        return ""
    if has_text:
        return page.run(frozenset({page.types.WikilinkClose})) or _without_brackets(target)
    return target.removeprefix(":")


def _without_brackets(target: str) -> str:
    """`[[Seoul (city)|]]`: what the software shows."""
    return target.partition(" (")[0].rpartition(":")[2]


def _caption(page: "Renderer") -> str:
    """The last part of `[[File:name|thumb|right|caption]]` that is no option."""
    if page.policy.captions == "drop":
        page.skip(page.types.WikilinkOpen, frozenset({page.types.WikilinkClose}), "caption")
        return ""
    parts = _parts(page)
    options = name_set("image_options")
    texts = [part for part in parts if part.lower() not in options and not _SIZE.fullmatch(part.lower())]
    is_framed = any(
        part.lower() in name_set("framed") or part.lower().startswith(("thumb", "섬네일")) for part in parts
    )
    return f"\n\n{texts[-1]}\n\n" if texts and is_framed else ""


def _parts(page: "Renderer") -> list[str]:
    """What stands between the bars of a link, whose text is no further divided by the tokenizer."""
    parts = [""]
    types = page.types
    while True:
        token = page.tokens[page.at]
        if type(token) is types.Text:
            page.at += 1
            first, *others = token["text"].split("|")
            parts[-1] += first
            parts += others
            continue
        if type(token) is types.WikilinkClose:
            page.at += 1
            return [part.strip() for part in parts]
        parts[-1] += page.one()


def external_link(page: "Renderer", token: Any) -> str:
    """`[http://.. text]`: the text; an address in the running text stays, one in brackets alone is a number there."""
    types = page.types
    address = page.run(frozenset({types.ExternalLinkSeparator, types.ExternalLinkClose}))
    if page.stop is types.ExternalLinkSeparator:
        return page.run(frozenset({types.ExternalLinkClose}))
    return "" if token.get("brackets") else address
