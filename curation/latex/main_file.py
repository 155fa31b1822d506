"""Of the files of a submission: which is the main one, and which a name in its source means."""

import json
import posixpath
import re
from collections.abc import Mapping

from curation.latex.scan import names, skip_space

SUFFIXES = (".tex", ".ltx", ".latex")
CLASS = re.compile(
    r"^[^%\n]*?\\(documentclass|documentstyle)\b\s*(?:\[[^\]]{0,2000}\])?\s*\{?\s*([\w./-]*)", re.MULTILINE
)
DOCUMENT = re.compile(r"^[^%\n]*?\\begin\s*\{document\}", re.MULTILINE)
PLAIN = re.compile(r"^[^%\n]*?\\(bye|end|enddocument|magnification|input|section|begin)\b", re.MULTILINE)
INCLUDED = re.compile(
    r"^[^%\n]*?\\(?:input|include|subfile|subfileinclude|"
    r"(?:sub)?(?:import|inputfrom|includefrom)\s*\{[^{}\n]{0,300}\})"
    r"\b\s*(?:\{\s*([^{}\n]{1,300})\}|([^\s{}\\%]{1,300}))",
    re.MULTILINE,
)
PARTS = ("subfiles", "standalone")
"""Classes of files that are parts of another document as well as documents."""
MAIN_NAMES = ("main", "ms", "paper", "article", "manuscript", "arxiv", "root", "thesis", "book")
DISTRIBUTED = names(
    "epsf epsf.sty epsf.tex psfig psfig.sty amstex amssym amssym.def amssym.tex mssymb xy xypic xy.tex "
    "diagrams harvmac lanlmac jnl eplain glyphtounicode pdfsync tikz tikz.tex pgf pgfplots pstricks pst-node "
    "pst-plot pictex prepictex postpictex ulem.sty amsppt.sty phyzzx mn texdraw txdtools rotate colordvi "
    "macros.sty fontch.tex tabmac testflow graphicx.tex graphicx epic eepic texnansi inputenc.sty babel.sty "
    "german.sty dcpic musixtex random supp-pdf"
)
"""What TeX distributions or arXiv itself provide: not found in an archive, and not missing either."""


def main_file(files: Mapping[str, str]) -> str | None:
    """The main file among decoded sources, by the author's hints or by what a compiler would take; None without one.

    The order: what 00README.json or 00README.XXX calls top level; a class and `\\begin{document}`; not a part of
    another (subfiles, standalone); not included by others; the usual names; the shallowest, longest, first by name.
    """
    sources = {name: text for name, text in files.items() if is_tex(name, text)}
    if not sources:
        return None
    hinted = [name for name in toplevel_hints(files) if name in sources]
    if hinted:
        return hinted[0]
    ignored = ignored_hints(files)
    included = _included(sources)
    return min(sources, key=lambda name: _rank(name, sources[name], name in included, name in ignored))


def is_tex(name: str, text: str) -> bool:
    """Whether a file holds TeX source that could be a document: by name, or where names do not tell, by content."""
    lower = name.lower()
    if lower.endswith(SUFFIXES):
        return True
    if "." in posixpath.basename(lower).strip(".") and not lower.endswith((".txt", ".src", ".revised")):
        return bool(
            not lower.endswith((".sty", ".cls", ".bbl", ".bst", ".clo", ".def", ".bib")) and _is_document(text)
        )
    return _is_document(text)


def _is_document(text: str) -> bool:
    return bool(CLASS.search(text) or (text.lstrip()[:1] in ("\\", "%") and PLAIN.search(text)))


def _rank(name: str, text: str, included: bool, ignored: bool) -> tuple[object, ...]:
    found = CLASS.search(text)
    has_class, has_document = found is not None, DOCUMENT.search(text) is not None
    part = found is not None and found[2] in PARTS
    stem = posixpath.splitext(posixpath.basename(name))[0].lower()
    usual = MAIN_NAMES.index(stem) if stem in MAIN_NAMES else len(MAIN_NAMES)
    n_missing = 2 - has_class - has_document
    return (ignored, n_missing, part, included, usual, name.count("/"), -len(text), name)


def _included(sources: Mapping[str, str]) -> set[str]:
    """The files that others name, by stem: a cheap look, the flattener resolves them properly."""
    stems: dict[str, set[str]] = {}
    for name in sources:
        stems.setdefault(posixpath.splitext(posixpath.basename(name))[0].lower(), set()).add(name)
    found: set[str] = set()
    for name, text in sources.items():
        for match in INCLUDED.finditer(text):
            stem = posixpath.splitext(posixpath.basename((match[1] or match[2]).strip().strip('"')))[0].lower()
            found |= stems.get(stem, set()) - {name}
    return found


def toplevel_hints(files: Mapping[str, str]) -> list[str]:
    """The files that 00README.json or 00README.XXX call top level, in their order."""
    return _hints(files, {"toplevel", "toplevelfile"})


def ignored_hints(files: Mapping[str, str]) -> set[str]:
    """The files that 00README.json or 00README.XXX say to leave out."""
    return set(_hints(files, {"ignore"}))


def _hints(files: Mapping[str, str], usages: set[str]) -> list[str]:
    named: list[str] = []
    for name in sorted(files):
        lower = posixpath.basename(name).lower()
        if lower == "00readme.json":
            named += _json_hints(files[name], usages)
        elif lower.startswith("00readme"):
            lines = (line.split() for line in files[name].splitlines())
            named += [words[0] for words in lines if len(words) == 2 and words[1].lower() in usages]
    return [posixpath.normpath(name) for name in named]


def _json_hints(text: str, usages: set[str]) -> list[str]:
    try:
        sources = json.loads(text).get("sources", [])
        return [s["filename"] for s in sources if s.get("usage") in usages and isinstance(s.get("filename"), str)]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return []


class Resolver:
    """Finds the file that a name in the source means, as arXiv's TeX does: with or without .tex, in any case."""

    def __init__(self, names: list[str], main: str) -> None:
        self._names = set(names)
        self._lower: dict[str, str] = {}
        for name in sorted(names, reverse=True):
            self._lower[name.lower()] = name
        self._main_folder = posixpath.dirname(main)

    def find(
        self, name: str, folders: list[str], own: str, suffixes: tuple[str, ...] = (".tex", "", ".ltx")
    ) -> str | None:
        """The file for `name`: in the `folders` of imports, the main file's, the root, the including file's `own`."""
        wanted = name.strip().strip('"').strip().replace("\\", "/").lstrip("/")
        if not wanted or wanted.startswith("|"):  # \input{|command}: pipes are never run
            return None
        paths = [_join(folder, wanted) for folder in [*folders, self._main_folder, "", own]]
        candidates = [path + suffix for path in dict.fromkeys(paths) if path for suffix in suffixes]
        exact = next((c for c in candidates if c in self._names), None)
        return exact or next((self._lower[c.lower()] for c in candidates if c.lower() in self._lower), None)

    def holds(self, folder: str, name: str) -> bool:
        """Whether a folder holds the file that `name` means."""
        path = _join(folder, name.strip().strip('"')).lower()
        return bool(path) and (path in self._lower or f"{path}.tex" in self._lower)


def _join(folder: str, name: str) -> str:
    path = posixpath.normpath(posixpath.join(folder, name))
    return "" if path == "." or path.startswith("..") else path


def input_name(source: str, position: int) -> tuple[str, int] | None:
    r"""The file name at `position`, after `\input`, and the position behind it: in braces, in quotes, to a space."""
    position = skip_space(source, position)
    if source.startswith("{", position):
        end = source.find("}", position, position + 1000)
        return None if end < 0 else (source[position + 1 : end].strip(), end + 1)
    found = re.compile(r'"([^"\n]{1,300})"|[^\s\\{}%$]{1,300}').match(source, position)
    return None if found is None else (found[1] or found[0], found.end())
