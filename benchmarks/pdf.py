"""The spaces and paragraphs of PDF files whose text is known, beside pdfminer.six and PDFium's lines as they stand.

    python benchmarks/pdf.py SHARED [--write]

Real texts of SHARED (the development corpora: `text/*.parquet`) are printed by Chromium, once with lines that break
at spaces only and once with lines that break anywhere, as Korean typesetting allows. Counted are the spaces that are
lost or made up between the same characters, and the ends of paragraphs. A line end of a peer counts as a space; where
a peer gives blank lines between paragraphs, those count as their ends.
"""

import argparse
import html
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sample_text import markdown, publish

from curation.pdf_text import pages_to_text
from curation.read_pdf import _Document
from manifests.schema_readers import Pdf

TEXTS = {"encyclopedia": "ko_wiki_korquad", "petitions": "ko_petitions", "prose": "ko_books_misc"}
N_TEXTS = 40
BREAKS = {"at spaces": "keep-all", "anywhere": "break-all"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, file in TEXTS.items():
            texts = pl.read_parquet(options.shared / f"text/{file}.parquet")["text"].to_list()[:N_TEXTS]
            paragraphs = [" ".join(part.split()) for text in texts for part in text.split("\n") if part.strip()]
            for place, value in BREAKS.items():
                data = printed(Path(folder), paragraphs, value)
                rows += [
                    [name, place, who, *map(str, compared(paragraphs, data, read))] for who, read in READERS.items()
                ]
    columns = [
        *("text", "lines break", "reader", "spaces", "lost", "made up"),
        *("paragraph ends", "lost", "made up", "pages/s"),
    ]
    about = f"Made by `benchmarks/pdf.py` of {N_TEXTS} texts of each kind, printed by Chromium in columns of 130 mm."
    report = f"# Text of PDF files\n\n{about}\n\n{markdown(columns, rows)}\n"
    if options.write:
        publish("pdf", report)
    else:
        print(report)


def printed(folder: Path, paragraphs: list[str], word_break: str) -> bytes:
    """A PDF of the paragraphs."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("needs Chromium, to print pages")
    body = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    style = f"<meta charset=utf-8><style>@page{{size:A5}}p{{word-break:{word_break};text-align:justify}}</style>"
    (folder / "a.html").write_text(style + body, "utf-8")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--print-to-pdf={folder / 'a.pdf'}", str(folder / "a.html")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
    return (folder / "a.pdf").read_bytes()


def by_onggi(data: bytes) -> tuple[str, int]:
    document = _Document(data, Pdf())
    return pages_to_text(document.pages), document.n_pages


def by_pdfium(data: bytes) -> tuple[str, int]:
    """Lines as the library gives them."""
    document = _Document(data, Pdf())
    return "\n".join(line.text for page in document.pages for line in page), document.n_pages


def by_pdfminer(data: bytes) -> tuple[str, int]:
    """Blank lines between paragraphs; within them lines."""
    from pdfminer.high_level import extract_text

    blocks = re.split(r"\n\s*\n", extract_text(io.BytesIO(data)).replace("\f", "\n\n"))
    return "\n".join(" ".join(block.split()) for block in blocks if block.strip()), _Document(data, Pdf()).n_pages


READERS = {"onggi": by_onggi, "PDFium's lines": by_pdfium, "pdfminer.six": by_pdfminer}


def compared(paragraphs: list[str], data: bytes, read: Callable[[bytes], tuple[str, int]]) -> list[int]:
    """[spaces, lost, made up, paragraph ends, lost, made up, pages per second]"""
    started = time.perf_counter()
    text, n_pages = read(data)
    seconds = time.perf_counter() - started
    wanted = "\n".join(paragraphs)
    spaces, found = places(wanted.replace("\n", " ")), places(text.replace("\n", " "))
    ends, found_ends = places(wanted.replace(" ", "")), places(text.replace(" ", ""))
    of_spaces = [len(spaces), len(spaces - found), len(found - spaces)]
    return [*of_spaces, len(ends), len(ends - found_ends), len(found_ends - ends), round(n_pages / seconds)]


def places(text: str) -> set[int]:
    """Before which characters, counted without white space, white space stands."""
    found, n_before = set(), 0
    for character in text:
        if character.isspace():
            found.add(n_before)
        else:
            n_before += 1
    return found


if __name__ == "__main__":
    main()
