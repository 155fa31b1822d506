"""Wikitext to text: speed, words and formulas beside the naive ways of three libraries, on the same pages.

English pages are real: gensim ships the first pages of a dump of English Wikipedia for its tests. Korean ones are
those of Onggi's own tests, written with formulas in every construct.

    pip download --no-deps gensim==4.4.0 -d /tmp/gensim && unzip -j /tmp/gensim/*.whl '*enwiki-latest*' -d /tmp/gensim
    pip install --target /tmp/wiki-peers --no-deps wikitextprocessor==0.4.96 wikitextparser==3.0.0 regex wcwidth \
        lupa lru-dict dateparser tzlocal nltk "setuptools<80" python-dateutil six pytz psutil requests
    PYTHONPATH=.:/tmp/wiki-peers python benchmarks/mediawiki.py --english /tmp/gensim/enwiki-latest*.bz2
"""

import argparse
import platform
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from curation.read_mediawiki import page_of
from curation.read_mediawiki_pages import PageFrames
from curation.wikitext.text import Converter
from manifests.schema_readers import Mediawiki
from tests.curation.wiki_dump import WikiPage, count_formulas, latex_of, written_pages

RESULT = Path(__file__).parent / "results" / "mediawiki.md"
N_RUNS = 3
_WORD = re.compile(r"\w+")
ToText = Callable[[str], str]


def real_pages(path: Path) -> list[WikiPage]:
    """The articles of a dump."""
    with path.open("rb") as file:
        frames = PageFrames(file, 0, path.stat().st_size, path.stat().st_size, str(path), 1 << 26)
        pages = [page_of(frame.data) for frame in frames]
    return [
        WikiPage(page.title, page.text, int(page.key))
        for page in pages
        if page.text and page.namespace == 0 and page.redirect is None
    ]


def peers() -> dict[str, ToText]:
    """How each library is used by whoever wants text and reads its first page of documentation."""
    import mwparserfromhell
    import wikitextparser
    from wikitextprocessor import Wtp

    wiki = Wtp(quiet=True)

    def by_wikitextprocessor(text: str) -> str:
        with redirect_stdout(StringIO()):  # it prints what it finds odd
            wiki.start_page("page")
            return str(wiki.node_to_text(wiki.parse(text), template_fn=lambda name, arguments: ""))

    return {
        f"mwparserfromhell {version('mwparserfromhell')}: parse(..).strip_code()": lambda text: str(
            mwparserfromhell.parse(text).strip_code()
        ),
        f"wikitextparser {version('wikitextparser')}: parse(..).plain_text()": lambda text: str(
            wikitextparser.parse(text).plain_text()
        ),
        f"wikitextprocessor {version('wikitextprocessor')}: node_to_text(parse(..))": by_wikitextprocessor,
    }


def run(to_text: ToText, pages: list[WikiPage]) -> tuple[list[str], float]:
    """The texts, and how many megabytes of wikitext a second of processor time, in the median of three runs."""
    size_mb = sum(len(page.text.encode()) for page in pages) / 1e6
    seconds = []
    for _ in range(N_RUNS):
        start = time.process_time()
        texts = [_text(to_text, page.text) for page in pages]
        seconds.append(time.process_time() - start)
    return texts, size_mb / statistics.median(seconds)


def _text(to_text: ToText, wikitext: str) -> str:
    try:
        return to_text(wikitext)
    except Exception:  # counted by what is missing from the text
        return ""


def words(texts: list[str]) -> Counter[str]:
    """The words of texts without what stands between dollars."""
    plain = (re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$", " ", text, flags=re.DOTALL) for text in texts)
    return Counter(word for text in plain for word in _WORD.findall(text))


def prose(wikitext: str) -> str:
    """The naive text of mwparserfromhell without references, categories, and links to files."""
    import mwparserfromhell

    code = mwparserfromhell.parse(wikitext)
    gone = code.filter_tags(matches=lambda node: str(node.tag).strip().lower() in ("ref", "gallery"))
    prefixes = ("category:", "file:", "image:", "분류:", "파일:")
    gone += [link for link in code.filter_wikilinks() if str(link.title).strip().lower().startswith(prefixes)]
    for node in gone:
        if code.contains(node):
            code.remove(node)
    return str(code.strip_code())


def share(of: Counter[str], inside: Counter[str]) -> float:
    """How much of one multiset of words is in another."""
    return (of & inside).total() / of.total()


def formulas(pages: list[WikiPage], texts: list[str]) -> tuple[int, int]:
    """How many formulas in tags the pages hold, and how many of them stand to the letter in the texts."""
    n_in = n_out = 0
    for page, text in zip(pages, texts, strict=True):
        written = Counter(tex for tex in latex_of(page.text) if tex)
        n_in += written.total()
        n_out += sum(min(n, text.count(tex)) for tex, n in written.items())
    return n_in, n_out


def table(language: str, pages: list[WikiPage]) -> list[str]:
    """Speeds, words and formulas of each way on the same pages."""
    converter = Converter(Mediawiki(), language=language)
    whole = Converter(Mediawiki(drop_sections=[]), language=language)
    converter.text_of(pages[0].text)
    naive = run(next(iter(peers().values())), pages)
    naive_words, prose_words = words(naive[0]), words([prose(page.text) for page in pages])
    ways = {
        "Onggi": lambda text: converter.text_of(text).text,
        "Onggi, `drop_sections: []`": lambda t: whole.text_of(t).text,
    }
    lines = [
        "| way | MB/s of wikitext | ratio | naive words in it | naive words of the prose in it | its words in the "
        "naive text | formulas |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, way in [*ways.items(), *peers().items()]:
        texts, speed = run(way, pages)
        own = words(texts)
        n_in, n_out = formulas(pages, texts)
        lines.append(
            f"| {name} | {speed:.1f} | {speed / naive[1]:.1f} | {share(naive_words, own):.1%} | "
            f"{share(prose_words, own):.1%} | "
            f"{share(own, naive_words):.1%} | {n_out} of {n_in} |"
        )
        if name == "Onggi, `drop_sections: []`":
            lacking = [word for word, _ in (prose_words - own).most_common(25)]
            more = [word for word, _ in (own - naive_words).most_common(25)]
    return [
        *lines,
        "",
        f"Of the prose of the naive text and not in ours, most often: {', '.join(lacking)}.",
        "",
        f"In ours and not in the naive text: {', '.join(more)}.",
    ]


def counts(language: str, pages: list[WikiPage]) -> str:
    """Formulas counted from the wikitext with patterns, and by the facts of each page."""
    converter = Converter(Mediawiki(), language=language)
    made = [converter.text_of(page.text) for page in pages]
    differ = [
        page.title for page, text in zip(pages, made, strict=True) if count_formulas(page.text) != text.n_formulas_in
    ]
    n_written = sum(count_formulas(page.text) for page in pages)
    places = Counter[str]()
    for text in made:
        for note in text.notes:
            if note.kind == "formulas_dropped":
                for part in note.detail.partition(": ")[2].split(", "):
                    places[part.partition(" in ")[2] or "elsewhere"] += int(part.split()[0])
    return (
        f"Formulas counted with patterns {n_written}, by the reader {sum(text.n_formulas_in for text in made)} "
        f"(pages where they differ: {', '.join(differ) or 'none'}); in the text "
        f"{sum(text.n_formulas for text in made)}; "
        f"dropped, with a note: {', '.join(f'{n} in {place}' for place, n in places.most_common()) or 'none'}."
    )


def main() -> None:
    """Write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--english", type=Path, required=True, help="dump of English Wikipedia that gensim ships")
    english = real_pages(parser.parse_args().english)
    sets = {"en": ("English, real", english), "ko": ("Korean, of the tests, 10 times", written_pages("ko") * 10)}
    lines = ["# Wikitext to text", "", "Written by `benchmarks/mediawiki.py`.", ""]
    lines += [
        f"One core of {platform.machine()}, Python {platform.python_version()}, processor time, median of {N_RUNS}."
    ]
    lines += [
        "",
        "The naive text is that of mwparserfromhell; its prose is what it gives without references, categories and "
        "links to files. A formula counts where its LaTeX stands in the text to the letter, so short ones count by "
        "chance, too.",
    ]
    for language, (name, pages) in sets.items():
        size_mb = sum(len(page.text.encode()) for page in pages) / 1e6
        lines += ["", f"## {name}", "", f"{len(pages)} pages, {size_mb:.1f} MB.", "", *table(language, pages), ""]
        lines += [counts(language, pages if language == "en" else written_pages(language))]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
