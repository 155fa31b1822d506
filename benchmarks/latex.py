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

from benchmarks.latex_oracle import Item, truth
from curation.latex.archive import Submission, sources, unpack
from curation.latex.flatten import flatten
from curation.latex.main_file import CLASS, DOCUMENT
from curation.latex.paper import Document, convert
from manifests.schema_readers import Latex
from tests.curation.latex_archives import tarred, zipped

PACKAGE_BYTES_MAX = 8 << 20
DOCUMENTS_PER_PACKAGE = 3
INPUT = re.compile(r"\\(?:input|include|subfile)\s*[{ ]")
HEADING = re.compile(r"\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*[\[{]")
COMMENT = re.compile(r"(?<!\\)%.*")
UNKNOWN = ("in the text, not explained", "counted as lost by the reader")
LOOKED_AT = {
    "test-autonum.tex": (
        "a macro defined twice, by what is loaded: the second definition leaves its argument out",
        "lost by the reader",
    ),
    "texmate2manual.tex": ("shown between marks that the package's own class makes verbatim", "the oracle"),
    "Circuit_macros.tex": ("in a definition over several groups", "the oracle"),
    "example-biosketch.tex": ("in the argument of a command that leaves it out", "the oracle"),
}
"""Why what stands in a document's text is not found, where a person looked: cause, and whose mistake."""
RECORD_BYTES, PEER_STEP = 64 << 20, 20
NO_WORDS = re.compile(
    r"\\begin\{tabular\}(?:\[\w\])?\{[^}]*\}|\\end\{tabular\}|\\\\\[[^\]]*\]"
    r"|\\(?:label|linelabel|index|footnote|thanks|ref|cref|eqref|hypertarget|selectlanguage|color|textcolor|hspace|vspace|"
    r"foreignlanguage|phantomsection|href|hskip|fontsize|[a-z]*cite[a-z]*)\*?(?:\[[^\]]*\])?\{[^{}]*\}"
)
LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Source:
    """A document and the files that it may include."""

    name: str
    main: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Lost:
    """A heading or formula that the text does not have."""

    document: str
    item: Item


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
    n_odd: int = 0
    lost_headings: list[Lost] = field(default_factory=list)
    lost_formulas: list[Lost] = field(default_factory=list)
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
        mains.sort(key=lambda name: (-len(texts[name]), name))
        for name in mains[:DOCUMENTS_PER_PACKAGE]:
            of = COMMENT.sub("", texts[name])
            before = CLASS.split(of, maxsplit=1)[0]  # a part of a manual may show a document
            if "\\section" not in before and "\\includeonly" not in of and (INPUT.search(of) or HEADING.search(of)):
                yield Source(f"{package.relative_to(corpus)}/{name}", name, files)


def archive(source: Source, order: list[str] | None = None) -> bytes:
    """A source archive as an author would send it, with the main file named."""
    files = source.files | {"00README.XXX": f"{source.main} toplevelfile\n".encode()}
    return zipped(tarred(files, order or ()))


def words(title: str) -> list[str]:
    """Words of letters, without commands, formulas, and words with accents that TeX puts on them."""
    title = re.sub(r"\S*\\(?:['`^\"~=.]|[cvuHk](?![A-Za-z]))\s*(?:\{[^}]*\}|\\?[a-zA-Z])\S*", " ", title)
    title = re.sub(NO_WORDS, " ", re.sub(r"\$[^$]*\$|\\\(.*?\\\)", " ", title))
    return LETTERS.findall(re.sub(r"\\texorpdfstring\{.*|\\[A-Za-z]+\*?|\\.", " ", title))


def lost_titles(wanted: list[Item], text: str) -> list[Item]:
    """Headings that are not in the text, by the longest sequence that both have."""
    headings = [line for line in text.split("\n") if line.startswith("#")]
    titles = [words(item.source) for item in wanted]
    same = [[all(word in heading for word in title) for heading in headings] for title in titles]
    longest = [[0] * (len(headings) + 1) for _ in range(len(titles) + 1)]
    for i in reversed(range(len(titles))):
        for j in reversed(range(len(headings))):
            here = longest[i + 1][j + 1] + 1 if same[i][j] else 0
            longest[i][j] = max(here, longest[i + 1][j], longest[i][j + 1])
    lost, j = [], 0
    for i, item in enumerate(wanted):
        if longest[i][j] == longest[i + 1][j]:
            lost.append(item)
            continue
        while not (same[i][j] and longest[i][j] == longest[i + 1][j + 1] + 1):
            j += 1
        j += 1
    return lost


def lost_formulas(wanted: list[Item], text: str) -> list[Item]:
    """Formulas that the text has less often than the source, those first that stand in no text."""
    by_source: dict[str, list[Item]] = {}
    for item in wanted:
        by_source.setdefault(item.source, []).append(item)
    lost = []
    for source, items in by_source.items():
        items.sort(key=lambda item: item.place is None)
        lost += items[: max(0, len(items) - text.count(source))]
    return lost


def check(source: Source, checks: Checks, rng: random.Random) -> None:
    """Convert a document and count what it lost."""
    submission = unpack(archive(source), "x.tex", RECORD_BYTES)
    started = time.process_time()
    files = sources(submission)
    document = convert(files, Latex())
    checks.seconds += time.process_time() - started
    if document is None or document.text is None:
        raise RuntimeError(f"{source.name}: no document")
    known = truth(source.main, files)
    known.headings = [item for item in known.headings if words(item.source)]  # one without words cannot be told
    checks.n_documents += 1
    checks.n_with_inputs += document.n_files > 1
    checks.n_files += document.n_files
    checks.n_bytes += len(flatten(files, source.main, 1 << 24).text.encode())
    checks.n_headings += len(known.headings)
    checks.n_formulas += len(known.formulas)
    checks.n_odd += known.n_odd
    checks.notes.update(note.kind for note in document.notes)
    for item in lost_titles(known.headings, document.text):
        checks.lost_headings.append(Lost(source.name, item))
    for item in lost_formulas(known.formulas, document.text):
        checks.lost_formulas.append(Lost(source.name, item))
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
        "## What is not in the text",
        "",
        "What stands in no text is told by `benchmarks/latex_oracle.py`, which has none of the reader's code. Of the",
        "rest a person explained some; what is not explained counts as lost.",
        "",
        "| where it stands in the source, or why it is counted | whose | headings | formulas | for example |",
        "|---|---|---|---|---|",
        *causes(checks),
        "",
        f"{checks.n_odd:,} more dollars have no partner in their paragraph and group; TeX stops at them, or they are",
        "shown in commands that make them characters.",
    ]
    return "\n".join([*lines, ""])


def causes(checks: Checks) -> list[str]:
    """A row for each cause."""
    rows: dict[tuple[str, str], list[list[Lost]]] = {}
    for kind, lost in enumerate((checks.lost_headings, checks.lost_formulas)):
        for one in lost:
            cause = (
                (one.item.place, "left out by rule") if one.item.place else LOOKED_AT.get(base(one.document), UNKNOWN)
            )
            rows.setdefault(cause, [[], []])[kind].append(one)
    ordered = sorted(rows.items(), key=lambda row: (row[0][1], -sum(map(len, row[1]))))
    return [
        f"| {cause} | {whose} | {len(both[0])} | {len(both[1])} | `{(both[0] or both[1])[0].document}` |"
        for (cause, whose), both in ordered
    ]


def base(document: str) -> str:
    """The name of a document's file."""
    return document.rpartition("/")[2]


if __name__ == "__main__":
    main()
