"""What package metadata declares: pyproject.toml, setup.cfg, PKG-INFO, package.json, Cargo.toml, *.gemspec, pom.xml.

A declaration is one line that somebody once wrote, often long before a change of licence. It is evidence by itself
only where that is asked for; against a text that says otherwise it always speaks.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from email.parser import HeaderParser
from functools import cache
from pathlib import Path
from typing import Any

from curation.licenses.verdicts import canonical, join, verdict_of

METADATA_BYTES_MAX = 4_194_304
CLASSIFIER = "License :: "
NAMES = Path(__file__).with_name("names.tsv")
NAME_CHARACTERS_MAX = 400


@cache
def _names() -> dict[str, str]:
    """Names as people write them, without `the`, `license`, `version`, brackets and signs, to SPDX."""
    lines = NAMES.read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split("\t") for line in lines)


def named(text: str) -> str | None:
    """The SPDX expression of a name as people write it: `Apache License, Version 2.0`, `BSD`; None if not known.

    A bare `BSD` or `GPL` leaves the version open; the identifier stands for the family, whose verdict is one.
    """
    text = text.strip()
    if not text or len(text) > NAME_CHARACTERS_MAX:
        return None
    known = canonical(text)
    if known and verdict_of(text) != "unknown":
        return known
    simple = _simple(text)
    if simple in _names():
        return _names()[simple]
    parts = re.split(r"\s+(?:or|/)\s+", simple)
    if len(parts) > 1 and all(part in _names() for part in parts):
        return canonical(" OR ".join(_names()[part] for part in parts))
    return None


def _simple(text: str) -> str:
    text = text.lower().replace('"new" or "revised"', "").replace('"simplified"', "")
    text = re.sub(r"\(([a-z0-9+. -]*)\)", " ", text.replace("licence", "license"))
    text = re.sub(r"(?<=[\w.])\+", " or later ", text)
    text = re.sub(
        r"(?:\b|(?<=gpl)|(?<=mpl))v(?:ersion)?\.?\s*(?=\d)|\bversion\b|\blicen[cs]ed?\b|\bthe\b(?! unl)|[,;:\"'_-]",
        " ",
        text,
    )
    return " ".join(re.sub(r"(?<=gpl)(?=\d)|(?<=public)(?=\d)", " ", text).split())


def is_metadata(name: str) -> bool:
    """Whether a file of this name declares the licence of a package."""
    return name in READERS or name.endswith((".gemspec", ".cabal"))


def declared(name: str, content: bytes) -> str | None:
    """The SPDX expression that a package's metadata declares; None where it says nothing that is understood."""
    reader = READERS.get(name, _assigned)
    try:
        found = reader(content[:METADATA_BYTES_MAX].decode("utf-8", "replace"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, configparser.Error):
        return None
    return found


def of_classifiers(classifiers: list[str]) -> str | None:
    """What trove classifiers declare; several are a choice, as PyPI has no way to say which is meant."""
    last = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith(CLASSIFIER)]
    known = [named(text) for text in last if text not in ("OSI Approved", "DFSG approved")]
    return canonical(" OR ".join(name for name in known if name)) if known and all(known) else None


def _pyproject(text: str) -> str | None:
    data = tomllib.loads(text)
    project: dict[str, Any] = data.get("project") or data.get("tool", {}).get("poetry") or {}
    license_ = project.get("license")
    said = license_.get("text") if isinstance(license_, dict) else license_
    return (named(said) if isinstance(said, str) else None) or of_classifiers(project.get("classifiers") or [])


def _setup_cfg(text: str) -> str | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    metadata = parser["metadata"]
    classifiers = metadata.get("classifiers", metadata.get("classifier", "")).split("\n")
    return named(metadata.get("license", "")) or of_classifiers([line.strip() for line in classifiers])


def _pkg_info(text: str) -> str | None:
    message = HeaderParser().parsestr(text)
    classifiers = [str(value) for value in message.get_all("Classifier", [])]
    expression = str(message.get("License-Expression", "")) or str(message.get("License", ""))
    return named(expression) or of_classifiers(classifiers)


def _package_json(text: str) -> str | None:
    data = json.loads(text)
    said = data.get("license", data.get("licenses"))
    entries = said if isinstance(said, list) else [said]
    names = [entry.get("type") if isinstance(entry, dict) else entry for entry in entries]
    known = [named(name) for name in names if isinstance(name, str)]
    return canonical(" OR ".join(name for name in known if name)) if known and all(known) else None


def _cargo(text: str) -> str | None:
    said = tomllib.loads(text)["package"].get("license")
    return named(said) if isinstance(said, str) else None


def _pom(text: str) -> str | None:
    """Names inside <licenses>, read as text: a parser of XML would have to be kept from expanding entities."""
    names = re.findall(r"<license>[^<]{0,99}<name>([^<]{1,200})</name>", text)
    known = [named(name) for name in names]
    return join(name for name in known if name) if known and all(known) else None


def _assigned(text: str) -> str | None:
    """`license = "MIT"` of a gemspec, `licenses = ["Ruby", "MIT"]` (a choice), `license: BSD3` of a Cabal file."""
    found = re.search(r"(?im)^[^#\n]*?\blicen[cs]es?\s*[:=]\s*(\[[^\]\n]{1,200}\]|[^\n]{1,100})", text)
    if found is None:
        return None
    names = re.findall(r"[\"']([^\"']+)[\"']", found.group(1)) or [found.group(1).split("#")[0].strip()]
    known = [named(re.sub(r"(?<=bsd)(?=\d)", " ", name, flags=re.IGNORECASE)) for name in names]
    return canonical(" OR ".join(name for name in known if name)) if known and all(known) else None


READERS: dict[str, Callable[[str], str | None]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "PKG-INFO": _pkg_info,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    "pom.xml": _pom,
}
