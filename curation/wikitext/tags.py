"""Tags of wikitext, those of HTML and those of MediaWiki's extensions."""

from typing import TYPE_CHECKING, Any

from curation.wikitext.elements import end_of_content, is_gone, raw_content, tag_attributes
from curation.wikitext.guard import without_unclosed
from curation.wikitext.marks import LIST, lowered, raised
from curation.wikitext.tables import table

if TYPE_CHECKING:
    from curation.wikitext.render import Renderer


def _names(written: str) -> frozenset[str]:
    return frozenset(written.split())


FORMULA_TAGS = frozenset({"math", "chem", "ce"})
_DROPPED = _names(
    """ref references timeline graph score templatedata imagemap categorytree inputbox hiero maplink mapframe
    indicator includeonly templatestyles del rp section style script img input form video audio charinsert
    dynamicpagelist languages phonos data embedvideo"""
)
_CODE = frozenset({"pre", "syntaxhighlight", "source"})
_BLOCKS = _names(
    """div p blockquote center poem dl ul ol dd dt li tr td th table caption tbody thead tfoot section article aside
    gallery details summary figure figcaption address"""
)


def tag(page: "Renderer", token: Any) -> str:
    """A tag whose beginning has just been passed, to its end."""
    mark = token.get("wiki_markup")
    name = page.tokens[page.at].get("text", "").strip().lower()
    if mark and mark in "*#:;":
        page.at += 2
        return f"{LIST}{mark}"
    if mark and mark.startswith("--"):
        page.skip_tag(None)
        return "\n\n"
    if name in _DROPPED:
        page.skip_tag("reference" if name.startswith("ref") else f"<{name}>")
        return ""
    page.at += 1
    attributes, closed = tag_attributes(page)
    if closed:
        return _single(name)
    if name == "table" or mark == "{|":
        return table(page, attributes)
    return _element(page, name, attributes)


def _single(name: str) -> str:
    if name in ("br", "hr", "p"):
        return "\n"
    return f"\n{LIST}*" if name == "li" else "\n" if name in _BLOCKS else ""


def _element(page: "Renderer", name: str, attributes: dict[str, str]) -> str:
    if name in FORMULA_TAGS:
        return page.formula(raw_content(page), name, display=attributes.get("display", "").lower() == "block")
    if name in _CODE:
        return _code(page, name, attributes)
    if name == "nowiki":
        return page.kept("text", raw_content(page))
    if name == "gallery":
        return _gallery(page)
    if is_gone(attributes):
        page.skip_tag("hidden")
        return ""
    content = page.run(page.content_end)
    end_of_content(page)
    return _written(page, name, content)


def _written(page: "Renderer", name: str, content: str) -> str:
    if name == "sup":
        return raised(content, formula=page.in_formula)
    if name == "sub":
        return lowered(content, formula=page.in_formula)
    if name in ("code", "tt", "kbd", "samp") and not page.in_formula:
        return f"`{content.strip()}`" if name == "code" and content.strip() and "`" not in content else content
    if name == "rt":
        return f"({content.strip()})" if content.strip() else ""
    if name in ("rp", "rtc"):
        return ""
    if name in ("h1", "h2", "h3", "h4", "h5", "h6"):
        return page.heading(int(name[1]), content)
    if name == "li":
        return f"\n{LIST}*{content.strip()}\n"
    return f"\n{content}\n" if name in _BLOCKS else content


def _code(page: "Renderer", name: str, attributes: dict[str, str]) -> str:
    text = raw_content(page)
    if not text.strip():
        return ""
    if "inline" in attributes:
        return page.kept("inline", text.strip())
    language = attributes.get("lang", "") if name != "pre" else ""
    return f"\n\n{page.kept('code', text, language)}\n\n"


def _gallery(page: "Renderer") -> str:
    """The captions of `File:name|caption` lines."""
    captions = [line.partition("|")[2] for line in raw_content(page).splitlines()]
    texts = [
        page.part(without_unclosed(_without_options(caption))[0]).strip() for caption in captions if caption.strip()
    ]
    if page.policy.captions == "drop":
        return ""
    return "".join(f"\n{LIST}*{text}" for text in texts if text) + "\n"


def _without_options(caption: str) -> str:
    while caption.strip().lower().startswith(("alt=", "link=", "대체글=", "링크=")):
        caption = caption.partition("|")[2]
    return caption
