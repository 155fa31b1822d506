"""Main-content extraction against resiliparse and trafilatura, on the four sets of data/extraction.

F1 is that of scrapinghub/article-extraction-benchmark: multisets of 4-grams of words (`\\w+`), precision and recall
averaged over the pages, then their harmonic mean; `per page` averages the F1 of each page instead. The set
`trafilatura` has segments that must and must not occur: F over all segments. Only pages of the even half were looked
at and fitted on; the odd half is the figure that counts. Pages per second: CPU time of one core, after one warm-up.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from extraction_pages import SETS, Page, read_pages, score_set

from curation.extract import ExtractError, extractor
from curation.main_content import Parts, main_content

ENGINES = ("onggi", "resiliparse", "trafilatura")
RESULT = Path(__file__).parent / "results" / "extraction.md"


@dataclass(frozen=True)
class Measured:
    """One engine on one set: F1 and per-page F1 of both halves, and pages per second of CPU time."""

    odd: float
    even: float
    odd_per_page: float
    pages_per_s: float


def measure(pages: list[Page], extract: Callable[[str, str | None], str]) -> Measured:
    extract_or_empty(extract, pages[0])
    start = time.process_time()
    texts = [extract_or_empty(extract, page) for page in pages]
    seconds = time.process_time() - start
    halves = {}
    for even in (False, True):
        chosen = [(page, text) for page, text in zip(pages, texts, strict=True) if page.even == even]
        halves[even] = score_set([page for page, _ in chosen], [text for _, text in chosen])
    return Measured(halves[False][0], halves[True][0], halves[False][1], len(pages) / seconds)


def extract_or_empty(extract: Callable[[str, str | None], str], page: Page) -> str:
    try:
        return extract(page.html, page.url)
    except ExtractError:
        return ""


def comparison(sets: dict[str, list[Page]]) -> list[str]:
    lines = [
        "| set | engine | F1 odd | F1 even | gap | per page, odd | pages/s | x trafilatura |",
        "|---|---|---|---|---|---|---|---|",
    ]
    results = {
        (name, engine): measure(pages, extractor(engine)) for name, pages in sets.items() for engine in ENGINES
    }
    for (name, engine), result in results.items():
        lines.append(row(name, engine, result, results[name, "trafilatura"].pages_per_s))
    n_pages = {name: len(pages) for name, pages in sets.items()}
    means = {engine: mean([results[name, engine] for name in sets], list(n_pages.values())) for engine in ENGINES}
    lines += [row("**mean**", engine, result, means["trafilatura"].pages_per_s) for engine, result in means.items()]
    return lines


def mean(results: list[Measured], n_pages: list[int]) -> Measured:
    """Sets weigh the same in F1; the speed is that over all pages."""
    scores = [
        sum(getattr(result, name) for result in results) / len(results) for name in ("odd", "even", "odd_per_page")
    ]
    seconds = sum(n / result.pages_per_s for n, result in zip(n_pages, results, strict=True))
    return Measured(*scores, sum(n_pages) / seconds)


def row(name: str, engine: str, result: Measured, baseline: float) -> str:
    return (
        f"| {name} | {engine} | {result.odd:.3f} | {result.even:.3f} | {result.even - result.odd:+.3f} "
        f"| {result.odd_per_page:.3f} | {result.pages_per_s:.0f} | {result.pages_per_s / baseline:.1f} |"
    )


def ablation(sets: dict[str, list[Page]]) -> list[str]:
    """The F1 of the odd half with one part switched off at a time, without fitting again."""
    lines = [f"| without | {' | '.join(sets)} | mean | lost |", "|---" * (len(sets) + 3) + "|"]
    whole = 0.0
    for name in ("", *(field.name for field in fields(Parts))):
        parts = replace(Parts(), **{name: False}) if name else Parts()
        scores = [measure(pages, lambda html, url, p=parts: main_content(html, p)).odd for pages in sets.values()]
        average = sum(scores) / len(scores)
        whole = whole or average
        cells = " | ".join(f"{score:.3f}" for score in scores)
        lines.append(f"| {name or '(nothing)'} | {cells} | {average:.3f} | {whole - average:+.3f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    sets = {name: list(read_pages(arguments.data, name)) for name in SETS}
    sizes = ", ".join(
        f"{name} {len(pages)} ({sum(page.even for page in pages)} even)" for name, pages in sets.items()
    )
    lines = ["# Main-content extraction", "", (__doc__ or "").strip(), "", f"Pages: {sizes}.", "", *comparison(sets)]
    lines += [
        "",
        "## What each part of `onggi` contributes",
        "",
        (ablation.__doc__ or "").strip(),
        "",
        *ablation(sets),
    ]
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
