"""Chooses and writes the bundled sample, manifests/sample, from the development corpora.

Only sources whose licence lets their text be shipped with this project (Apache-2.0) take part; each keeps its own
licence, in a file of its own or in the column `license`. manifests/sample/sources.json, written by hand, names them
all. Within a source, documents are taken in the order of a hash of their address, so that running this again writes
the same bytes.

    python benchmarks/make_sample.py --data ../shared/data
"""

import argparse
import gzip
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import xxhash
import zstandard

SAMPLE = Path(__file__).resolve().parent.parent / "manifests" / "sample"

# E-mail addresses (but of example domains and public lists), telephone numbers: such documents are left out.
PERSONAL = re.compile(
    r"[\w.+-]+@(?!example|localhost|host|lists\.)[\w-]+\.[a-z]{2,}|\b01\d-?\d{3,4}-?\d{4}\b|\+\d{1,3} \d{2,}", re.I
)
# Reviews with any of these are left out: insults, slurs, sex, politics, names of groups.
COARSE = re.compile(
    "씨발|시발|ㅅㅂ|ㅆㅂ|씨바|ㅄ|ㅂㅅ|병신|새끼|색기|쉐끼|개[같독]|좆|졷|지랄|쌍|년|놈|존나|졸라|미친|또라이|꺼져|닥쳐|쓰레기|벌레|충|죽[여이]"
    "|대가리|돌아이|섹|야동|에로|변태|강간|창녀|게이|동성|장애|정신병|전라|경상|좌파|우파|좌빨|빨갱|일베|홍어|북한|김치|짱[깨개]|쪽[빠발]|왜놈"
    "|일본|중국|미국|한국|흑인|백인|여자|남자|페미|한남|이명박|박근혜|노무현|문재인|대통령|정부|종교|기독|교회|목사|신천지|자살|살인|피해자|세월호|알바|빠순|몸매|포르노|제정신|고자|불륜|바람피|게것|욕망"
)


LICENCE_OF = {row["source"]: row["license"] for row in json.loads((SAMPLE / "sources.json").read_text("utf-8"))}


def order(address: str) -> int:
    """The place of a document in the lot that is drawn: a hash of its address."""
    return xxhash.xxh3_64_intdigest(address.encode())


# --- web archives -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """One record of an archive: its compressed bytes as they are, and what it says of itself."""

    packed: bytes
    record: bytes
    url: str


def read_members(path: Path) -> Iterator[Member]:
    """The gzip members of a .warc.gz, one record each."""
    rest = path.read_bytes()
    while rest:
        unpacker = zlib.decompressobj(31)
        record = unpacker.decompress(rest)
        packed = rest[: len(rest) - len(unpacker.unused_data)]
        rest = unpacker.unused_data
        found = re.search(rb"^WARC-Target-URI: (\S+)", record, re.M)
        yield Member(packed, record, found[1].decode() if found else "")


def choose(members: list[Member], pattern: str, n: int, record_bytes_max: int = 40_000) -> list[Member]:
    """The first n pages by lot whose address matches; giants, and pages with personal data, are left out."""
    fit = [
        member
        for member in members
        if re.search(pattern, member.url)
        and len(member.record) <= record_bytes_max
        and not PERSONAL.search(member.record.decode("latin-1").partition("\r\n\r\n")[2].partition("\r\n\r\n")[2])
    ]
    return sorted(fit, key=lambda member: order(member.url))[:n]


def write_archives(web: Path) -> None:
    """Archives of one licence each; the Apache manual's ends in a record that is cut short."""
    euckr = list(read_members(web / "ko_euckr_apache.warc.gz"))
    others = list(read_members(web / "other_apache.warc.gz"))
    apache = [euckr[0], *choose(euckr, r"/ko/", 44)]
    for language, n in (("ja", 10), ("zh-cn", 8), ("tr", 5), ("ru", 1)):
        apache += choose(others, f"/{language}/", n)
    cut = next(member for member in choose(euckr, r"/ko/", 60) if member not in apache)
    packed = b"".join(member.packed for member in apache) + cut.packed[: len(cut.packed) // 2]
    (SAMPLE / "web" / "apache.warc.gz").write_bytes(packed)
    for name, file, pattern, n in (
        ("postgresql", "en_docs", r"//www\.postgresql\.org/", 140),
        ("libreoffice_ko", "ko_docs", r"//help\.libreoffice\.org/", 80),
    ):
        members = list(read_members(web / f"{file}.warc.gz"))
        chosen = [members[0], *choose(members, pattern, n)]
        (SAMPLE / "web" / f"{name}.warc.gz").write_bytes(b"".join(member.packed for member in chosen))


# --- texts --------------------------------------------------------------------------------------------------------


def load(data: Path, files: list[str]) -> pl.DataFrame:
    """url, text, source, license and lang of several files, in the order of the lot."""
    columns = ["url", "text", "source", "license", "lang"]
    rows = pl.concat([pl.read_parquet(data / "text" / f"{file}.parquet", columns=columns) for file in files])
    rows = rows.with_columns(source=pl.col("source").str.strip_suffix("#history"))
    rows = rows.filter(
        pl.col("source").is_in(list(LICENCE_OF)), ~pl.col("text").map_elements(_is_personal, pl.Boolean)
    )
    rows = rows.with_columns(license=pl.col("source").replace_strict(LICENCE_OF))
    return rows.sort(pl.col("url").map_elements(order, pl.UInt64))


def _is_personal(text: str) -> bool:
    return bool(PERSONAL.search(text))


def take(
    rows: pl.DataFrame, source: str, n: int, fits: pl.Expr | None = None, chars_max: int = 9_000
) -> pl.DataFrame:
    """The first n documents of a source."""
    fit = rows.filter(pl.col("source") == source, pl.col("text").str.len_chars() <= chars_max)
    return (fit if fits is None else fit.filter(fits)).head(n)


def with_revisions(rows: pl.DataFrame, n: int) -> pl.DataFrame:
    """n Korean reference pages with up to three revisions of each: near-duplicates, some of them equal."""
    page = pl.col("url").str.split("?").list.first()
    pages = rows.filter(pl.col("source") == "MicrosoftDocs/cpp-docs.ko-kr", pl.col("text").str.len_chars() <= 6_000)
    pages = pages.with_columns(
        page=page, n_versions=pl.len().over(page), n_texts=pl.col("text").n_unique().over(page)
    )
    equal = pages.filter(pl.col("n_texts") < pl.col("n_versions"))["page"].unique(maintain_order=True).head(n // 3)
    several = pages.filter(pl.col("n_versions") > 1)["page"].unique(maintain_order=True).head(n - len(equal))
    chosen = pages.filter(page.is_in([*equal, *several])).group_by("page", maintain_order=True).head(3)
    return chosen.select(rows.columns)


def korean_documents(data: Path) -> pl.DataFrame:
    """Korean documentation: guides, reference pages with their revisions, pages that were never translated."""
    rows = load(data, ["ko_docs_mixed", "ko_ms_cpp", "ko_ms_cpp_history"])
    is_guide = ~pl.col("url").str.contains(r"/blog/|/community/|/errors/|/translations|/partners|/sponsor|/team")
    reference = take(rows, "MicrosoftDocs/cpp-docs.ko-kr", 60, ~pl.col("url").str.contains("rev="))
    return pl.concat(
        [
            take(rows, "reactjs/ko.react.dev", 44, is_guide, 16_000),
            take(rows, "vuejs-translations/docs-ko", 44, is_guide, 16_000),
            take(rows, "tensorflow/docs-l10n", 36),
            reference,
            with_revisions(rows, 45),
        ]
    ).unique("url", maintain_order=True)


def english_documents(data: Path) -> pl.DataFrame:
    """English documentation, handbooks, a novel, and a templated catalogue that repeats itself."""
    rows = load(data, ["en_ms_cpp", "en_docs_mixed", "en_books_misc"])
    is_catalogue = pl.col("url").str.contains("catalog/")
    is_mild = ~pl.col("text").str.contains("(?i)hate|toxic|offens|abus|sexis|sexual|racis|politic|porn|suicid")
    return pl.concat(
        [
            take(rows, "MicrosoftDocs/cpp-docs", 120),
            take(rows, "donnemartin/system-design-primer", 20),
            take(rows, "tensorflow/docs-l10n", 40, is_catalogue & is_mild, 16_000),
            take(rows, "tensorflow/docs-l10n", 24, ~is_catalogue),
            take(rows, "deb:gnome-user-docs", 70),
            take(rows, "18F/handbook", 30),
            take(rows, "alphagov/government-service-design-manual", 30),
            take(rows, "gutenberg:1342", 24),
        ]
    )


def reviews(data: Path) -> pl.DataFrame:
    """Korean film reviews as people type them; the short ones are what a quality filter is for."""
    rows = load(data, ["ko_reviews_nsmc"]).filter(~pl.col("text").map_elements(_is_coarse, pl.Boolean))
    return pl.concat([rows.filter(pl.col("text").str.contains("ㅋㅋ|ㅠㅠ|ㅎㅎ")).head(60), rows.head(240)]).unique(
        "url", maintain_order=True
    )


def _is_coarse(text: str) -> bool:
    return bool(COARSE.search(text))


def write_rows(path: Path, rows: pl.DataFrame, pack: Callable[[bytes], bytes]) -> None:
    """JSON lines of url, text, source, license; compressed."""
    lines = (
        json.dumps(row, ensure_ascii=False) for row in rows.select("url", "text", "source", "license").to_dicts()
    )
    path.write_bytes(pack("".join(f"{line}\n" for line in lines).encode()))


def write_notes(data: Path) -> None:
    """A folder of Markdown and plain text."""
    rows = load(data, ["en_books_misc", "ko_books_misc", "ko_docs_mixed", "ko_law"])
    is_whole = ~pl.col("url").str.contains(r"#[1-9]") & ~pl.col("text").str.contains(r"(?i)pypi")
    korean = pl.col("lang") == "ko"
    for source, folder, prefix, n, fits in (
        ("simonw/til", "en", "til", 16, is_whole & ~pl.col("url").str.contains("(?i)twitter|mastodon|homebrew")),
        ("rinthel/rust-lang-book-ko", "ko", "rust", 10, korean),
        ("JaeYeopHan/Interview_Question_for_Beginner", "ko", "interview", 8, korean),
        ("ne0ekspert/korean-law", "ko", "law", 12, korean & (pl.col("text").str.len_chars() > 300)),
    ):
        for number, row in enumerate(take(rows, source, n, fits, 7_000).to_dicts(), 1):
            suffix = "txt" if prefix == "law" else "md"
            path = SAMPLE / "notes" / folder / f"{prefix}-{number:02d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(row["text"], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    for folder in ("web", "notes"):
        shutil.rmtree(SAMPLE / folder, ignore_errors=True)
    (SAMPLE / "web").mkdir(parents=True)
    write_archives(data / "web")
    write_rows(SAMPLE / "ko_docs.jsonl.zst", korean_documents(data), zstandard.ZstdCompressor(19).compress)
    write_rows(SAMPLE / "ko_reviews.jsonl.gz", reviews(data), lambda text: gzip.compress(text, 9, mtime=0))
    english = english_documents(data).select("url", "text", "source", "license")
    english.write_parquet(SAMPLE / "en_docs.parquet", compression="zstd", compression_level=19, row_group_size=64)
    write_notes(data)
    for path in sorted(path for path in SAMPLE.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>9,}  {path.relative_to(SAMPLE)}")
    print(f"{sum(path.stat().st_size for path in SAMPLE.rglob('*') if path.is_file()):>9,}  in all")


if __name__ == "__main__":
    main()
