"""TeX sources of real books and manuals: sections and formulas lost, the same rows from shuffled archives, speed.

    python benchmarks/latex_data.py /tmp/tex       # fetches Debian packages, unpacks their TeX sources (900 MB)
    python -m pip install --target /tmp/latex-libs pylatexenc==2.10
    python benchmarks/latex.py /tmp/tex/corpus [--peer /tmp/latex-libs] [--out benchmarks/results/latex.md]

Each file with a class and `\\begin{document}` is a document; its archive holds the TeX files of its package. What is
counted against the converter is counted by other means: regular expressions that know nothing of its tokens.
"""

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.charset import decode
from curation.latex import Document, convert
from curation.latex_archive import is_source, sources, unpack
from curation.latex_flatten import flatten
from curation.latex_main import CLASS, DOCUMENT
from manifests.schema_readers import Latex
from tests.curation.latex_archives import tarred, zipped

PACKAGE_BYTES_MAX = 8 << 20
HEADING = re.compile(r"\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*(?=[\[{])")
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
INPUT = re.compile(r"\\(?:input|include|subfile)\s*\{([^{}]+)\}|\\input\s+([^\s{}\\]+)")
VERBATIM = re.compile(
    r"\\begin\{(verbatim\*?|[BL]?Verbatim\*?|lstlisting|minted|alltt|comment|filecontents\*?)\}.*?\\end\{\1\}"
    r"|\\verb\*?([^A-Za-z*\s]).*?\2|\\iffalse\b.*?\\fi\b",
    re.DOTALL,
)
DROPPED = re.compile(
    r"\\begin\{(figure\*?|wrapfigure|tikzpicture|pspicture\*?|picture|thebibliography|tikzcd|CCSXML)\}.*?\\end\{\1\}",
    re.DOTALL,
)
FORMULA = re.compile(
    r"(?<!\\)(?:\\\\)*(?P<f>\$\$.+?\$\$|\$(?:[^$\\]|\\.)+\$|\\\(.+?\\\)|\\\[.+?\\\]"
    r"|\\begin\{(?P<env>(?:equation|align|gather|multline|eqnarray|flalign|alignat|displaymath)\*?)\}.+?\\end\{(?P=env)\})",
    re.DOTALL,
)
LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Source:
    """A document and the files that it may include."""

    name: str
    main: str
    files: dict[str, bytes]


@dataclass
class Checks:
    """Counts over all documents."""

    n_documents: int = 0
    n_with_inputs: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_sections: int = 0
    n_formulas: int = 0
    lost_sections: list[str] = field(default_factory=list)
    lost_formulas: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def documents(corpus: Path) -> Iterator[Source]:
    """The documents of a corpus in which each package has a folder, in order of their names."""
    for package in sorted(p for p in corpus.glob("*/*/*") if p.is_dir()):
        paths = sorted(p for p in package.rglob("*") if p.is_file())
        if sum(p.stat().st_size for p in paths) > PACKAGE_BYTES_MAX:
            continue
        files = {str(p.relative_to(package)): p.read_bytes() for p in paths}
        for name, data in files.items():
            text = decode(data).text
            if name.endswith((".tex", ".ltx")) and is_source(name, data) and CLASS.search(text) and DOCUMENT.search(text):
                yield Source(f"{package.relative_to(corpus)}/{name}", name, files)


def archive(source: Source, order: list[str] | None = None) -> bytes:
    """A source archive as an author would send it, with the main file named."""
    files = source.files | {"00README.XXX": f"{source.main} toplevelfile\n".encode()}
    return zipped(tarred(files, order or ()))


def dumb_source(name: str, files: dict[str, str], folder: str, open_: tuple[str, ...] = ()) -> str:
    """A flattened source by text replacement alone."""
    text = VERBATIM.sub(" ", COMMENT.sub(r"\1", VERBATIM.sub(" ", files[name])))

    def included(match: re.Match[str]) -> str:
        wanted = (match[1] or match[2]).strip().strip('"').removeprefix("./")
        for candidate in (f"{wanted}.tex", wanted):
            for path in dict.fromkeys((f"{folder}/{candidate}".lstrip("/"), candidate)):
                if path in files and path not in open_ and path != name:
                    return dumb_source(path, files, folder, (*open_, name))
        return " "

    text = INPUT.sub(included, text)
    before, _, body = text.partition("\\begin{document}")
    return (body or before).partition("\\end{document}")[0]


def titles(body: str) -> list[list[str]]:
    """The words of each heading."""
    found = []
    for match in HEADING.finditer(body):
        position = match.end()
        if body[position] == "[":
            position = body.find("]", position) + 1
            position += len(body[position:]) - len(body[position:].lstrip())
        if body[position : position + 1] != "{":
            continue
        found.append(words(argument(body, position)))
    return found


def argument(body: str, position: int) -> str:
    """What stands between a brace and its partner, by counting."""
    depth = 0
    for at in range(position, min(len(body), position + 2000)):
        depth += (body[at] == "{") - (body[at] == "}")
        if depth == 0:
            return body[position + 1 : at]
    return body[position + 1 : position + 200]


def words(title: str) -> list[str]:
    """Words of letters, without commands and formulas."""
    plain = re.sub(r"\\[A-Za-z]+\*?|\\.|\$[^$]*\$", " ", re.sub(r"\\(?:label|index|footnote|thanks|ref|cite)\{[^}]*\}", " ", title))
    return LETTERS.findall(plain)


def lost_titles(wanted: list[list[str]], text: str) -> list[list[str]]:
    """Headings that the text does not have, in their order."""
    headings = [line for line in text.split("\n") if line.startswith("#")]
    lost, at = [], 0
    for title in wanted:
        following = (i for i in range(at, len(headings)) if all(word in headings[i] for word in title))
        found = next(following, None)
        if found is None:
            lost.append(title)
        else:
            at = found + 1
    return lost


def lost_formulas(flat: str, text: str) -> list[str]:
    """Formulas of the flattened source that the text has less often."""
    body = flat.partition("\\begin{document}")[2] or flat
    body = DROPPED.sub(" ", VERBATIM.sub(" ", body))
    counts = Counter(match["f"] for match in FORMULA.finditer(body))
    return [formula for formula, n in counts.items() for _ in range(n - text.count(formula))]
