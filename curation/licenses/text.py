"""Which files of a repository and which parts of a file speak of licences, and what of a notice says which one."""

import re
from dataclasses import dataclass

import xxhash

HEADER_BYTES = 16_384  # of a source file; notices stand at the top
HEADER_LINES = 200
LICENSE_BYTES_MAX = 262_144  # of a licence file; the longest texts in common use have about 50,000

LICENSE_NAME = re.compile(
    r"(un|mit[-_.]|bsd[-_.]|apache[-_.]|gpl[-_.]|lgpl[-_.])?(licen[cs]es?|licensing)([-_. ].*)?"
    r"|copying(3|[-_.]?(v[23]|lib|lesser|less|gpl.*|lgpl.*|bsd|mit|apache))?([-_. ].*)?|copyright([-_. ].*)?"
    r"|(gpl|lgpl|agpl|mpl|bsd|apache|artistic)([-_.]?v?\d(\.\d)?)?[-_.]?(licen[cs]e)?(\.txt|\.md)?"
    r"|.*[-_.]licen[cs]e(\.txt|\.md)?",
    re.IGNORECASE,
)
FOREIGN_NAME = re.compile(r".*[a-z].*[-_.]licen[cs]e(\.txt|\.md)?", re.IGNORECASE)
OWN_NAME = re.compile(
    r"(?:(?:the|un|new|modified|mit|x11|expat|bsd|apache|asl|gnu|l?gpl|agpl|mpl|isc|zlib|boost|bsl|epl|cc0?|artistic"
    r"|psf|python|ruby|perl|unicode|ofl|project|source|code|software|main|root|package|licen[cs]e|copying|copyright"
    r"|\d[\w.]*|clause)[\w.]{0,6}[-_. ]+)+licen[cs]e",
    re.IGNORECASE,
)
OTHERS_NAME = re.compile(
    r"third|3rd|vendor|bundle|depend|notice|thanks|font|logo|template|header|check|docs?\b", re.I
)
SOURCE_SUFFIX = re.compile(
    r"\.(py|pyi|js|mjs|cjs|ts|tsx|jsx|java|c|h|cc|cpp|hpp|go|rs|rb|php|sh|pl|pm|cs|kt|swift|json|ya?ml|xml|toml|html?"
    r"|css|svg|png|in|tmpl|m4)$",
    re.IGNORECASE,
)
README_NAME = re.compile(r"readme([-_. ].*)?", re.IGNORECASE)
PROSE_SUFFIX = (".txt", ".md", ".markdown", ".rst", ".adoc", ".asciidoc", ".org", ".textile", ".rdoc", ".pod")

FORBIDS = re.compile(
    r"proprietary|confidential|trade secret|unpublished|\bprohibited\b|not (?:be )?(?:permitted|allowed)"
    r"|(?:may|must|shall|can) ?not (?:be )?(?:copied|copy|used?|redistribut|distribut|reproduc|disclos|sell|sold)"
    r"|non-?commercial|internal use|without (?:the )?(?:express |explicit |prior |written )+(?:permission|consent)"
    r"|not for (?:commercial|military)|\b(?:must|shall|have to|required to|need to) (?:pay|buy|purchase|obtain a)\b"
    r"|\bpurposes? only\b|\bonly for\b[^.\n]{0,40}\b(?:use|purposes?)\b|\bforbidden\b|\bby the military\b"
    r"|licen[cs]e (?:does|shall|do) not (?:apply|cover|extend)"
    r"|목적으로만|용도로만|에만 사용|에 한하여|무단|금지|비영리|상업적|비상업",
    re.IGNORECASE,
)
"""Conditions that take away what a permissive licence gives."""

KOREAN_WORDS = "라이선스", "라이센스", "저작권", "무단", "사용권"
SPEAKS = re.compile(
    rb"licen[cs]|spdx-|copying|permission|redistribut|public domain|all rights reserved|proprietary|confidential"
    rb"|copyleft|\bgpl|\blgpl|\bagpl|\bmpl\b|\bcc0\b|unlicense|wtfpl|warrant|without restriction|trade secret"
    rb"|unpublished|non-?commercial|"
    + b"|".join(re.escape(word.encode(charset)) for word in KOREAN_WORDS for charset in ("utf-8", "cp949")),
    re.IGNORECASE,
)
"""What every notice of a licence holds in some form; a file without any of it is not looked at further."""

OPENS = r'/\*+|<!--|"""|\'\'\'|\(\*|\{-|--\[=*\[|%\{|#\||=begin|=pod|@license|@preserve'
CLOSES = r'\*+/|-->|"""|\'\'\'|\*\)|-\}|\]=*\]|%\}|\|#|=end|=cut'
LINE_SIGN = re.compile(
    r"^[ \t]*(?://+!?|#+!?|;+|--+|%+|!+|'+|\"(?!\"\")|\*+|dnl\b|rem\b|@rem\b|::|\.\\\"|'\\\"|\|+|@c\b|C\b(?=[ \t]))?"
    r"[ \t]?",
    re.IGNORECASE,
)
COMMENT_LINE = re.compile(
    r"^[ \t]*(?://|#|;|--|%|!|\*|\.\.[ \t]|dnl\b|rem\b|@rem\b|::|\.\\\"|'\\\"|@c\b|C[ \t])", re.IGNORECASE
)
QUOTE_LINE = re.compile(r"^[ \t]*['\"](?!['\"])")
QUOTE_SUFFIX = (".vim", ".vimrc", ".vb", ".vbs", ".bas", ".frm", ".cls")  # where a quotation mark begins a comment
OPENING, CLOSING = re.compile(OPENS), re.compile(CLOSES)

COPYRIGHT = re.compile(
    r"^\W*(?:\(c\)|©|copyright\b|copr\.|portions|저작권)\W*(?:\(c\)|©|\d{4}|by\b|copyright\b|all rights reserved)"
    r"(?:(?!licen[cs]e|permission|redistribut|public domain|proprietary|confidential).)*$",
    re.IGNORECASE,
)
RESERVED = re.compile(r"^\W*all rights reserved\W*$", re.IGNORECASE)
TAG = re.compile(
    r"""^[ \t]*(?:(?:@?rem|dnl|@?c)[ \t]|[^\w\s"']{1,80})?[ \t]*(?:Copyright\b[^"'\n]{0,99}?)?"""
    r"""SPDX-License-Identifier:[ \t]*([^\r\n]{1,400})""",
    re.IGNORECASE | re.MULTILINE,
)
"""First in its line, behind nothing but the sign of a comment."""
MENTIONED = re.compile(r"""^[^"'\n]{0,200}?SPDX-License-Identifier:[ \t]*([^\r\n]{1,400})""", re.I | re.MULTILINE)
"""Anywhere else, but in a string."""
TAG_ALONE = re.compile(r"SPDX-License-Identifier:(?:[\w.+() \t]|-(?![-}]))*", re.IGNORECASE)
"""Without what opens and closes the comment around it."""
SNIPPET = re.compile(r"SPDX-SnippetBegin.*?(?:SPDX-SnippetEnd|\Z)", re.DOTALL)
VERBATIM = (
    "everyone is permitted to copy"  # what follows the line of the holder in the texts of the GPL and the WTFPL
)
TAG_END = re.compile(r"\s*(\*/|-->|\*\)|-\}|#}|%>|\]\]|\?>|\"\"\"|'''|\\n|[\"',;`]).*$")


TOP_CODE_LINES = 15  # a package clause, an opening tag, imports: after as many a notice is still a header
SECTION = re.compile(
    r"^(?P<marks>#{1,6}|={1,6})?[ \t]*[^\w\n]{0,8}(?:[\w-]+ (?:and|&) )?"
    r"(?:licen[cs]e|licen[cs]ing|copying|라이선스|라이센스|저작권)"
    r"(?:[ \t]+(?:and|&|information|terms|notice)[^\n]{0,40})?[^\w\n]{0,8}$(?:\n[=\-~^#*]{3,}[ \t]*$)?",
    re.IGNORECASE | re.MULTILINE,
)
NEXT_SECTION = re.compile(r"^(?:(?P<marks>#{1,6}|={1,6})[ \t]+\S|[^\n]{1,80}\n[=\-~^]{3,}[ \t]*$)", re.MULTILINE)
SECTION_CHARACTERS = 8_192


@dataclass(frozen=True)
class Block:
    """A comment of a source file."""

    text: str
    code_before: int
    """Lines before it that are no comment."""


def is_license(name: str) -> bool:
    """Whether a file of this name (without its folder) holds the licence of what stands beside and below it."""
    if is_sibling(name):
        return False
    return bool(LICENSE_NAME.fullmatch(name)) and not OTHERS_NAME.search(name) and not SOURCE_SUFFIX.search(name)


def is_foreign(name: str) -> bool:
    """Whether a name says whose licence it is: `jquery-license.txt`; that of all else may be another."""
    return bool(FOREIGN_NAME.fullmatch(name)) and not OWN_NAME.match(name)


def is_sibling(name: str) -> bool:
    """Whether a file of this name holds the licence of the file beside it (REUSE): `logo.png.license`."""
    return name.endswith(".license") and "." in name.removesuffix(".license").lstrip(".")


def is_readme(name: str) -> bool:
    """Whether a file of this name introduces a project."""
    return bool(README_NAME.fullmatch(name)) and not SOURCE_SUFFIX.search(name)


def decoded(content: bytes) -> str:
    """Text of any encoding, for matching English notices: what is not UTF-8 is taken as EUC-KR, then byte by byte."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    for charset in ("utf-8", "cp949"):
        try:
            return content.decode(charset)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def notice_of(text: str) -> str:
    """A text without the lines that say whose it is: what many files share word for word."""
    lines = [line for line in text.splitlines() if not RESERVED.match(line)]
    kept = [line for line, after in zip(lines, [*lines[1:], ""], strict=False) if _belongs(line, after)]
    return "\n".join(kept).strip()


def _belongs(line: str, after: str) -> bool:
    """Whether a line is part of the notice: no holder's, or that of the licence's own text."""
    return not COPYRIGHT.match(line) or after.strip().lower().startswith(VERBATIM)


def digest(notice: str) -> bytes:
    """XXH3-128 of the words of a notice, whatever their case, spacing, punctuation at line ends and comment signs."""
    return xxhash.xxh3_128_digest(" ".join(re.findall(r"\w+", notice.lower())).encode())


def tags(path: str, content: bytes) -> tuple[list[str], list[str], bool]:
    """What SPDX-License-Identifier says, as written: in comments above the code, which is of all of the file; and
    elsewhere, as further down or of a snippet, which is of a part or of something else; and whether a
    comment with the former sets a condition."""
    text = decoded(content[:HEADER_BYTES])
    blocks = comments(SNIPPET.sub("", text), path.lower().endswith(QUOTE_SUFFIX))
    above = [block.text for block in blocks if block.code_before <= TOP_CODE_LINES]
    own = [_bare_tag(match) for one in above for match in TAG.finditer(one)]
    every = [_bare_tag(match) for match in MENTIONED.finditer(text)]
    is_conditional = any(TAG.search(one) and FORBIDS.search(one) for one in above)
    return own, [one for one in every if one not in own], is_conditional


def whole_tags(content: bytes) -> list[str]:
    """The tags of a file that is nothing but them, as REUSE's `NAME.license`."""
    return [_bare_tag(match) for match in TAG.finditer(decoded(content[:HEADER_BYTES]))]


def _bare_tag(match: re.Match[str]) -> str:
    return TAG_END.sub("", match[1]).strip()


def speaks(content: bytes) -> bool:
    """Whether the top of a file may hold a notice of a licence at all."""
    return SPEAKS.search(content[:HEADER_BYTES]) is not None


def comments(text: str, quotes: bool = False) -> list[Block]:
    """The comments among the first `HEADER_LINES` lines that may speak of a licence, in any language's signs.

    `quotes`: a line that begins with a quotation mark is one too, as in Vim's scripts and Visual Basic.
    """
    blocks: list[Block] = []
    held: list[str] = []
    n_code, inside = 0, False
    for line in text.splitlines()[:HEADER_LINES]:
        comment, inside = _is_comment(line, inside)
        comment = comment or (quotes and QUOTE_LINE.match(line) is not None)
        if comment or (held and not line.strip()):
            held.append(_bare(line) if comment else "")
        elif line.strip():
            if held:
                blocks.append(Block("\n".join(held), n_code))
            held, n_code = [], n_code + 1
    if held:
        blocks.append(Block("\n".join(held), n_code))
    return [block for block in blocks if SPEAKS.search(block.text.encode())]


def _is_comment(line: str, inside: bool) -> tuple[bool, bool]:
    """Whether a line is (part of) a comment, and whether the next one is still inside of it."""
    if inside:
        return True, CLOSING.search(line) is None
    opened = OPENING.search(line)
    if opened is None or (line[: opened.start()].strip() and not COMMENT_LINE.match(line)):
        return COMMENT_LINE.match(line) is not None, False
    return True, CLOSING.search(line, opened.end()) is None


def _bare(line: str) -> str:
    """A line of a comment without its signs."""
    bare = LINE_SIGN.sub("", OPENING.sub(" ", line, count=1), count=1)
    return CLOSING.sub(" ", bare).rstrip(" \t*#/;-=|").replace("\0", " ")


def notices_of(path: str, content: bytes) -> tuple[list[str], list[str]]:
    """The notices in a file's comments: those before its code, and those further down.

    Of prose (Markdown, plain text, ...) there are none: what it says of licences it says about something else.
    """
    if path.lower().endswith(PROSE_SUFFIX):
        return [], []
    top: list[str] = []
    below: list[str] = []
    text = TAG_ALONE.sub("", decoded(content[:HEADER_BYTES]))  # tags are read by themselves
    for block in comments(text, path.lower().endswith(QUOTE_SUFFIX)):
        (top if block.code_before <= TOP_CODE_LINES else below).extend(_runs(block.text))
    return top, below


def _runs(text: str) -> list[str]:
    """Runs of paragraphs that speak of licences; one that does not may stand between two that do.

    A paragraph that sets a condition belongs to them wherever it stands in the comment.
    """
    runs: list[list[str]] = []
    conditions: list[str] = []
    last = -2
    paragraphs = [paragraph for paragraph in re.split(r"\n[ \t]*\n\s*", text) if paragraph.strip()]
    for number, paragraph in enumerate(paragraphs):
        if not SPEAKS.search(paragraph.encode()):
            conditions += [paragraph] if FORBIDS.search(paragraph) else []
            continue
        if runs and number - last <= 2:
            runs[-1].extend(paragraphs[last + 1 : number + 1])
        else:
            runs.append([paragraph])
        last = number
    return ["\n\n".join([*run, *(one for one in conditions if one not in run)]) for run in runs]


def readme_section(text: str) -> str:
    """The section of a README that is headed `License`, with the sections below it; empty where there is none."""
    found = SECTION.search(text)
    if found is None:
        return ""
    rest = text[found.end() : found.end() + SECTION_CHARACTERS]
    level = len(found["marks"] or "")
    end = next(
        (mark.start() for mark in NEXT_SECTION.finditer(rest) if not 0 < level < len(mark["marks"] or "")), None
    )
    return rest[:end].strip()
