"""Files of real source packages: every one a row, their languages and kinds beside GitHub's linguist, secrets, speed.

    python benchmarks/code_files.py fetch [--packages DIR]     # apt-get source, npm pack, pip download
    python benchmarks/code_files.py [--packages DIR]           # needs Debian's ruby-github-linguist for its labels

Linguist (Ruby) labels the same files from the same disk; its answers are another program's, not the truth, so where
the two differ a sample was read by eye (data/code_kinds.tsv). Times are processor time, so other load does not count.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sample_text import publish

from curation.code.archives import Bounds, clean_path, members
from curation.code.file import what_it_is
from curation.code.kinds import file_kind
from curation.code.languages import language_of
from curation.code.paths import place_of
from curation.code.text import decode_source
from curation.measure import record_ids
from curation.pii_secrets import secrets_in, texts_that_may_hold
from curation.read import plan_splits, read_split
from curation.read_code import below, survey
from manifests.schema import Input, Limits

DEBIAN = (
    "zlib jq lua5.4 bc less tinyxml2 libuv1 jansson haskell-split golang-github-spf13-cobra rust-serde "
    "r-cran-stringr ocaml-csv php-monolog "
    "libcommons-csv-java okio tcllib octave-struct gnustep-base guile-json bison flex antlr4 "
    "protobuf-c thrift golang-golang-x-net elixir-lang erlang-cowlib haskell-aeson iverilog kotlin libnumbertext "
    "libjson-java verilator swi-prolog gpick ghdl dash"
)
NPM = (
    "lodash express react react-dom vue jquery typescript-eslint axios chalk commander rxjs d3 bootstrap "
    "@angular/core three preact svelte zod esbuild fp-ts moment"
)
PYPI = (
    "django numpy scipy attrs pyyaml rich pygments sqlalchemy konlpy soynlp kss scikit-learn notebook jupyter-core "
    "nbformat"
)
LINGUIST = """
require 'linguist'
require 'json'
base = ARGV[0]
start = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
STDIN.each_line do |line|
  name = line.chomp
  blob = Linguist::FileBlob.new("#{base}/#{name}", "#{base}/#{name.split('/', 2)[0]}")
  language = blob.binary? ? nil : blob.language
  puts JSON.generate({name: name, language: language&.name, group: language&.group&.name, type: language&.type,
                      generated: !!blob.generated?, vendored: !!blob.vendored?, binary: blob.binary?})
end
puts JSON.generate({seconds: Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - start})
"""
SAME = {
    "Visual Basic 6.0": "Visual Basic", "Unix Assembly": "Assembly", "Roff Manpage": "Roff", "Coq": "Rocq Prover",
    "Java Properties": "INI", "Bison": "Yacc", "M4Sugar": "M4", "Vim Help File": "Text", "Vim Script": "Vim script",
    "X PixMap": "XPM", "X BitMap": "XBM", "TSX": "TypeScript", "Starlark": "Python", "Git Attributes": "Ignore List",
    "Git Config": "INI", "EditorConfig": "INI", "NPM Config": "INI", "Maven POM": "XML", "XML Property List": "XML",
    "JSON with Comments": "JSON", "JSON5": "JSON", "HTML+Django": "HTML", "HTML+ERB": "HTML",
    "Literate Haskell": "Haskell",
    "Pip Requirements": "Text", "TSV": "CSV", "desktop": "INI", "Go Module": "Go", "Go Checksums": "Go",
    "Gradle": "Groovy",
    "PLpgSQL": "SQL", "PLSQL": "SQL", "TSQL": "SQL", "JFlex": "Lex", "Ant Build System": "XML", "Rd": "R",
}  # fmt: skip
"""Names of linguist for what bears another here, or is a part of it."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("command", nargs="?", choices=["fetch", "measure"], default="measure")
    arguments.add_argument("--packages", type=Path, default=Path.home() / ".cache/onggi-benchmarks/code")
    options = arguments.parse_args()
    if options.command == "fetch":
        fetch(options.packages)
        return
    archives = sorted(path for path in options.packages.iterdir() if place_of(path.name, "folders"))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        n_members = {path.name: extract(path, tree) for path in archives}
        names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
        kept = options.packages / "linguist.jsonl"
        if not kept.exists():
            kept.write_text("\n".join(map(json.dumps, linguist(tree, names)[0])))
        theirs = [json.loads(line) for line in kept.read_text().splitlines()]
        publish("code_files", "\n\n".join(report(archives, tree, names, n_members, theirs)) + "\n")


def report(
    archives: list[Path], tree: Path, names: list[str], n_members: dict[str, int], theirs: list[Any]
) -> Iterator[str]:
    n_bytes = sum((tree / name).stat().st_size for name in names)
    yield "# Files of source packages"
    yield (
        f"Made by `benchmarks/code_files.py`: {len(archives)} packages (Debian's sources, npm, wheels),"
        f" {len(names):,} files of at most 1 MiB, {n_bytes / 1e6:.0f} MB."
        f" Python {sys.version.split()[0]}, one process; MB/s are of"
        " processor time."
    )
    yield "## Every file is a row"
    yield rows_table(archives, n_members)
    yield "## Languages beside linguist"
    yield from languages_tables(tree, theirs)
    yield "## Kinds beside linguist, and read by eye"
    yield from kinds_tables(tree, theirs)
    yield "## Secrets"
    yield secrets_table(tree, names)
    yield "## Speed"
    yield speed_table(tree, names)


def extract(archive: Path, tree: Path) -> int:
    """Lay an archive's files out for linguist; returns how many members but folders it has, as its library counts."""
    place = place_of(archive.name, "folders")
    bounds = Bounds(8 << 30, 1 << 23)
    assert place is not None
    with archive.open("rb") as file:
        top, _ = survey(file, str(archive), bounds, lambda _: False)
        file.seek(0)
        for member in members(file, str(archive), bounds):
            name = below(clean_path(member.name), top)
            content = member.read((1 << 20) + 1) if member.kind == "file" and name else b""
            if content and len(content) <= 1 << 20:
                path = tree / place.repository / str(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            return sum(not info.is_dir() for info in zipped.infolist())
    with tarfile.open(archive) as tar:
        return sum(not info.isdir() for info in tar)


def linguist(tree: Path, names: list[str]) -> tuple[list[Any], float]:
    """What linguist says of each file, and the seconds that it took."""
    done = subprocess.run(
        ["ruby", "-e", LINGUIST, str(tree)], input="\n".join(names), capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows[:-1], float(rows[-1]["seconds"])


def read(path: Path, **code: Any) -> tuple[list[dict[str, Any]], Counter[str]]:
    item = Input.model_validate(
        {"source": "s", "path": str(path), "format": "code", "code": {"licenses": "skip"} | code}
    )
    rows: list[dict[str, Any]] = []
    skipped: Counter[str] = Counter()
    for split in plan_splits(item, "", 64 << 20):
        for batch in read_split(split, item, Limits(), sorted(item.metadata)):
            ids = record_ids(batch.records).to_pylist()
            table = batch.records.drop_columns(["content"]).to_pylist()
            rows += [row | {"id": id_} for row, id_ in zip(table, ids, strict=True)]
            skipped.update(batch.skipped)
    return rows, skipped


def rows_table(archives: list[Path], n_members: dict[str, int]) -> str:
    n_rows, n_differ, n_same, reasons = 0, 0, 0, Counter[str]()
    for path in archives:
        rows, skipped = read(path)
        n_here = len(rows) + sum(n for kind, n in skipped.items() if kind != "folder")
        n_rows += n_here
        n_differ += n_here != n_members[path.name]
        reasons.update(row["reason"] or "goes on" for row in rows)
    for path in archives[::12]:  # some of them as folders: the same ids
        with tempfile.TemporaryDirectory() as folder:
            lay_all(path, Path(folder))
            n_same += {row["id"] for row in read(Path(folder))[0]} == {row["id"] for row in read(path)[0]}
    lines = [
        ("members but folders, as tarfile and zipfile count", sum(n_members.values())),
        ("rows", n_rows),
        ("packages in which the two differ", n_differ),
        (f"of {len(archives[::12])} packages laid out as folders, the same ids", n_same),
        *((f"`{reason}`", n) for reason, n in reasons.most_common()),
    ]
    return table(("", "n"), [(name, f"{n:,}") for name, n in lines])


def lay_all(archive: Path, folder: Path) -> None:
    place = place_of(archive.name, "folders")
    bounds = Bounds(8 << 30, 1 << 23)
    assert place is not None
    with archive.open("rb") as file:
        top, _ = survey(file, str(archive), bounds, lambda _: False)
        file.seek(0)
        for member in members(file, str(archive), bounds):
            name = below(clean_path(member.name), top)
            path = folder / place.repository / str(name)
            if member.kind == "file" and name:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(member.read(1 << 31))
            elif member.kind == "link" and member.detail:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(member.detail)


def languages_tables(tree: Path, theirs: list[Any]) -> Iterator[str]:
    counts, wrong = Counter[tuple[str, bool]](), Counter[tuple[str, str]]()
    hidden = Counter[tuple[str, bool]]()
    for row in theirs:
        path, content = row["name"].partition("/")[2], (tree / row["name"]).read_bytes()
        if row["binary"] or what_it_is(path, content):
            continue
        text = decode_source(content).text
        mine = language_of(path, text)
        for case, new_name, expected in hidden_cases(path, text):
            hidden[case, language_of(new_name, text) == expected] += 1
        if row["language"] is None:
            continue
        names = {SAME.get(name, name) for name in (row["language"], row["group"])} | {row["language"]}
        is_right = SAME.get(mine or "", mine) in names or mine in names
        counts["programming" if row["type"] == "programming" else "markup, data, prose", is_right] += 1
        if not is_right:
            wrong[row["language"], mine or "(none)"] += 1
    yield table(
        ("files that linguist calls", "n", "the same here", "share"),
        [share(kind, counts) for kind in ("programming", "markup, data, prose")],
    )
    yield "Where they differ most: " + "; ".join(
        f"{ours} for its {label} ({n})" for (label, ours), n in wrong.most_common(12)
    )
    yield "By content alone: files whose endings say what they are, under a name that does not."
    yield table(
        ("case", "n", "right", "share"), [share(case, hidden) for case in sorted({case for case, _ in hidden})]
    )


def hidden_cases(path: str, text: str) -> Iterator[tuple[str, str, str]]:
    """(case, the name without what tells, the language that its ending told)."""
    stem, _, ending = path.rpartition(".")
    of = {
        "py": "Python",
        "sh": "Shell",
        "pl": "Perl",
        "rb": "Ruby",
        "tcl": "Tcl",
        "js": "JavaScript",
        "mjs": "JavaScript",
    }
    if text.startswith("#!") and ending in of and ending != "pl":
        yield "scripts without an ending, by `#!`", stem, of[ending]
    if ending in ("hpp", "hxx", "hh", "cpp", "cc", "cxx") and "__cplusplus" not in text:
        yield f"C++ ({'headers' if ending[0] == 'h' else 'sources'}) as `.h`", f"{stem}.h", "C++"
    if ending == "c":
        yield "C as `.h`", f"{stem}.h", "C"
    if ending == "mm" or (ending == "m" and "@implementation" in text):
        yield "Objective-C as `.h`", f"{stem}.h", "Objective-C"
    if ending == "pm":
        yield "Perl modules as `.pl`", f"{stem}.pl", "Perl"
        yield "Perl modules as `.t`", f"{stem}.t", "Perl"


def kinds_tables(tree: Path, theirs: list[Any]) -> Iterator[str]:
    counts = Counter[tuple[str, str]]()
    kinds = {}
    for row in theirs:
        content = (tree / row["name"]).read_bytes()
        repository, _, path = row["name"].partition("/")
        if row["binary"] or what_it_is(path, content):
            continue
        text = decode_source(content).text
        kind = kinds[row["name"]] = file_kind(path, language_of(path, text), text, 65_536, repository).value
        label = "generated" if row["generated"] else "vendored" if row["vendored"] else "neither"
        counts[label, kind] += 1
    columns = sorted({kind for _, kind in counts})
    yield table(
        ("linguist", *columns),
        [
            (label, *(f"{counts[label, kind]:,}" for kind in columns))
            for label in ("generated", "vendored", "neither")
        ],
    )
    yield (
        "Linguist takes `.d.ts`, `debian/`, fixtures of tests and `.github/` for vendored; here they are source, test"
        " or configuration. It does not know what autotools, javadoc, roxygen's like and bundlers leave in packages."
    )
    labels = [
        line.split("\t") for line in (Path(__file__).parent / "data/code_kinds.tsv").read_text().splitlines()[1:]
    ]
    for name in ("seen", "fresh"):
        seen = Counter(
            (label, kinds.get(path, "?")) for which, path, label in labels if which == name and path in kinds
        )
        n_right = sum(n for (label, kind), n in seen.items() if is_written(label) == is_written(kind))
        yield (
            f"Read by eye, {'before the last changes of the patterns' if name == 'seen' else 'after them'}: of"
            f" {sum(seen.values())} files {n_right} are rightly taken for written by people (source, test) or not."
        )
        shown = sorted({kind for _, kind in seen})
        rows = sorted({label for label, _ in seen})
        yield table(("by eye", *shown), [(label, *(str(seen[label, kind]) for kind in shown)) for label in rows])


def is_written(kind: str) -> bool:
    return kind in ("source", "test")


def secrets_table(tree: Path, names: list[str]) -> str:
    texts = [text for name in names if (text := text_of(tree / name)) is not None]
    column, n_bytes = pa.array(texts, pa.large_string()), sum(len(text.encode()) for text in texts)
    rows, gate = timed(lambda: texts_that_may_hold(column))
    hits, look = timed(lambda: [(row, *span) for row in rows for span in secrets_in(texts[row])])
    n_keys = sum("PRIVATE KEY" in texts[row][start : start + 60] for row, start, _ in hits)
    lines = [
        ("texts", f"{len(texts):,}, {n_bytes / 1e6:.0f} MB"),
        ("texts looked at closely", f"{len(rows):,}"),
        ("secrets found", f"{len(hits)}: {n_keys} private keys, {len(hits) - n_keys} others"),
        ("MB/s", f"{n_bytes / 1e6 / (gate + look):.0f} ({n_bytes / 1e6 / gate:.0f} for the pattern that says where)"),
    ]
    return table(("", ""), lines)


def text_of(path: Path) -> str | None:
    content = path.read_bytes()
    return None if what_it_is(path.name, content) else decode_source(content).text


def speed_table(tree: Path, names: list[str]) -> str:
    """Every twentieth file, in folders of its own, read by both."""
    with tempfile.TemporaryDirectory() as folder:
        some = names[::20]
        for name in some:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((tree / name).read_bytes())
        n_bytes = sum((tree / name).stat().st_size for name in some)
        read(Path(folder))
        _, seconds = timed(lambda: read(Path(folder)))
        _, linguist_seconds = linguist(Path(folder), some)
    lines = [
        ("reading folders: text, language, kind, digests (`licenses: skip`)", f"{n_bytes / 1e6 / seconds:.1f}", ""),
        (
            "linguist 7.22 (Ruby, Debian): language, generated, vendored",
            f"{n_bytes / 1e6 / linguist_seconds:.1f}",
            f"{linguist_seconds / seconds:.1f}x its time",
        ),
    ]
    return f"{len(some):,} files, {n_bytes / 1e6:.0f} MB.\n\n" + table(("", "MB/s", "ratio"), lines)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def share(name: str, counts: Counter[tuple[str, bool]]) -> tuple[str, ...]:
    n, n_right = counts[name, True] + counts[name, False], counts[name, True]
    return name, f"{n:,}", f"{n_right:,}", f"{n_right / max(1, n):.4f}"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fetch(folder: Path) -> None:
    """The packages, by the clients of their registries, into one folder; what is not to be had is named."""
    work = folder / "work"
    (work / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (work / "sources.list").write_text("deb-src http://deb.debian.org/debian bookworm main\n")
    apt = ["apt-get", "-o", f"Dir::Etc::sourcelist={work}/sources.list", "-o", "Dir::Etc::sourceparts=-"]
    apt += ["-o", f"Dir::State::lists={work}/lists", "-qq"]
    run([*apt, "update"], work)
    for name in DEBIAN.split():
        run([*apt, "source", "--download-only", name], work)
    for name in NPM.split():
        run(["npm", "pack", "--silent", "--ignore-scripts", name], work)
    for name in PYPI.split():
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", name], work)
    for path in [*work.glob("*.orig*.tar.*"), *work.glob("*.tgz"), *work.glob("*.whl")]:
        if not path.name.endswith(".asc"):
            path.rename(folder / path.name)


def run(command: list[str], folder: Path) -> None:
    if subprocess.run(command, cwd=folder).returncode:
        print(f"not to be had: {command[-1]}", file=sys.stderr)


if __name__ == "__main__":
    main()
