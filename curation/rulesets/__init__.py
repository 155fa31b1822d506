"""Rulesets: rules as data, one YAML file each, bound to the word segmentation that their thresholds were made for."""

import difflib
from importlib.resources import files
from typing import Any

import fsspec
import yaml
from pydantic import Field, ValidationError, model_validator

from manifests.errors import RequestError
from manifests.schema import Model, Name


class RulesetRule(Model):
    """One rule of a ruleset."""

    name: Name
    """Name of the rule; the ledger calls it RULESET.NAME."""
    keep: str = Field(min_length=1)
    """SQL predicate over the document columns; a document for which it is not true is dropped."""
    when: str | None = None
    """SQL predicate: the rule applies only where it is true."""
    doc: str = Field(min_length=1)
    """What the rule drops, and where its threshold comes from."""


class Ruleset(Model):
    """Rules that belong together."""

    name: Name
    """Name of the ruleset."""
    version: int = Field(ge=1)
    """Goes up whenever a verdict may change."""
    segmentation: str | None
    """The word segmentation that the thresholds were made for; null where no rule reads a signal."""
    source: str = Field(min_length=1)
    """Where the thresholds come from."""
    rules: list[RulesetRule] = Field(min_length=1)
    """The rules in order."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Ruleset":
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: names used twice: {', '.join(twice)}")
        if self.segmentation is None and any("signals." in f"{rule.keep} {rule.when}" for rule in self.rules):
            raise ValueError("segmentation: rules that read signals must say which segmentation they were made for")
        return self


def shipped_names() -> list[str]:
    """The rulesets that come with Onggi."""
    return sorted(
        item.name.removesuffix(".yaml") for item in files(__package__).iterdir() if item.name.endswith(".yaml")
    )


def load_ruleset(name: str, base: str) -> Ruleset:
    """A shipped ruleset by name, or a YAML file by its path or fsspec URL; relative paths start at `base`.

    Raises:
        RequestError: there is no such ruleset, or the file does not hold one.
    """
    if not name.endswith((".yaml", ".yml")):
        return _parse(_shipped_text(name), name)
    path = name if "://" in name or name.startswith("/") else f"{base.rstrip('/')}/{name}" if base else name
    try:
        with fsspec.open(path, encoding="utf-8", mode="rt") as file:
            return _parse(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"ruleset {path}: cannot be read: {error}") from None


def _shipped_text(name: str) -> str:
    shipped = shipped_names()
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise RequestError(
            f"ruleset {name}: {hint}shipped are {', '.join(shipped)}; or give the path of a .yaml file"
        )
    return files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _parse(text: str, where: str) -> Ruleset:
    try:
        return Ruleset.model_validate(_load_yaml(text))
    except yaml.YAMLError as error:
        raise RequestError(f"ruleset {where}: not YAML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{_field(item['loc'])}: {item['msg']}" for item in error.errors())
        raise RequestError(f"ruleset {where}: {problems}") from None


def _load_yaml(text: str) -> Any:
    return yaml.safe_load(text)


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "ruleset"
