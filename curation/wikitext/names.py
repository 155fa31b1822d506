"""What is known by name: templates and what they say, namespaces, sections, languages (`names.yaml`)."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

DROPPED = "dropped"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """What becomes of a template: the kind says how, `settings` is what the kind needs to know."""

    kind: str
    settings: Any = None


DROP_RULE = TemplateRule(DROPPED)
UNKNOWN_RULE = TemplateRule(UNKNOWN)


@cache
def names() -> dict[str, Any]:
    """The table as it is written."""
    table: dict[str, Any] = yaml.safe_load((files(__package__) / "names.yaml").read_text(encoding="utf-8"))
    return table


@cache
def name_set(key: str) -> frozenset[str]:
    """A list of the table as a set."""
    return frozenset(names()[key])


@cache
def _rules() -> dict[str, TemplateRule]:
    rules: dict[str, TemplateRule] = {}
    for kind in ("argument", "formula", "numbered", "labelled", "listed", "joined", "literal"):
        rules |= {name: TemplateRule(kind, settings) for name, settings in names()[kind].items()}
    lists = ("fraction", "root", "raised", "lowered", "both", "power", "value", "convert", "labelled_language")
    for kind in (*lists, "glossed", "quote", "ruby", "date", "date_of_death", "disambiguation"):
        rules |= {name: TemplateRule(kind) for name in names()[kind]}
    return rules


@cache
def _drop_patterns() -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    written = names()["dropped"]
    begins = tuple(name[:-1] for name in written if name.endswith("*"))
    return frozenset(written), begins, tuple(name[1:] for name in written if name.startswith("*"))


def plain_name(name: str) -> str:
    """A template's name as the table writes it."""
    name = " ".join(name.replace("_", " ").split()).lower()
    for prefix in ("틀:", "template:", "subst:", "safesubst:"):
        name = name.removeprefix(prefix).lstrip()
    return name


@cache
def is_infobox(name: str) -> bool:
    """Whether a template of this plain name is an infobox."""
    boxes = names()["infobox"]
    return name.startswith(tuple(boxes["begins"])) or name.endswith(tuple(boxes["ends"]))


class Templates:
    """The rules for templates, with those that a manifest adds: {name: argument}."""

    def __init__(self, keep: dict[str, int | str] | None = None) -> None:
        self._kept = {plain_name(name): TemplateRule("argument", argument) for name, argument in (keep or {}).items()}
        self._found: dict[str, tuple[str, TemplateRule]] = {}

    def find(self, written: str) -> tuple[str, TemplateRule]:
        """The plain name of a template and its rule, by the name as it stands in the text."""
        found = self._found.get(written)
        if found is None:
            name = plain_name(written)
            found = name, self._rule(name)
            if len(self._found) < 100_000:
                self._found[written] = found
        return found

    def _rule(self, name: str) -> TemplateRule:
        rule = self._kept.get(name) or _rules().get(name)
        if rule:
            return rule
        if is_infobox(name):
            return TemplateRule("infobox")
        if name.startswith(("lang-", "언어-")) and "|" not in name:
            return TemplateRule("language", name.partition("-")[2])
        if name.startswith(("ipa-", "ipa ")):
            return TemplateRule("argument", 1)
        language = _language_codes().get(name)
        if language:
            return TemplateRule("language", language)
        exact, begins, ends = _drop_patterns()
        dropped = name in exact or name.startswith(begins) or name.endswith(ends)
        return DROP_RULE if dropped else UNKNOWN_RULE


@cache
def _language_codes() -> dict[str, str]:
    """By the Korean name, as in {{독일어|..}}."""
    return {korean: code for code, (korean, _) in names()["languages"].items()}


def language_name(code: str, wiki_language: str) -> str:
    """What a language is called in the wiki's own language; "" where it stands nowhere in the table."""
    found = names()["languages"].get(code.strip().lower())
    return "" if found is None else str(found[0 if wiki_language == "ko" else 1])


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What a wiki calls its namespaces of files and categories, in lower case."""

    file: frozenset[str]
    category: frozenset[str]


def namespaces(own: dict[int, str] | None = None) -> Namespaces:
    """The names in Korean and English, and the wiki's own: {number: name}."""
    own = own or {}
    more_files = {own[number].lower() for number in (-2, 6) if own.get(number)}
    more_categories = {own[14].lower()} if own.get(14) else set()
    return Namespaces(name_set("file_namespaces") | more_files, name_set("category_namespaces") | more_categories)
