"""Accents and symbols of TeX as Unicode."""

import unicodedata

COMBINING = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331", "t": "\u0361", "G": "\u030f", "U": "\u030e", "f": "\u0311", "h": "\u0309",
    "capitalcaron": "\u030c", "textcommabelow": "\u0326",
}  # fmt: skip
"""Accent commands with the combining character that they put over, or under, a letter."""

ALONE = {"`": "`", "'": "\u00b4", "^": "^", "~": "~", "=": "\u00af", ".": "\u02d9", '"': "\u00a8"}
"""An accent over nothing: `\\^{}`."""

SYMBOLS = {
    "ss": "ß", "SS": "ẞ", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø",
    "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
    "ng": "ŋ", "NG": "Ŋ", "S": "§", "P": "¶", "dag": "†", "ddag": "‡", "copyright": "©", "pounds": "£",
    "ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—", "textbullet": "•",
    "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”",
    "textquotesingle": "'", "textquotedbl": '"', "lq": "‘", "rq": "’", "guillemotleft": "«", "guillemotright": "»",
    "guillemetleft": "«", "guillemetright": "»", "guilsinglleft": "‹", "guilsinglright": "›", "quotedblbase": "„",
    "quotesinglbase": "‚", "glqq": "„", "grqq": "“", "glq": "‚", "grq": "‘", "flqq": "«", "frqq": "»",
    "og": "« ", "fg": " »", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbar": "|",
    "textless": "<", "textgreater": ">", "textunderscore": "_", "textdollar": "$", "textbraceleft": "{",
    "textbraceright": "}", "lbrack": "[", "rbrack": "]", "textperiodcentered": "·", "textvisiblespace": "␣",
    "texteuro": "€", "euro": "€", "EUR": "€", "textsterling": "£", "textyen": "¥", "textwon": "₩", "textcent": "¢",
    "textdegree": "°", "degree": "°", "textmu": "µ", "textpm": "±", "texttimes": "×", "textdiv": "÷",
    "texttrademark": "™", "textregistered": "®", "textcopyright": "©", "textsection": "§", "textparagraph": "¶",
    "textdagger": "†", "textdaggerdbl": "‡", "textordfeminine": "ª", "textordmasculine": "º",
    "textexclamdown": "¡", "textquestiondown": "¿", "textonehalf": "½", "textonequarter": "¼",
    "textthreequarters": "¾", "textonesuperior": "¹", "texttwosuperior": "²", "textthreesuperior": "³",
    "textrightarrow": "→", "textleftarrow": "←", "textasteriskcentered": "*", "textnumero": "№",
    "slash": "/", "TeX": "TeX", "LaTeX": "LaTeX", "LaTeXe": "LaTeX2ε", "BibTeX": "BibTeX", "XeTeX": "XeTeX",
    "XeLaTeX": "XeLaTeX", "LuaTeX": "LuaTeX", "LuaLaTeX": "LuaLaTeX", "pdfTeX": "pdfTeX", "pdfLaTeX": "pdfLaTeX",
    "AmS": "AMS", "MP": "METAPOST", "MF": "METAFONT", "checkmark": "✓", "textpertenthousand": "‱",
    "textperthousand": "‰", "textmugreek": "μ", "quotechar": '"', "hyp": "-", "textquotestraightbase": "‚",
}  # fmt: skip
"""Commands of text that stand for characters."""

LIGATURES = (("---", "—"), ("--", "–"), ("``", "“"), ("''", "”"), ("`", "‘"), ("'", "’"), ("?‘", "¿"), ("!‘", "¡"))


def accented(accent: str, base: str) -> str:
    """A letter, or two under a tie, with its accent, in NFC; the accent by itself where there is no letter."""
    letter = {"ı": "i", "ȷ": "j"}.get(base, base)
    if not letter.strip():
        return ALONE.get(accent, "")
    return unicodedata.normalize("NFC", letter[0] + COMBINING[accent] + letter[1:])


def ligatures(text: str) -> str:
    """Dashes and quotation marks as TeX's fonts make them from ASCII."""
    if "-" not in text and "`" not in text and "'" not in text:
        return text
    for source, character in LIGATURES:
        text = text.replace(source, character)
    return text
