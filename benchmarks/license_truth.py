"""What the packages of `benchmarks/licenses.py` hold, what they declare, and what of it the detector may see."""

import json
import re
import tarfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from curation.licenses.debian import FilesParagraph, paragraphs, spdx
from curation.licenses.declared import named, of_classifiers
from curation.licenses.verdicts import Verdict, canonical, verdict_of

HIDDEN = re.compile(
    r"(^|/)(PKG-INFO|METADATA|pyproject\.toml|setup\.py|setup\.cfg|package(-lock)?\.json|bower\.json|component\.json"
    r"|composer\.json|Cargo\.toml|pom\.xml|meson\.build|META6?\.(json|yml)|[^/]*\.(gemspec|cabal|spec|nuspec|podspec))$"
    r"|(^|/)[^/]*\.egg-info/|^debian/",
)
FILE_BYTES_MAX = 4 * 2**20


def archives(folder: Path) -> list[Path]:
    """The archives of one package, upstream's before Debian's."""
    named_ = [path for path in folder.iterdir() if re.search(r"\.(tar\.\w+|tgz)$", path.name)]
    return sorted(named_, key=lambda path: (".debian." in path.name, path.name))


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Regular files, by their path below the archive's only folder; nothing is written."""
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isreg() and member.size <= FILE_BYTES_MAX:
                content = opened.extractfile(member)
                path = member.name.removeprefix("./").partition("/")[2]
                yield (path if ".debian." not in archive.name else member.name), content.read() if content else b""


def visible(folder: Path) -> list[tuple[str, bytes]]:
    """What the detector sees: upstream's files without those in which the package declares its licence."""
    upstream = [path for path in archives(folder) if ".debian." not in path.name]
    return [one for path in upstream for one in members(path) if not HIDDEN.search(one[0])]


def declared(ecosystem: str, folder: Path) -> tuple[str, Verdict]:
    """What the package declares, as written, and the verdict on it; `none` where it declares nothing."""
    if ecosystem == "pypi":
        return _pypi(dict(members(archives(folder)[0])).get("PKG-INFO", b"").decode("utf-8", "replace"))
    if ecosystem == "npm":
        return _npm(json.loads(dict(members(archives(folder)[0])).get("package.json", b"{}")))
    found = debian_paragraphs(folder)
    root = [one for one in found if set(one.patterns) & {"*"}]
    written = root[0].license if root else ""
    return written, _verdict(spdx(written)) if written else "none"


def debian_paragraphs(folder: Path) -> list[FilesParagraph]:
    """The `Files` paragraphs of debian/copyright; none where it is not machine-readable."""
    for archive in archives(folder):
        for path, content in members(archive):
            if path == "debian/copyright":
                return paragraphs(content.decode("utf-8", "replace"))
    return []


def _pypi(text: str) -> tuple[str, Verdict]:
    message = HeaderParser().parsestr(text)
    classifiers = [str(one) for one in message.get_all("Classifier", []) if str(one).startswith("License ::")]
    expression = str(message.get("License-Expression", "")).strip()
    field = str(message.get("License", "")).strip()
    written = expression or "; ".join(one.removeprefix("License :: ") for one in classifiers) or field.split("\n")[0]
    if field and not expression and classifiers:
        written = f"{field.splitlines()[0][:80]}; {written}"
    found = canonical(expression) if expression else of_classifiers(classifiers) or named(field)
    return written, _verdict(found) if written else "none"


def _npm(data: dict[str, object]) -> tuple[str, Verdict]:
    said = data.get("license") or data.get("licenses")
    entries = said if isinstance(said, list) else [said]
    names = [str(one.get("type")) if isinstance(one, dict) else str(one) for one in entries if one]
    written = " | ".join(names)
    known = [named(name) for name in names]
    together = canonical(" OR ".join(one for one in known if one)) if known and all(known) else None
    return written, _verdict(together) if written else "none"


def _verdict(expression: str | None) -> Verdict:
    return "unknown" if expression is None else verdict_of(expression)
