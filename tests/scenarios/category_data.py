"""Small raw data of every category of Kanana's mixture, in the form in which each is published."""

import bz2
import io
import json
import random
import re
import shutil
import tarfile
from functools import cache
from pathlib import Path

import polars as pl
import zstandard

from tests.curation.pdf_files import write_pdf
from tests.scenarios.runs import SAMPLE

N_PAPERS, N_ARTICLES, N_REPOSITORIES, N_CHATS = 6, 24, 4, 60

MIT = """\
MIT License

Copyright (c) 2024 Onggi

Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software
without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons
to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR
PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""

_MARKUP = re.compile(r"[^\w\s.,;:!?()-]|_")


@cache
def _words(language: str) -> list[str]:
    """The words of the bundled documentation, without markup."""
    if language == "ko":
        lines = zstandard.ZstdDecompressor().decompressobj().decompress((SAMPLE / "ko_docs.jsonl.zst").read_bytes())
        texts = pl.read_ndjson(lines)["text"]
    else:
        texts = pl.read_parquet(SAMPLE / "en_docs.parquet")["text"]
    return _MARKUP.sub(" ", " ".join(texts)).split()


def prose(rng: random.Random, language: str, n_words: int) -> str:
    """So many words in a row from somewhere in it."""
    words = _words(language)
    start = rng.randrange(len(words) - n_words)
    return " ".join(words[start : start + n_words])


KOREAN_LINES = (
    "옹기는 흙을 빚어 구운 그릇으로 숨을 쉰다고 알려져 있다.",
    "강가에서 파 온 흙은 여러 번 밟고 쉬게 한 다음에 빚는다.",
    "가마에는 엿새 동안 불을 때며 밤에도 지켜본다.",
)
CC_BY = "http://creativecommons.org/licenses/by/4.0/"


def lay_out_categories(folder: Path) -> Path:
    """Raw data of each kind in folders of their own: arxiv (papers that lack a file), papers, dumps, repos, web,
    chats and reports."""
    rng = random.Random(3)
    for name in ("arxiv", "papers", "dumps", "repos", "web", "chats", "reports"):
        (folder / name).mkdir(parents=True)
    for number in range(N_PAPERS):
        write_paper(folder / f"arxiv/2401.{number:05d}v1.tar.gz", number)
        write_paper(folder / f"papers/2402.{number:05d}.tar.gz", number, n_words=300, whole=True)
    said = [{"id": f"2402.{number:05d}", "license": CC_BY, "categories": "cs.CL"} for number in range(N_PAPERS)]
    (folder / "papers.json").write_text("".join(json.dumps(paper) + "\n" for paper in said))
    write_dump(folder / "dumps/kowiki-20260101-pages-articles-multistream.xml.bz2", rng)
    for number in range(N_REPOSITORIES):
        write_repository(folder / f"repos/pot{number}", number, rng)
    for name in ("libreoffice_ko", "postgresql"):
        shutil.copy(SAMPLE / f"web/{name}.warc.gz", folder / "web")
    with (folder / "chats/chats.jsonl").open("w", encoding="utf-8") as file:
        for number in range(N_CHATS):
            turns = [{"from": of, "value": prose(rng, "ko", 30)} for of in ("human", "gpt")]
            file.write(json.dumps({"id": f"c{number}", "conversations": turns}, ensure_ascii=False) + "\n")
    lines = [(50.0, 700.0 - 16 * i, 10.0, sentence) for i, sentence in enumerate(KOREAN_LINES)]
    write_pdf(folder / "reports/report.pdf", [lines, []])
    return folder


def write_paper(path: Path, number: int, *, n_words: int = 60, whole: bool = False, order: int = 0) -> None:
    """A paper of which two sections lie in files of their own; unless it is whole, one is missing and one includes
    itself. The same paper, whatever the order of its files in the archive."""
    rng = random.Random(number)
    lost, cycle = ("", "") if whole else ("\\input{sections/lost}\n", "\\input{sections/method}\n")
    members = {
        "main.tex": (
            "\\documentclass{article}\n\\newcommand{\\flow}{\\Phi}\n\\begin{document}\n"
            f"\\title{{Breathing walls {number}}}\\maketitle\n"
            f"\\begin{{abstract}}{prose(rng, 'en', n_words)}\\end{{abstract}}\n"
            f"\\input{{sections/intro}}\n\\include{{sections/method}}\n{lost}"
            f"% a comment {number}\n\\section{{Conclusion}} {prose(rng, 'en', n_words)}\n\\end{{document}}\n"
        ),
        "sections/intro.tex": f"\\section{{Introduction}}\n{prose(rng, 'en', n_words)} $E_{number} = mc^2$\n",
        "sections/method.tex": (
            f"\\section{{Method}}\n\\begin{{equation}}\n \\flow = \\int_0^{number} f(x)\\,dx\n\\end{{equation}}\n"
            f"{prose(rng, 'en', n_words)}\n{cycle}"
        ),
    }
    names = sorted(members)
    random.Random(order).shuffle(names)
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            data = members[name].encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_dump(path: Path, rng: random.Random) -> None:
    """A dump in several streams: articles with formulas, a redirect and a disambiguation page."""
    head = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ko">\n<siteinfo>'
        "<sitename>위키백과</sitename><dbname>kowiki</dbname><base>https://ko.wikipedia.org/wiki/대문</base>"
        '<namespaces><namespace key="0" case="first-letter" /></namespaces></siteinfo>\n'
    )
    pages = [
        page(
            number,
            f"옹기 {number}",
            f"'''옹기 {number}'''는 그릇이다.<ref>출처</ref> {prose(rng, 'ko', 120)}\n\n== 수식 ==\n"
            f"<math>a_{number}^2</math>와 {{{{수식|\\frac{{{number}}}{{2}} }}}} [[파일:a.jpg|섬네일]]\n"
            f"{prose(rng, 'ko', 120)}\n[[분류:그릇]]",
        )
        for number in range(N_ARTICLES)
    ]
    pages.append(page(900, "장독", "#넘겨주기 [[옹기]]", "<redirect title='옹기' />"))
    pages.append(page(901, "단지", "'''단지'''는 다음을 뜻한다.\n* [[옹기]]\n{{동음이의}}"))
    streams = ["".join(pages[start : start + 8]) for start in range(0, len(pages), 8)]
    path.write_bytes(b"".join(bz2.compress(part.encode()) for part in [head, *streams, "</mediawiki>\n"]))


def page(number: int, title: str, text: str, more: str = "") -> str:
    """A page as Wikimedia exports it."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        f"<page><title>{title}</title><ns>0</ns><id>{number + 1}</id>{more}<revision><id>{number + 5000}</id>"
        f"<timestamp>2026-01-01T00:00:00Z</timestamp><model>wikitext</model><format>text/x-wiki</format>"
        f'<text bytes="{len(text.encode())}" xml:space="preserve">{text}</text></revision></page>\n'
    )


def write_repository(path: Path, number: int, rng: random.Random) -> None:
    """A repository under the MIT licence, but every fourth, which has none."""
    (path / "src").mkdir(parents=True)
    if number % 4 != 3:
        (path / "LICENSE").write_text(MIT)
    for part in range(6):
        lines = ['"""How much a vessel breathes."""', "", ""]
        for function in range(8):
            first, second, third = (re.sub(r"\W", "", word).lower() or "a" for word in prose(rng, "en", 3).split())
            lines += [
                f"def {first}_{function}({second}_in: float, {third}_of: int) -> float:",
                f'    """How much {first} passes, by {second}."""',
                f"    {first}_out = {second}_in * {rng.randint(2, 999)} / ({third}_of + {rng.randint(1, 999)})",
                f"    return {first}_out if {third}_of > {rng.randint(0, 99)} else 0.0",
                "",
                "",
            ]
        (path / f"src/part{part}.py").write_text("\n".join(lines))
    (path / "src/logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
