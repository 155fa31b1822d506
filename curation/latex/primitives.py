r"""Primitives of TeX whose arguments are numbers, lengths and names rather than groups: how far these reach.

`\hbox to 3cm{word}` says `word`, and ``\catcode`\@=11`` nothing. `\char65` is a letter.
"""

import re

from curation.latex.scan import names

_S = r"[ \t]*\n?[ \t]*"
_WORD = r"\\[A-Za-z@]+"
_NUMBER = rf"{_S}[-+]?{_S}(?:\d+|\"[0-9A-F]+|'[0-7]+|`\\?[^\n]|{_WORD}(?:\d+)?) ?"
_UNIT = r"(?:pt|cm|mm|in|em|ex|bp|pc|dd|cc|sp|mu|fil+)(?![A-Za-z])"
_LENGTH = rf"{_S}[-+]?{_S}(?:\d*[.,]?\d+{_S}(?:true{_S})?(?:{_UNIT}|{_WORD})|{_WORD}(?:\d+)?) ?"
_GLUE = rf"{_LENGTH}(?:(?:plus|minus){_LENGTH}){{0,2}}"
_VALUE = rf"(?:{_GLUE}|{_NUMBER})"
_IS = rf"{_S}=?"

_PATTERNS = {
    rf"{_NUMBER}(?:{_S}={_NUMBER})?": "count",
    rf"{_NUMBER}(?:{_S}={_GLUE})?": "dimen skip muskip toks wd ht dp",
    rf"{_S}{_WORD}\d*{_S}(?:by)?{_VALUE}": "advance multiply divide",
    rf"{_NUMBER}{_IS}": "setbox",
    _NUMBER: "box copy unhbox unvbox unhcopy unvcopy magstep closeout closein accent the showthe write",
    rf"(?:{_S}(?:height|width|depth){_LENGTH}){{0,6}}": "vrule hrule",
    rf"{_S}(?:to|spread){_LENGTH}": "hbox vbox vtop vcenter",
    rf"{_S}{_WORD}{_IS}{_S}[A-Za-z][\w-]*(?: scaled{_NUMBER}| at{_LENGTH})?": "font",
    rf"{_S}{_WORD}{_IS}{_NUMBER}": "chardef mathchardef countdef dimendef skipdef toksdef",
    rf"{_S}{_WORD}": "newcount newdimen newskip newmuskip newbox newtoks newread newwrite newlanguage newfam newif",
    rf"{_NUMBER}{_IS}{_S}[^\s\\{{}}$&~]{{1,200}}": "openout openin",
    rf"{_NUMBER}to{_S}{_WORD}": "read",
    rf"{_NUMBER}{_IS}{_NUMBER}": "catcode lccode uccode mathcode sfcode delcode",
    rf"{_IS}{_GLUE}": "lineskiplimit parfillskip hfuzz vfuzz mathsurround nulldelimiterspace thinmuskip medmuskip "
    "thickmuskip maxdepth spaceskip xspaceskip boxmaxdepth delimitershortfall",
    rf"{_IS}{_NUMBER}": "spacefactor showboxdepth showboxbreadth looseness displaywidowpenalty predisplaypenalty "
    "postdisplaypenalty relpenalty binoppenalty exhyphenpenalty hyphenpenalty lefthyphenmin righthyphenmin "
    "doublehyphendemerits finalhyphendemerits adjdemerits brokenpenalty floatingpenalty holdinginserts "
    "tracingmacros tracingonline tracingcommands endlinechar escapechar newlinechar uchyph defaulthyphenchar",
    rf"{_S}={_NUMBER}": "fam day month year language",
    rf"{_S}[^\\{{}}\n]{{0,100}}\\endcsname": "csname ifcsname",
    rf"{_NUMBER}{_S}[<=>]{_NUMBER}": "ifnum",
    rf"{_LENGTH}{_S}[<=>]{_LENGTH}": "ifdim",
    rf"(?:{_NUMBER})": "ifodd ifcase",
    rf"{_IS}": "everypar everymath everydisplay everyhbox everyvbox everyjob everycr errhelp output",
}
_REACH = {name: re.compile(pattern) for pattern, words in _PATTERNS.items() for name in words.split()}
WITH_GROUP = names("write everypar everymath everydisplay everyhbox everyvbox everyjob everycr errhelp output")
"""Behind these stands a group that is no text either."""
_ASSIGNED = re.compile(rf"{_S}={_S}[-+]?\d*\.?\d+{_S}(?:true{_S})?{_UNIT} ?")
_NUMBER_AT = re.compile(rf"{_S}(?:(\d+)|\"([0-9A-F]+)|'([0-7]+)|`\\?([^\n])) ?")
_DINGBATS = {
    37: "☎", 42: "☛", 43: "☞", 72: "★", 108: "●", 110: "■", 115: "▲", 116: "▼", 117: "◆", 119: "◗", 168: "♣",
    169: "♦", 170: "♥", 171: "♠", 213: "→", 214: "↔", 215: "↕",
}  # fmt: skip
"""Of Zapf Dingbats those that Unicode has elsewhere."""


def reach(name: str, source: str, position: int) -> int | None:
    r"""The end of what belongs to the primitive `\name` that ends at `position`; None where nothing does."""
    found = (_REACH.get(name) or _ASSIGNED).match(source, position)
    return found.end() if found and found.end() > position else None


def is_primitive(name: str) -> bool:
    """Whether a command is read here."""
    return name in _REACH


def number(source: str, position: int) -> tuple[int, int] | None:
    r"""The number that TeX reads at `position` and its end: 65, "41, '101, `A or `\%."""
    found = _NUMBER_AT.match(source, position)
    if found is None:
        return None
    decimal, hexadecimal, octal, letter = found.groups()
    if letter:
        return ord(letter), found.end()
    digits = decimal or hexadecimal or octal
    value = int(digits, 10 if decimal else 16 if hexadecimal else 8) if len(digits) < 9 else 1 << 30
    return value, found.end()


def character(code: int) -> str:
    r"""What `\char` sets: ASCII is the same in all fonts of text, codes above 255 are Unicode; others depend."""
    shown = 32 <= code < 127 or (255 < code < 0x110000 and not 0xD800 <= code < 0xE000)
    return chr(code) if shown and chr(code).isprintable() else ""


def dingbat(code: int) -> str:
    r"""What `\ding` of pifont sets; empty where the font has nothing."""
    if code in _DINGBATS:
        return _DINGBATS[code]
    for first, last, start in ((33, 126, 0x2701), (161, 167, 0x2761), (172, 181, 0x2460), (182, 211, 0x2776),
                               (212, 212, 0x2794), (216, 254, 0x2798)):  # fmt: skip
        if first <= code <= last and code != 240:
            return chr(start + code - first)
    return ""
