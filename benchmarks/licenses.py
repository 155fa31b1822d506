"""How far the verdict on licences can be trusted, and what it costs: real packages against what they declare.

    python benchmarks/license_fetch.py FOLDER
    python benchmarks/licenses.py FOLDER > benchmarks/results/licenses.md

The detector sees a package without the files in which it declares its licence (PKG-INFO, setup.py, package.json,
debian/, ...); its verdict from texts, READMEs and notices is then compared with that declaration. Debian's
debian/copyright declares file by file, and was written by somebody who read the sources. Rules were set on every
second package (`tuned`); `held out` are the others. The peer is ScanCode's matcher on whole files, in the same run.
"""

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.license_packages import Package, packages
from benchmarks.license_truth import debian_paragraphs, declared, visible
from benchmarks.license_why import FILES_WHY, WHY
from curation.licenses import index
from curation.licenses.debian import FilesParagraph, paragraph_of, spdx
from curation.licenses.detector import FileLicense, LicenseDetector
from curation.licenses.text import decoded
from curation.licenses.verdicts import Verdict, verdict_of

NAIVE_FILES = 40  # some take ten seconds
NAIVE_BYTES_MAX = 65_536
KNOWN = ("permissive", "copyleft", "other")


@dataclass(frozen=True)
class Outcome:
    """One package: what it declares and what was found."""

    package: Package
    written: str
    declared: Verdict
    found: FileLicense


@dataclass(frozen=True)
class FileOutcome:
    """One file of a Debian package."""

    package: Package
    path: str
    paragraph: FilesParagraph
    declared: Verdict
    found: FileLicense


def main(downloads: Path) -> None:
    detector = LicenseDetector()
    load_cpu_s = cpu_s(lambda: index.find("MIT"))
    outcomes, files, n_files, ours_s, sample = [], [], 0, 0.0, []
    for package in packages():
        content = visible(package.folder(downloads))
        sources = [(path, text) for path, text in content if text.strip() and b"\0" not in text[:8192]]
        written, verdict = declared(package.ecosystem, package.folder(downloads))
        started = time.process_time()
        repository = detector.repository(content)
        found = [(path, text, detector.file(path, text, repository)) for path, text in sources]
        ours_s += time.process_time() - started
        n_files += len(sources)
        outcomes.append(Outcome(package, written, verdict, repository.root))
        files += debian_files(package, downloads, found)
        sample += [text for _, text in sources if len(text) <= NAIVE_BYTES_MAX][:: max(1, len(sources) // 2)][:2]
        print(package.name, round(ours_s, 1), file=sys.stderr)
    report(outcomes, files)
    speed(detector, n_files, ours_s, load_cpu_s, sample[:: max(1, len(sample) // NAIVE_FILES)])


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def debian_files(package: Package, downloads: Path, found: list[tuple[str, bytes, FileLicense]]) -> list[FileOutcome]:
    paragraphs = debian_paragraphs(package.folder(downloads)) if package.ecosystem == "debian" else []
    outcomes = []
    for path, _, one in found:
        paragraph = paragraph_of(path, paragraphs)
        expression = spdx(paragraph.license) if paragraph else None
        if paragraph and expression:
            outcomes.append(FileOutcome(package, path, paragraph, verdict_of(expression), one))
    return outcomes


def report(outcomes: list[Outcome], files: list[FileOutcome]) -> None:
    print("# Licences of code: verdicts against declarations, and what they cost\n")
    print(f"`benchmarks/licenses.py` on Python {platform.python_version()}, scancode-toolkit-mini", end=" ")
    print(f"{version('scancode-toolkit-mini')}, {len(outcomes)} packages of `benchmarks/data/license_packages.tsv`;")
    print("CPU seconds, so that what else ran does not count.\n")
    print("## Repositories\n")
    print(
        "`permissive` is the only verdict that keeps code. A package that declares nothing, or nothing that names a"
    )
    print("licence (`UNKNOWN`, a link), is counted but cannot be right or wrong.\n")
    print("| packages | half | n | declare a licence | declared permissive | found permissive | wrongly "
          "| precision | recall |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for ecosystem in ("pypi", "npm", "debian", "all"):
        for held_out in (False, True):
            row(ecosystem, held_out, outcomes)
    print("\n### Every package whose verdict is not the declared one\n")
    print("| package | declares | declared | found | expression | evidence | why |\n|---|---|---|---|---|---|---|")
    for one in outcomes:
        if one.found.verdict != one.declared:
            why = WHY.get((one.package.ecosystem, one.package.name), "")
            name = f"{one.package.ecosystem} {one.package.name} {one.package.version}"
            half = " (held out)" if one.package.held_out else ""
            print("|", " | ".join(cell(part) for part in (name + half, one.written, one.declared, one.found.verdict,
                  one.found.expression or "", one.found.evidence, why)), "|")  # fmt: skip
    print("\n## Files of Debian packages\n")
    report_files(files)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:160]


def row(ecosystem: str, held_out: bool, outcomes: list[Outcome]) -> None:
    chosen = [one for one in outcomes if one.package.held_out == held_out]
    chosen = [one for one in chosen if ecosystem in ("all", one.package.ecosystem)]
    known = [one for one in chosen if one.declared in KNOWN]
    permissive = [one for one in known if one.declared == "permissive"]
    found = [one for one in known if one.found.verdict == "permissive"]
    wrong = [one for one in found if one.declared != "permissive"]
    right = len(found) - len(wrong)
    half = "held out" if held_out else "tuned"
    print(f"| {ecosystem} | {half} | {len(chosen)} | {len(known)} | {len(permissive)} | {len(found)} | {len(wrong)} |"
          f" {right / max(1, len(found)):.3f} | {right / max(1, len(permissive)):.3f} |")  # fmt: skip


def report_files(files: list[FileOutcome]) -> None:
    print(
        "debian/copyright often has one paragraph for all (`*`) and names files only where it matters to Debian, so"
    )
    print("that the notice of a generated `configure` or of a test in the public domain differs from it rightly.\n")
    print("| half | files | declared permissive | found permissive | wrongly | of these by a notice in the file "
          "| precision | recall |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for held_out in (False, True):
        chosen = [one for one in files if one.package.held_out == held_out]
        permissive = [one for one in chosen if one.declared == "permissive"]
        found = [one for one in chosen if one.found.verdict == "permissive"]
        wrong = [one for one in found if one.declared != "permissive"]
        own = [one for one in wrong if one.found.evidence.startswith(("header", "SPDX"))]
        right = len(found) - len(wrong)
        print(f"| {'held out' if held_out else 'tuned'} | {len(chosen)} | {len(permissive)} | {len(found)} |"
              f" {len(wrong)} | {len(own)} | {right / max(1, len(found)):.3f} |"
              f" {right / max(1, len(permissive)):.3f} |")  # fmt: skip
    print("\n### Files found permissive that Debian declares otherwise, and the reverse\n")
    print("| files | package | declares | found | expression | one of them | evidence | why |")
    print("|---|---|---|---|---|---|---|---|")
    groups: dict[tuple[str, ...], list[FileOutcome]] = {}
    for one in files:
        if (one.declared == "permissive") != (one.found.verdict == "permissive"):
            evidence = one.found.evidence.split(" (")[0]
            key = one.package.name, one.paragraph.license, one.found.verdict, one.found.expression or "", evidence
            groups.setdefault(key, []).append(one)
    for (name, license_, verdict, expression, evidence), members in groups.items():
        keys = (name, expression), (name, verdict), ("", expression), ("", verdict)
        why = next((FILES_WHY[key] for key in keys if key in FILES_WHY), "")
        print(f"| {len(members)} | {name} | {cell(license_)} | {verdict} | {expression} | {members[0].path} "
              f"| {evidence} | {why} |")  # fmt: skip


def speed(detector: LicenseDetector, n_files: int, ours_s: float, load_s: float, sample: list[bytes]) -> None:
    naive_s = cpu_s(lambda: [index.find(decoded(text)) for text in sample])
    ours_ms, naive_ms = ours_s / n_files * 1000, naive_s / len(sample) * 1000
    print("\n## Cost\n")
    print("| | files | CPU s | ms a file |\n|---|---|---|---|")
    print(f"| onggi, repositories and every file | {n_files} | {ours_s:.1f} | {ours_ms:.2f} |")
    print(f"| ScanCode's matcher on whole files of at most 64 KiB | {len(sample)} | {naive_s:.1f} | {naive_ms:.1f} |")
    print(f"\nThat is {naive_ms / ours_ms:.0f} times as fast. {detector.n_matched} distinct notices were matched.")
    print(f"Its index took {load_s:.1f} CPU seconds to load, once a process.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
