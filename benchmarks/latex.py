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
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.latex.archive import Submission, sources, unpack
from curation.latex.flatten import flatten
from curation.latex.main_file import CLASS, DOCUMENT
from curation.latex.paper import Document, convert
from manifests.schema_readers import Latex
from tests.curation.latex_archives import tarred, zipped

PACKAGE_BYTES_MAX = 8 << 20
DOCUMENTS_PER_PACKAGE = 3
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
    r"|\\begin\{(?P<env>(?:equation|align|gather|multline|eqnarray|flalign|alignat|displaymath)\*?)\}"
    r".+?\\end\{(?P=env)\})",
    re.DOTALL,
)
DEFINED = re.compile(
    r"\\(?:(?:re|provide)?newcommand\*?|DeclareRobustCommand|[gex]?def|newenvironment|"
    r"renewcommand|DeclareMathOperator)\s*"
    r"(?:\{?\\?[A-Za-z@]+\}?)\s*(?:\[[^\]]*\]|#\d)*\s*\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}"
    r"|\\begin\{list\}\s*\{[^}]*\}|[<>]\{\$\}"
)
LISTED = 10
LOOK_AHEAD = 25
"""Headings; a word such as Introduction may come again much later, which is not the one that was sought."""
RECORD_BYTES, PEER_STEP = 64 << 20, 20
LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Source:
    """A document and the files that it may include."""

    name: str
    main: str
    files: dict[str, bytes]


@dataclass
class Checks:
    """Counts over documents."""

    n_documents: int = 0
    n_with_inputs: int = 0
    n_packages: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_headings: int = 0
    n_formulas: int = 0
    n_shuffled_same: int = 0
    seconds: float = 0.0
    lost_headings: list[str] = field(default_factory=list)
    lost_formulas: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def documents(corpus: Path) -> Iterator[Source]:
    """The documents of a corpus in which each package has a folder, in order of their names; the largest of each.

    A document counts that includes others or has a heading: the examples of a package that show one command do not.
    """
    for package in sorted(p for p in corpus.glob("*/*/*") if p.is_dir()):
        paths = sorted(p for p in package.rglob("*") if p.is_file())
        files = {str(p.relative_to(package)): p.read_bytes() for p in paths}
        if sum(map(len, files.values())) > PACKAGE_BYTES_MAX:
            continue
        texts = sources(Submission(files, b""))
        mains = [
            n for n in texts if n.endswith((".tex", ".ltx")) and CLASS.search(texts[n]) and DOCUMENT.search(texts[n])
        ]
        mains.sort(key=lambda name: (-len(dumb_source(name, texts)), name))
        for name in mains[:DOCUMENTS_PER_PACKAGE]:
            of = COMMENT.sub("", texts[name])
            if "\\includeonly" not in of and (INPUT.search(of) or HEADING.search(of)):
                yield Source(f"{package.relative_to(corpus)}/{name}", name, files)


def archive(source: Source, order: list[str] | None = None) -> bytes:
    """A source archive as an author would send it, with the main file named."""
    files = source.files | {"00README.XXX": f"{source.main} toplevelfile\n".encode()}
    return zipped(tarred(files, order or ()))


def dumb_source(name: str, files: dict[str, str], open_: tuple[str, ...] = ()) -> str:
    """The body of a flattened source by text replacement alone."""
    text = VERBATIM.sub(" ", COMMENT.sub(r"\1", VERBATIM.sub(" ", files[name])))
    folder = str(Path(open_[0] if open_ else name).parent)

    def included(match: re.Match[str]) -> str:
        wanted = (match[1] or match[2]).strip().strip('"')
        for candidate in (f"{wanted}.tex", wanted):
            path = str(Path(folder, candidate))
            if path in files and path not in (*open_, name):
                return dumb_source(path, files, (*open_, name))
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
    """Words of letters, without commands, formulas, and words with accents that TeX puts on them."""
    title = re.sub(r"\S*\\['`^\"~=.cvuHk]\s*(?:\{[^}]*\}|\\?[a-zA-Z])\S*", " ", title)
    title = re.sub(r"\\(?:label|index|footnote|thanks|ref|cite)\{[^}]*\}|\$[^$]*\$", " ", title)
    return LETTERS.findall(re.sub(r"\\texorpdfstring\{.*|\\[A-Za-z]+\*?|\\.", " ", title))


def lost_titles(wanted: list[list[str]], text: str) -> list[list[str]]:
    """Headings that the text does not have, in their order."""
    headings = [line for line in text.split("\n") if line.startswith("#")]
    lost, at = [], 0
    for title in wanted:
        following = (
            i for i in range(at, min(at + LOOK_AHEAD, len(headings))) if all(word in headings[i] for word in title)
        )
        found = next(following, None)
        if found is None:
            lost.append(title)
        else:
            at = found + 1
    return lost


def lost_formulas(flat: str, text: str) -> tuple[list[str], int]:
    """Formulas of the flattened source that the text has less often, and how many there are."""
    body = flat.partition("\\begin{document}")[2] or flat
    body = DROPPED.sub(" ", DEFINED.sub(" ", VERBATIM.sub(" ", body)))
    counts = Counter(match["f"] for match in FORMULA.finditer(body))
    return [formula for formula, n in counts.items() for _ in range(n - text.count(formula))], sum(counts.values())


def check(source: Source, checks: Checks, rng: random.Random) -> None:
    """Convert a document and count what it lost."""
    submission = unpack(archive(source), "x.tex", RECORD_BYTES)
    started = time.process_time()
    files = sources(submission)
    document = convert(files, Latex())
    checks.seconds += time.process_time() - started
    if document is None or document.text is None:
        raise RuntimeError(f"{source.name}: no document")
    flat = flatten(files, source.main, 1 << 24)
    wanted = titles(dumb_source(source.main, files))
    formulas, n_formulas = lost_formulas(flat.text, document.text)
    checks.n_documents += 1
    checks.n_with_inputs += document.n_files > 1
    checks.n_files += document.n_files
    checks.n_bytes += len(flat.text.encode())
    checks.n_headings += len(wanted)
    checks.n_formulas += n_formulas
    checks.notes.update(note.kind for note in document.notes)
    checks.lost_headings += [f"{source.name}: {' '.join(title)}" for title in lost_titles(wanted, document.text)]
    checks.lost_formulas += [f"{source.name}: {formula}" for formula in formulas]
    checks.n_shuffled_same += same_when_shuffled(source, submission, document, rng)


def same_when_shuffled(source: Source, submission: Submission, document: Document, rng: random.Random) -> bool:
    """Whether an archive with its members in another order has the same digest and makes the same document."""
    order = [*source.files, "00README.XXX"]
    rng.shuffle(order)
    again = unpack(archive(source, order), "x.tex", RECORD_BYTES)
    return again.digest == submission.digest and convert(sources(again), Latex()) == document


def peer_speed(corpus: Path, library: Path) -> tuple[float, float, int, int]:
    """Seconds of processor time for the same flattened sources: ours and pylatexenc's; bytes; where it failed."""
    sys.path.insert(0, str(library))
    from pylatexenc.latex2text import LatexNodes2Text

    ours = peer = 0.0
    n_bytes = n_failed = 0
    for source in list(documents(corpus))[::PEER_STEP]:
        files = sources(unpack(archive(source), "x.tex", RECORD_BYTES))
        text = flatten(files, source.main, 1 << 24).text
        started = time.process_time()
        convert({"main.tex": text}, Latex())
        ours += time.process_time() - started
        started = time.process_time()
        try:
            LatexNodes2Text(math_mode="verbatim").latex_to_text(text)
        except Exception:  # whatever it raises, it made no text
            n_failed += 1
        peer += time.process_time() - started
        n_bytes += len(text.encode())
    return ours, peer, n_bytes, n_failed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("--peer", type=Path, help="where pylatexenc is")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "latex.md")
    options = arguments.parse_args()
    checks, rng, packages = Checks(), random.Random(0), set()
    for source in documents(options.corpus):
        packages.add(source.name.rsplit("/", source.main.count("/") + 1)[0])
        check(source, checks, rng)
    checks.n_packages = len(packages)
    report = text_of(checks, peer_speed(options.corpus, options.peer) if options.peer else None)
    options.out.write_text(report)
    print(report)


def text_of(checks: Checks, peer: tuple[float, float, int, int] | None) -> str:
    """The report."""
    mb = checks.n_bytes / 1e6
    lines = [
        "# TeX sources",
        "",
        "Made by `benchmarks/latex.py` of the TeX sources in Debian packages that `benchmarks/latex_data.py` names:",
        f"{checks.n_documents} documents of {checks.n_packages} packages (of each at most {DOCUMENTS_PER_PACKAGE}),"
        f" {checks.n_with_inputs} of them of several files;",
        f"{checks.n_files:,} files, {mb:.1f} MB flattened. One core.",
        "",
        "| | counted in the source | not in the text |",
        "|---|---|---|",
        f"| headings, in their order | {checks.n_headings:,} | {len(checks.lost_headings)} |",
        f"| formulas, byte for byte | {checks.n_formulas:,} | {len(checks.lost_formulas)} |",
        f"| archives with their members shuffled: same digest and document | {checks.n_documents} |"
        f" {checks.n_documents - checks.n_shuffled_same} |",
        "",
        f"{mb / checks.seconds:.1f} MB of flattened source per second of processor time, decoding and all macros"
        " included.",
        f"Notes: {', '.join(f'{kind} {n}' for kind, n in checks.notes.most_common())}.",
        "",
    ]
    if peer:
        ours, theirs, n_bytes, n_failed = peer
        lines += [
            f"Beside pylatexenc 2.10 (`LatexNodes2Text`, formulas verbatim) on every {PEER_STEP}th document,",
            f"{n_bytes / 1e6:.1f} MB: {n_bytes / ours / 1e6:.2f} MB/s against {n_bytes / theirs / 1e6:.2f} MB/s, "
            f"{theirs / ours:.1f} times; it raised an error on {n_failed}.",
            "",
        ]
    lines += [
        "## What was not found",
        "",
        "By document, the first ten of each; most are manuals of TeX packages, which show commands in environments",
        "of their own that only TeX knows to be verbatim, and regular expressions take what is shown for the text.",
        "",
        f"Headings: {by_document(checks.lost_headings)}.",
        "",
        f"Formulas: {by_document(checks.lost_formulas)}.",
    ]
    return "\n".join([*lines, ""])


def by_document(lost: list[str]) -> str:
    """The documents that lost most."""
    counts = Counter(line.partition(": ")[0] for line in lost)
    rest = len(counts) - LISTED
    listed = ", ".join(f"{name} {n}" for name, n in counts.most_common(LISTED))
    return listed + (f", and {rest} documents with fewer" if rest > 0 else "")


if __name__ == "__main__":
    main()
