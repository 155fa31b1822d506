"""The parts of a tag in a stream of tokens: attributes, content as it is written, end."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.wikitext.render import Renderer

_GONE_CLASSES = (
    "navbox",
    "metadata",
    "noprint",
    "ambox",
    "mbox",
    "toc",
    "sidebar",
    "catlinks",
    "reflist",
    "nomobile",
)


def tag_attributes(page: "Renderer") -> tuple[dict[str, str], bool]:
    """The attributes of a tag whose name has been passed, and whether it has no content; goes to where it begins."""
    types, tokens = page.types, page.tokens
    attributes: dict[str, str] = {}
    name, value, in_value = "", "", False
    while True:
        token = tokens[page.at]
        kind = type(token)
        page.at += 1
        if kind is types.Text:
            name, value = (name, value + token["text"]) if in_value else (name + token["text"], value)
        elif kind is types.TagAttrEquals:
            in_value = True
        elif kind in (types.TagAttrStart, types.TagCloseOpen, types.TagCloseSelfclose):
            if name:
                attributes[name.strip().lower()] = value.strip()
            name, value, in_value = "", "", False
            if kind is not types.TagAttrStart:
                return attributes, kind is types.TagCloseSelfclose
        elif kind is types.TemplateOpen:
            page.skip_template("attribute")
        elif kind is types.TagOpenOpen:
            page.skip_tag("attribute")


def end_of_content(page: "Renderer") -> None:
    """Go behind the closing tag, of which `</` has been passed."""
    while type(page.tokens[page.at]) is not page.types.TagCloseClose:
        page.at += 1
    page.at += 1


def is_gone(attributes: dict[str, str]) -> bool:
    """Whether an element is furniture of the page, or not to be seen."""
    classes = attributes.get("class", "").lower()
    hidden = "display:none" in attributes.get("style", "").replace(" ", "").lower()
    return hidden or any(part.startswith(_GONE_CLASSES) for part in classes.split())


def raw_content(page: "Renderer") -> str:
    """The content of a tag that holds no markup, as it is written."""
    parts, types = [], page.types
    while type(token := page.tokens[page.at]) is not types.TagOpenClose:
        kind = type(token)
        marks = {types.HTMLEntityStart: "&", types.HTMLEntityNumeric: "#", types.HTMLEntityEnd: ";"}
        parts.append(token.get("text") or token.get("char") or marks.get(kind, ""))
        page.at += 1
    end_of_content(page)
    return "".join(parts)
