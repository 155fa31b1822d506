"""What a page and the server that sent it tell robots: directives of meta tags, of X-Robots-Tag, and reserved rights.

Read are `<meta name="robots">` and those of single robots, X-Robots-Tag (developers.google.com, robots meta tag),
`noai` and `noimageai` (DeviantArt), `tdm-reservation` as tag and header (W3C TDMRep), and `train-ai=n` in
Content-Usage (IETF aipref, a draft). Nothing follows from them unless a rule says so.
"""

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.contracts import ROBOTS_TYPE
from manifests.schema_addresses import Robots

FIELDS = tuple(field.name for field in ROBOTS_TYPE)

_MEANS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in FIELDS[:-1]},
    "none": ("noindex", "nofollow"),
    "nocache": ("noarchive",),
    "noml": ("noai",),
    "max-snippet:0": ("nosnippet",),
}
_WITH_VALUE = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})

# What does not end swallows the rest, as in browsers, so that no page takes longer than its length.
_VALUE = rb"""=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))"""
_TAG = rb"meta(?=[\s/])(?:" + _VALUE + rb"|[^>=]++|=)*+(?:>|\Z)"
_COMMENT = rb"!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>|\Z))"
_RAW = rb"(?P<raw>script|style|title|textarea|template|xmp|iframe)(?=[\s/>])(?:[^<]++|<(?!/(?P=raw)[\s/>]))*+"
_TAGS = re.compile(rb"<(?:" + _COMMENT + rb"|" + _RAW + rb"|(?P<meta>" + _TAG + rb"))", re.IGNORECASE)
_ONE_TAG, _LOOKED_AT = re.compile(rb"<" + _TAG, re.IGNORECASE), 1024
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def robots_column(
    contents: pa.LargeBinaryArray, kinds: pa.StringArray, headers: pa.StringArray, of: Robots
) -> pa.Array:
    """What n records say to robots (ROBOTS_TYPE), null for those that can say nothing: text without headers.

    Args:
        contents: shape (n,), as read; null where reading failed.
        kinds: `html` or `text`.
        headers: lines NAME: VALUE (`read_http.robots_headers`); null where the record came without headers.
        of: whose directives count.
    """
    is_page = pc.and_(pc.equal(kinds, "html"), pc.is_valid(contents))
    speaks = pc.or_(is_page, pc.is_valid(headers))
    found = [frozenset[str]()] * len(contents)
    for row in np.flatnonzero(np.asarray(pc.fill_null(pc.greater(pc.utf8_length(headers), 0), False))):
        found[row] = of_headers(headers[int(row)].as_py(), of)
    for row in np.flatnonzero(np.asarray(is_page)):
        found[row] |= of_page(contents[int(row)].as_py(), of)
    columns = [pa.array([name in said for said in found], pa.bool_()) for name in FIELDS]
    return pa.StructArray.from_arrays(columns, fields=list(ROBOTS_TYPE), mask=pc.invert(speaks))


def _may_say(content: bytes, of: Robots) -> bool:
    """Whether a page has a tag that says something, be it in a comment or a script; few have."""
    if content.startswith(_UTF_16):
        return True
    lower, names = content.lower(), _names(of.agents)
    place = lower.find(b"<meta")
    while place >= 0:
        following = lower.find(b"<meta", place + 1)
        end = min(place + _LOOKED_AT, following if following >= 0 else len(lower))
        found = _ONE_TAG.match(content, place, end)
        if found and names.search(found[0]) and (not found[0].endswith(b">") or _of_tag(found[0], of)):
            return True
        place = following
    return False


@lru_cache(8)
def _names(agents: tuple[str, ...]) -> re.Pattern[bytes]:
    names = "|".join(re.escape(name) for name in ("robots", "tdm-reservation", *agents))
    # Nothing is looked at twice, so that a tag of white space takes no longer than its length.
    return re.compile(rf"""name\s*+=\s*+["']?+\s*+(?:{names}|[^\s"'>=&]*+&)""".encode(), re.IGNORECASE)


def of_headers(lines: str, of: Robots) -> frozenset[str]:
    """The fields that the headers of a response set; `lines` as in `robots_column`."""
    found = set[str]()
    for line in lines.split("\n"):
        name, _, value = line.partition(":")
        found |= _of_header(name.strip().lower(), value.strip(), of)
    return frozenset(found)


def _of_header(name: str, value: str, of: Robots) -> set[str]:
    if name == "x-robots-tag":
        return _meant(_for_agents(value, of))
    if name == "tdm-reservation":
        return {"tdm_reserved"} if value == "1" else set()
    usages = {part.strip().lower().replace(" ", "") for part in value.split(",")}
    return {"noai"} if name == "content-usage" and "train-ai=n" in usages else set()


def _for_agents(value: str, of: Robots) -> Iterator[str]:
    """The directives of an X-Robots-Tag that count: `AGENT:` before one holds for those after it too."""
    counts = True
    for part in value.split(","):
        name, colon, rest = (piece.strip() for piece in part.partition(":"))
        if colon and name.lower() not in _WITH_VALUE and " " not in name:
            counts, part = name.lower() in (*of.agents, "robots", "*"), rest
        if counts:
            yield part


def _meant(directives: Iterable[str]) -> set[str]:
    return {name for said in directives for name in _MEANS.get("".join(said.lower().split()), ())}


def of_page(content: bytes, of: Robots) -> frozenset[str]:
    """The fields that the meta tags of a page set; those in comments and scripts are none."""
    if not _may_say(content, of):
        return frozenset()
    if content.startswith(_UTF_16):
        content = content.decode("utf-16", "replace").encode()
    found = set[str]()
    for match in _TAGS.finditer(content):
        if match["meta"] and match["meta"].endswith(b">"):
            found |= _of_tag(b"<" + match["meta"], of)
    return frozenset(found)


def _of_tag(tag: bytes, of: Robots) -> set[str]:
    attributes = dict[str, str]()
    for found in _ATTRIBUTE.finditer(tag[5:-1].decode("utf-8", "replace")):
        attributes.setdefault(found[1].lower(), found[2] or found[3] or found[4] or "")
    name, said = (html.unescape(attributes.get(key, "")).strip() for key in ("name", "content"))
    if name.lower() == "tdm-reservation":
        return {"tdm_reserved"} if said == "1" else set()
    return _meant(said.split(",")) if name.lower() in (*of.agents, "robots") else set()
