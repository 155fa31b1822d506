"""What the tests of dumps share: pages, dumps of them as MediaWiki exports them, and formulas counted another way."""

import bz2
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

PAGES = Path(__file__).with_name("wiki")


@dataclass(frozen=True)
class WikiPage:
    """A page to be exported."""

    title: str
    text: str
    number: int = 1
    namespace: int = 0
    redirect: str | None = None
    model: str = "wikitext"


def written_pages(language: str) -> list[WikiPage]:
    """The articles of `wiki/LANGUAGE.txt`, which were written for these tests."""
    parts = (PAGES / f"{language}.txt").read_text(encoding="utf-8").split("%%%% ")[1:]
    split = (part.partition("\n") for part in parts)
    return [WikiPage(title, text.rstrip("\n"), number) for number, (title, _, text) in enumerate(split, 1)]


def head(language: str = "ko", version: str = "0.11") -> str:
    """The beginning of a dump."""
    names = {"ko": ("특수", "파일", "분류"), "en": ("Special", "File", "Category")}[language]
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-{version}/" version="{version}" '
        f'xml:lang="{language}">\n'
        f"  <siteinfo>\n    <sitename>Wikipedia</sitename>\n    <dbname>{language}wiki</dbname>\n"
        f"    <base>https://{language}.wikipedia.org/wiki/Main_Page</base>\n    <case>first-letter</case>\n"
        f'    <namespaces>\n      <namespace key="-1" case="first-letter">{names[0]}</namespace>\n'
        f'      <namespace key="0" case="first-letter" />\n      <namespace key="6">{names[1]}</namespace>\n'
        f'      <namespace key="14">{names[2]}</namespace>\n    </namespaces>\n  </siteinfo>\n'
    )


def page_xml(page: WikiPage, version: str = "0.11") -> str:
    """A page as a dump holds it."""
    redirect = f"    <redirect title={quoteattr(page.redirect)} />\n" if page.redirect is not None else ""
    origin = f"      <origin>{page.number + 9000}</origin>\n" if version != "0.10" else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n"
        f"    <id>{page.number}</id>\n{redirect}    <revision>\n      <id>{page.number + 9000}</id>\n"
        f"      <parentid>1</parentid>\n"
        f"      <timestamp>2026-01-02T03:04:05Z</timestamp>\n      <contributor><username>u</username><id>7</id>"
        f"</contributor>\n      <comment>c &lt;page&gt;</comment>\n{origin}      <model>{page.model}</model>\n"
        f'      <format>text/x-wiki</format>\n      <text bytes="{len(page.text.encode())}" xml:space="preserve">'
        f"{escape(page.text)}</text>\n      <sha1>x</sha1>\n    </revision>\n  </page>\n"
    )


def dump(pages: Sequence[WikiPage], language: str = "ko", version: str = "0.11") -> bytes:
    """A dump without compression."""
    return (head(language, version) + "".join(page_xml(page, version) for page in pages) + "</mediawiki>\n").encode()


def streams(pages: Sequence[WikiPage], n_per_stream: int, language: str = "ko") -> list[bytes]:
    """The bzip2 streams of a multistream dump: the head, groups of pages, and the end."""
    groups = [pages[at : at + n_per_stream] for at in range(0, len(pages), n_per_stream)]
    texts = [head(language), *("".join(map(page_xml, group)) for group in groups), "</mediawiki>\n"]
    return [bz2.compress(text.encode()) for text in texts]


_NO_MARKUP = re.compile(
    r"<!--.*?-->|<(nowiki|pre|source|syntaxhighlight)\b[^<>]*(?<!/)>.*?</\1\s*>", re.DOTALL | re.IGNORECASE
)
_FORMULA_TAG = re.compile(r"<(math|chem|ce)\b[^<>]*(?<!/)>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
_INNERMOST = re.compile(r"\{\{((?:[^{}]|(?<!\{)\{(?!\{)|(?<!\})\}(?!\}))*)\}\}")
_FORMULA_TEMPLATES = frozenset({"math", "mvar", "tmath", "chem", "chem2", "수식", "수학", "큰 수식"})
_FRACTIONS = frozenset({"frac", "sfrac", "radic"})
FORMULA = "\x01"


def latex_of(wikitext: str) -> list[str]:
    """What stands in the tags of formulas of a page, found with patterns."""
    return [found[2].strip() for found in _FORMULA_TAG.finditer(_NO_MARKUP.sub("", wikitext))]


def count_formulas(wikitext: str) -> int:
    """How many formulas a page has, counted from the innermost outward; one inside another is a part of it."""
    text = _FORMULA_TAG.sub(FORMULA, _NO_MARKUP.sub("", wikitext))
    while (replaced := _INNERMOST.sub(_outward, text)) != text:
        text = replaced
    return text.count(FORMULA)


def _outward(found: re.Match[str]) -> str:
    name, *arguments = found[1].split("|")
    name = name.strip().lower()
    is_fraction = name in _FRACTIONS and not all(argument.strip().isdigit() for argument in arguments)
    return FORMULA if name in _FORMULA_TEMPLATES or is_fraction else f"({found[1]})"
