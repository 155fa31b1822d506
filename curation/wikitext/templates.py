"""Templates of wikitext: which of them say something, and what. None is expanded: what each kind shows is known by
its name (`names.yaml`)."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from curation.wikitext.marks import GONE, fraction, lowered, raised
from curation.wikitext.names import DROPPED, UNKNOWN, TemplateRule, language_name
from curation.wikitext.quantities import convert, date, value

if TYPE_CHECKING:
    from curation.wikitext.render import Renderer

Arguments = dict[str, str]
"""Unnamed ones under "1", "2", ..."""

_ITALICS = re.compile(r"'{2,5}")
_CHARGE = re.compile(r"\(?(\d*[+\-−–])\)?$")
_PLAIN_NUMBER = re.compile(r"[-−+]?\d+(?:[.,]\d+)*")
_SILENT_FUNCTIONS = (
    "defaultsort", "displaytitle", "기본정렬", "표시제목", "#tag", "#coordinates", "#seo", "#set",
    "#vardefine", "#related",
)  # fmt: skip
"""Beginnings of the names of parser functions that leave nothing in the text."""
_PLAIN_KEYS = re.compile(
    r"image|그림|사진|파일|크기|너비|size|width|caption|alt|logo|로고|signature|map|지도|color|색|style", re.I
)


def template(page: "Renderer", token: Any) -> str:
    """A template whose `{{` has just been passed, to its end."""
    types, tokens = page.types, page.tokens
    first = tokens[page.at]
    kind = type(tokens[page.at + 1]) if type(first) is types.Text else None
    if kind in (types.TemplateParamSeparator, types.TemplateClose):
        written = first["text"]
        page.at, page.stop = page.at + 2, kind
    else:
        written = page.run(frozenset({types.TemplateParamSeparator, types.TemplateClose}))
    is_bare = page.stop is types.TemplateClose
    name, rule = page.templates.find(written)
    if rule.kind is UNKNOWN and ":" in name:
        return _function(page, written.strip(), is_bare=is_bare)
    is_box = rule.kind == "infobox" and page.policy.infoboxes == "drop"
    if is_box or rule.kind is DROPPED or rule.kind is UNKNOWN:
        return _dropped(page, name, rule, is_bare=is_bare)
    if rule.kind == "formula":
        return _formula(page, rule.settings, {} if is_bare else None, name)
    if rule.kind in ("fraction", "root"):
        arguments = _formula_arguments(page) if not is_bare else {}
    else:
        arguments = {} if is_bare else _arguments(page)
    return _HOW[rule.kind](page, arguments, rule)


def _dropped(page: "Renderer", name: str, rule: TemplateRule, *, is_bare: bool) -> str:
    if not is_bare:
        page.skip_template("infobox" if rule.kind == "infobox" else "template")
    if name in ("pagename", "fullpagename", "subpagename", "문서이름", "문서 이름"):
        return page.title
    page.found.n_templates_dropped += 1
    if rule.kind is UNKNOWN:
        page.found.unknown_templates[name] = None
    return GONE


def _arguments(page: "Renderer", *, as_written: bool = False) -> Arguments:
    """The arguments by name, in lower case unless `as_written`."""
    types = page.types
    stops = frozenset({types.TemplateParamSeparator, types.TemplateParamEquals, types.TemplateClose})
    value_stops = frozenset({types.TemplateParamSeparator, types.TemplateClose})
    arguments: Arguments = {}
    n_unnamed = 0
    while True:
        text = page.run(stops)
        if page.stop is types.TemplateParamEquals:
            key = text.strip() if as_written else text.strip().lower()
            arguments[key] = page.run(value_stops).strip()
        else:
            n_unnamed += 1
            arguments[str(n_unnamed)] = text.strip()
        if page.stop is not types.TemplateParamSeparator:
            return arguments


def _unnamed(arguments: Arguments) -> list[str]:
    return [arguments[key] for key in sorted((k for k in arguments if k.isdecimal()), key=int) if arguments[key]]


def _argument(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    wanted = str(rule.settings)
    unnamed = _unnamed(arguments)
    if wanted == "all":
        return " ".join(unnamed)
    if wanted == "last":
        return unnamed[-1] if unnamed else ""
    if wanted in arguments:
        return arguments[wanted]
    return arguments.get("text", "") or (unnamed[-1] if unnamed else "")


def _formula(page: "Renderer", wanted: int | str, arguments: Arguments | None, name: str) -> str:
    """A formula in wikitext: its signs as they are, its raised and lowered parts as in LaTeX."""
    arguments = _formula_arguments(page) if arguments is None else arguments
    if wanted == "all":
        return page.formula(_chemical(_unnamed(arguments)), "ce")
    body = arguments.get(str(wanted)) or next(iter(_unnamed(arguments)), "")
    if not body:  # `{{math|a = b}}`, where the software takes `a` for a name
        body = next((f"{key} = {text}" for key, text in arguments.items() if text and not key.isdecimal()), "")
    return page.formula(body + _last_brace(page, body), display="큰" in name)


def _last_brace(page: "Renderer", body: str) -> str:
    r"""Of `{{수식|\frac{a}{b}}}` the software takes the first two braces for the end of the template."""
    following: Any = page.tokens[page.at] if page.at < len(page.tokens) else None
    lacks_one = body.count("{") == body.count("}") + 1
    if not lacks_one or type(following) is not page.types.Text or not following["text"].startswith("}"):
        return ""
    following["text"] = following["text"][1:]
    return "}"


def _formula_arguments(page: "Renderer") -> Arguments:
    """Arguments that are parts of a formula: without italics, and in one line."""
    outer, page.in_formula = page.in_formula, True
    arguments = _arguments(page, as_written=True)
    page.in_formula = outer
    return {key: " ".join(_ITALICS.sub("", text).replace(GONE, "").split()) for key, text in arguments.items()}


def _chemical(parts: list[str]) -> str:
    """`SO|4|2-` in the writing of mhchem: SO4^{2-}."""
    text = "".join(parts)
    charge = _CHARGE.search(text)
    if charge and (len(parts) > 1 or charge[0].endswith(")")):
        found = parts[-1] if _CHARGE.fullmatch(parts[-1]) else charge[0]
        sign = found.strip("()").replace("−", "-").replace("–", "-")
        return f"{text[: len(text) - len(found)]}^{{{sign}}}"
    return text


def _numbered(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    text, number = (arguments.get(str(key), "") for key in rule.settings)
    number = number.strip("()")
    return f"\n{text} ({number})\n" if number else f"\n{text}\n"


def _fraction(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    written = fraction(_unnamed(arguments), formula=page.in_formula)
    return page.formula(written) if "\\" in written else written


def _root(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    parts = _unnamed(arguments)
    if not parts:
        return "√"
    degree = f"[{parts[1]}]" if len(parts) > 1 else ""
    if not page.in_formula and not degree and parts[0].isalnum():
        return f"√{parts[0]}"
    return page.formula(f"\\sqrt{degree}{{{parts[0]}}}")


def _raised(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return raised(arguments.get("1", ""), formula=page.in_formula)


def _lowered(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return lowered(arguments.get("1", ""), formula=page.in_formula)


def _both(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    up = arguments.get("p") or arguments.get("1", "")
    down = arguments.get("b") or arguments.get("2", "")
    return lowered(down, formula=page.in_formula) + raised(up, formula=page.in_formula)


def _power(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    exponent = raised(arguments.get("1", ""), formula=page.in_formula)
    return f"×10{exponent}" if exponent else ""


def _language(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    """`{{lang-en|text}}`, `{{독일어|text}}`: the name of the language, and the text."""
    return _labelled_by(language_name(rule.settings, page.language), arguments.get("1", ""))


def _labelled_language(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return _labelled_by(language_name(arguments.get("1", ""), page.language), arguments.get("2", ""))


def _labelled_by(label: str, text: str) -> str:
    return f"{label}: {text}" if label and text else text


def _labelled(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    label, *wanted = rule.settings
    text = "–".join(filter(None, (arguments.get(str(key), "") for key in wanted)))
    separator = ": " if label[-1].isalpha() and not label.isascii() else "" if label[-1] in "$£€¥₩₹" else " "
    return f"{label}{separator}{text}" if text else ""


def _listed(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    found = ((label, arguments.get(str(key))) for key, label in rule.settings.items())
    return ", ".join(f"{label}: {text}" for label, text in found if text)


def _glossed(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    first, others = arguments.get("1", ""), [arguments[key] for key in ("2", "3") if arguments.get(key)]
    inside = ", ".join(others)
    return f"{first} ({inside})" if first and inside else first or inside


def _quote(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    text = next((arguments[key] for key in ("text", "quote", "인용문", "내용", "1") if arguments.get(key)), "")
    names = ("author", "저자", "글쓴이", "출처", "source", "title", "2", "3", "4")
    source = ", ".join(dict.fromkeys(arguments[key] for key in names if arguments.get(key)))
    return f"\n\n{text}\n— {source}\n\n" if source and text else f"\n\n{text}\n\n"


def _ruby(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    base, above = arguments.get("1", ""), arguments.get("2", "")
    return f"{base}({above})" if base and above else base or above


def _joined(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    parts = _unnamed(arguments)
    is_list = "\n" in rule.settings and parts
    return f"{rule.settings if is_list else ''}{rule.settings.join(parts)}" + ("\n" if is_list else "")


def _date(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return date(_unnamed(arguments), page.language)


def _date_of_death(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return date(_unnamed(arguments)[:3], page.language)


def _literal(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return str(rule.settings)


def _disambiguation(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    page.found.disambiguation = True
    return GONE


def _value(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return value(arguments, _unnamed(arguments))


def _convert(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    return convert(_unnamed(arguments))


def _infobox(page: "Renderer", arguments: Arguments, rule: TemplateRule) -> str:
    """Lines of `name: value`; names and values of images are left out."""
    shown = {
        k: v for k, v in arguments.items() if v and v != GONE and not k.isdecimal() and not _PLAIN_KEYS.search(k)
    }
    lines = [f"{key.replace('_', ' ')}: {' '.join(text.split())}" for key, text in shown.items()]
    return "\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def _function(page: "Renderer", written: str, *, is_bare: bool) -> str:
    """A parser function, `{{name: first|others}}`."""
    name, _, first = written.partition(":")
    name, first = name.strip().lower(), first.strip()
    if name == "#tag" and first.lower() in ("math", "chem", "ce"):
        return _formula(page, 1, {} if is_bare else None, "")
    before = page.at
    if not is_bare:
        page.skip_template("template")
    if name in ("formatnum", "lc", "uc", "lcfirst", "ucfirst", "nowrap", "fullurl", "수형식"):
        return _recased(name, first)
    if name == "#expr" and _PLAIN_NUMBER.fullmatch(first):
        return first
    page.found.n_templates_dropped += 1
    if name == "#if" and not first and (is_bare or _is_last_argument(page, before)):
        return GONE  # the branch that is not there
    if name.startswith(("#", "pagesin", "int")) and not name.startswith(_SILENT_FUNCTIONS):
        page.found.dropped_functions[name] = None
    elif not name.startswith(_SILENT_FUNCTIONS):
        page.found.unknown_templates[f"{name}:"] = None
    return GONE


def _recased(name: str, text: str) -> str:
    cased = {"lc": text.lower(), "uc": text.upper()}
    cased |= {"lcfirst": text[:1].lower() + text[1:], "ucfirst": text[:1].upper() + text[1:]}
    return cased.get(name, text)


def _is_last_argument(page: "Renderer", at: int) -> bool:
    """Whether no other argument of the template that has just been passed follows the one at `at`."""
    types, depth = page.types, 0
    for token in page.tokens[at : page.at - 1]:
        kind = type(token)
        depth += (kind is types.TemplateOpen) - (kind is types.TemplateClose)
        if kind is types.TemplateParamSeparator and not depth:
            return False
    return True


_HOW: dict[str, Callable[["Renderer", Arguments, TemplateRule], str]] = {
    "argument": _argument,
    "numbered": _numbered,
    "fraction": _fraction,
    "root": _root,
    "raised": _raised,
    "lowered": _lowered,
    "both": _both,
    "power": _power,
    "language": _language,
    "labelled_language": _labelled_language,
    "labelled": _labelled,
    "listed": _listed,
    "glossed": _glossed,
    "quote": _quote,
    "ruby": _ruby,
    "joined": _joined,
    "date": _date,
    "date_of_death": _date_of_death,
    "literal": _literal,
    "disambiguation": _disambiguation,
    "value": _value,
    "convert": _convert,
    "infobox": _infobox,
}
