"""Personal data planted in real Korean documents: what is found, what is not, and what finding it costs.

    python benchmarks/pii.py [--data ../shared/data] [--planted 1000]

Values are made here, with check digits and formats of this script's own, and put at seeded random positions right
after a Hangul letter, with particles glued to them. As many look-alikes (ISBN, order numbers, dates, versions, ...)
are planted in other documents. A span counts only where start, end and kind agree; whatever else is found in a
planted document, and was not found in it before, is false. Then every hit in all unplanted texts is listed for the
eye (results/raw/pii_hits.tsv), and the cost is that of measuring with and without `pii`, in the same run.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sample_text import markdown, publish, write_sample

from curation.measure import Measurer
from curation.pii import find_pii
from curation.pii_redact import Redactor
from curation.read import plan_splits, read_split
from manifests.schema import ALL_PII_KINDS, CorpusManifest

KINDS = tuple(kind for kind in ALL_PII_KINDS if kind != "secret")  # those are of code: code_files.py
KOREAN = (
    "ko_petitions",
    "ko_comments_kocohub",
    "ko_wiki_korquad",
    "ko_books_misc",
    "ko_docs_mixed",
    "ko_reviews_nsmc",
)
PARTICLES = ("", "로", "으로", "입니다", "이고", "를", "에서", ",", ".", ")", " ", "\n", "이야ㅋㅋ")
LABELS = {
    "email": ("이메일", "메일 ", "연락처: ", ""),
    "ip": ("아이피 ", "IP: ", "접속지", ""),
    "phone": ("전화", "연락처 ", "휴대폰: ", "TEL ", "문의"),
    "rrn": ("주민등록번호", "주민번호 ", ""),
    "frn": ("외국인등록번호", "외국인등록번호: ", ""),
    "card": ("카드번호", "카드 ", "결제카드: ", ""),
    "passport": ("여권번호", "여권 ", "여권번호: "),
    "account": ("계좌번호", "국민은행 ", "입금계좌: ", "농협 "),
    "driver_license": ("면허번호", "운전면허 ", "운전면허번호: "),
    "crn": ("법인등록번호", "법인번호: "),
    "brn": ("사업자등록번호", "사업자번호: ", ""),
}
Made = tuple[str, bool]  # a value, and whether only a label tells it from any other number


def digits(chance: random.Random, n: int, first: str = "0123456789") -> str:
    return chance.choice(first) + "".join(chance.choices("0123456789", k=n - 1))


def weighted(number: str, weights: str) -> int:
    return sum(int(a) * int(b) for a, b in zip(number, weights, strict=True))


def make_email(chance: random.Random) -> Made:
    user = chance.choice(("kim", "minsu.lee", "park_99", "j-choi", "hong.gil+news")) + str(chance.randrange(1000))
    host = chance.choice(
        ("naver.com", "gmail.com", "hanmail.net", "snu.ac.kr", "my-shop.co.kr", "daum.net", "kakao.io")
    )
    return f"{user}@{host}", False


def make_ip(chance: random.Random) -> Made:
    if chance.random() < 0.15:
        return "2406:da12:" + ":".join(f"{chance.randrange(1, 65536):x}" for _ in range(6)), False
    first = chance.choice((1, 14, 27, 58, 61, 106, 110, 112, 118, 121, 175, 182, 203, 210, 211, 218, 221))
    value = ".".join(map(str, (first, *(chance.randrange(256) for _ in range(2)), chance.randrange(1, 255))))
    is_special = value.startswith(("203.0.113.", "192."))
    return (make_ip(chance)) if is_special else (value, sum(int(part) < 32 for part in value.split(".")) >= 3)


def make_phone(chance: random.Random) -> Made:
    form = chance.random()
    if form < 0.6:
        glue = chance.choice(("-", "-", "-", "", ".", " ", " - ", "–", "·"))
        return glue.join(("010", digits(chance, 4, "123456789"), digits(chance, 4))), False
    if form < 0.65:
        return f"+82{chance.choice('- ')}10-{digits(chance, 4, '123456789')}-{digits(chance, 4)}", False
    if form < 0.75:
        return f"{chance.choice(('1588', '1577', '1644', '1899'))}-{digits(chance, 4)}", True
    area = chance.choice(("02", "031", "032", "042", "051", "053", "062", "064", "070"))
    rest = (digits(chance, 4 if area == "070" else chance.choice((3, 4)), "23456789"), digits(chance, 4))
    if form < 0.93:
        return chance.choice(("{}-{}-{}", "{})-{}-{}", "{}) {}-{}", "({}) {}-{}", "{}.{}.{}")).replace(
            ")-", ")"
        ).format(area, *rest), False
    return area + "".join(rest), True


def make_resident(chance: random.Random, genders: str, base: int) -> Made:
    year, is_new = chance.randrange(40, 124), chance.random() < 0.2
    number = f"{year % 100:02d}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
    number += (
        chance.choice(genders[2:] if year >= 100 else genders[:2]) + f"{chance.randrange(96):02d}" + digits(chance, 3)
    )
    check = (base - weighted(number, "234567892345") % 11) % 10
    is_new |= year >= 120
    number += digits(chance, 1) if is_new else str(check)
    glue = chance.choice(("-", "-", "-", "-", " - ", "–", "", " "))
    return number[:6] + glue + number[6:], is_new and glue in ("", " ")


def make_card(chance: random.Random) -> Made:
    number = chance.choice(("4", "51", "53", "55", "356", "6210", "9410")) + digits(chance, 15)
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(number[:15]))
    number = number[:15] + str(-total % 10)
    glue = chance.choice(("-", "-", " ", ""))
    return glue.join(number[i : i + 4] for i in range(0, 16, 4)), number[0] == "9"


def make_passport(chance: random.Random) -> Made:
    form = (
        f"{digits(chance, 3)}{chance.choice('ABCDEFGHJK')}{digits(chance, 4)}"
        if chance.random() < 0.5
        else digits(chance, 8)
    )
    return chance.choice("MSRD") + form, True


def make_account(chance: random.Random) -> Made:
    parts = chance.choice(((6, 2, 6), (3, 4, 4, 2), (3, 3, 6), (4, 2, 7), (4, 3, 6), (3, 6, 5), (3, 6, 2, 3)))
    return chance.choice(("-", "-", "-", "", " ")).join(digits(chance, n, "123456789") for n in parts), True


def make_driver_license(chance: random.Random) -> Made:
    region = chance.choice([*range(11, 27), 28])
    return chance.choice(("-", "-", "-", " ", "")).join(
        (str(region), digits(chance, 2), digits(chance, 6), digits(chance, 2))
    ), True


def make_crn(chance: random.Random) -> Made:
    number = digits(chance, 4, "12") + chance.choice(("11", "14", "21", "31", "71")) + digits(chance, 6)
    is_new = chance.random() < 0.2
    number += digits(chance, 1) if is_new else str(-weighted(number, "121212121212") % 10)
    return chance.choice((f"{number[:6]}-{number[6:]}", number)), True


def make_brn(chance: random.Random) -> Made:
    number = (
        str(chance.randrange(101, 1000)) + f"{chance.randrange(1, 100):02d}" + f"{chance.randrange(1, 10000):04d}"
    )
    number += str(-(weighted(number, "137137135") + int(number[8]) * 5 // 10) % 10)
    return chance.choice((f"{number[:3]}-{number[3:5]}-{number[5:]}",) * 3 + (number,)), len(number) == 10


MAKERS: dict[str, Callable[[random.Random], Made]] = {
    "email": make_email,
    "ip": make_ip,
    "phone": make_phone,
    "rrn": lambda chance: make_resident(chance, "1234", 11),
    "frn": lambda chance: make_resident(chance, "5678", 13),
    "card": make_card,
    "passport": make_passport,
    "account": make_account,
    "driver_license": make_driver_license,
    "crn": make_crn,
    "brn": make_brn,
}


def look_alike(chance: random.Random) -> str:
    """Something that looks like personal data, with the words that go with it."""
    day = f"20{chance.randrange(10, 25)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
    return chance.choice(
        (
            lambda: f"ISBN 978-89-{digits(chance, 4)}-{digits(chance, 3)}-{digits(chance, 1)}",
            lambda: f"ISBN 97911{digits(chance, 8)}",
            lambda: f"97889{digits(chance, 8)}",
            lambda: f"주문번호 {day.replace('-', '')}-{digits(chance, 7)}",
            lambda: f"주문번호: {day.replace('-', '')[2:]}{digits(chance, 7)}",
            lambda: f"송장번호 {digits(chance, 4)}-{digits(chance, 4)}-{digits(chance, 4)}",
            lambda: f"{day} {chance.randrange(24):02d}:{chance.randrange(60):02d}:{chance.randrange(60):02d}",
            lambda: day.replace("-", "."),
            lambda: day.replace("-", "") + digits(chance, 6, "01"),
            lambda: f"{day}~{day}",
            lambda: f"15{digits(chance, 8)}",
            lambda: f"15{digits(chance, 11)}",
            lambda: (
                f"버전 {chance.randrange(1, 20)}.{chance.randrange(99)}.{chance.randrange(250)}.{digits(chance, 2)}"
            ),
            lambda: (
                f"v{chance.randrange(1, 9)}.{chance.randrange(20)}.{chance.randrange(99)}.{chance.randrange(250)}"
            ),
            lambda: f"192.168.{chance.randrange(256)}.{chance.randrange(256)}",
            lambda: f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}",
            lambda: f"{chance.random():.15f}",
            lambda: f"{chance.randrange(10**9, 10**12):,}원",
            lambda: f"{chance.randrange(1400, 1600)}-{chance.randrange(1600, 1700)}년",
            lambda: f"{digits(chance, 8)}-{digits(chance, 4)}-{digits(chance, 4)}",
            lambda: f"icon{digits(chance, 2)}@2x.png",
            lambda: f"user{digits(chance, 2)}@example.com",
            lambda: f"모델번호 {chance.choice('MSR')}{digits(chance, 8)}",
            lambda: f"id_{digits(chance, 11, '0')}",
        )
    )()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--planted", type=int, default=1000, help="values of each kind")
    parser.add_argument("--mb", type=float, default=20, help="megabytes per language for the cost")
    options = parser.parse_args()
    texts = korean_texts(options.data)
    found = planted_table(texts, options.planted)
    hits = list_hits(options.data)
    costs = [cost_row(options.data, language, options.mb) for language in ("ko", "en")]
    publish("pii", report(options.planted, found, hits, costs))


def korean_texts(data: Path) -> list[str]:
    found = [pq.read_table(data / f"text/{name}.parquet", columns=["text"])["text"].to_pylist() for name in KOREAN]
    return [text for texts in found for text in texts if sum("가" <= c <= "힣" for c in text[:200]) > 10]


def arrow(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def plant(chance: random.Random, text: str, inserted: str) -> tuple[str, int]:
    """The text with something right after one of its Hangul letters, no letter or digit after it; and where."""
    places = [
        i
        for i in range(1, len(text) + 1)
        if "가" <= text[i - 1] <= "힣" and not (i < len(text) and text[i].isascii() and text[i] not in " \n,()'\"")
    ]
    at = chance.choice(places)
    return text[:at] + inserted + text[at:], at


def planted_table(texts: list[str], n_each: int) -> list[list[str]]:
    chance = random.Random(20)
    cases: list[tuple[str, str, tuple[int, int, str] | None]] = []  # old text, new text, what to find
    for kind, make in MAKERS.items():
        for _ in range(n_each):
            old, (value, needs_label) = chance.choice(texts), make(chance)
            label = chance.choice([label for label in LABELS[kind] if label or not needs_label])
            new, at = plant(chance, old, label + value + chance.choice(PARTICLES))
            cases.append((old, new, (at + len(label), at + len(label + value), kind)))
    for _ in range(n_each * len(MAKERS)):
        old = chance.choice(texts)
        cases.append((old, plant(chance, old, look_alike(chance) + chance.choice(PARTICLES))[0], None))
    return score(cases)


def score(cases: list[tuple[str, str, tuple[int, int, str] | None]]) -> list[list[str]]:
    """Per kind: planted, found, false, precision, recall, characters changed outside spans by masking."""
    before = [values(text, spans) for text, spans in zip(*found_in([old for old, _, _ in cases]), strict=True)]
    texts, after = found_in([new for _, new, _ in cases])
    planted, right, wrong = Counter[str](), Counter[str](), Counter[str]()
    for (_, new, wanted), known, spans in zip(cases, before, after, strict=True):
        planted[wanted[2] if wanted else ""] += 1
        for span in spans:
            if (span["start"], span["end"], span["kind"]) == wanted:
                right[span["kind"]] += 1
            elif (new[span["start"] : span["end"]], span["kind"]) not in known:
                wrong[span["kind"]] += 1
                print("false:", span["kind"], repr(new[max(0, span["start"] - 25) : span["end"] + 10]))
    missed = [
        (w[2], n[w[0] - 12 : w[1] + 8]) for (_, n, w), s in zip(cases, after, strict=True) if w and not hit(w, s)
    ]
    for kind, where in missed:
        print("missed:", kind, repr(where))
    changed = changed_outside(texts)
    rows = [row(kind, planted[kind], right[kind], wrong[kind]) for kind in KINDS]
    whole = row("all", sum(planted[kind] for kind in KINDS), right.total(), wrong.total())
    return [*rows, whole, ["characters changed outside spans", "", "", "", "", str(changed)]]


def hit(wanted: tuple[int, int, str], spans: list[dict[str, object]]) -> bool:
    return any((span["start"], span["end"], span["kind"]) == wanted for span in spans)


def found_in(texts: list[str]) -> tuple[list[str], list[list[dict[str, object]]]]:
    return texts, find_pii(arrow(texts), KINDS).to_pylist()


def values(text: str, spans: list[dict[str, object]]) -> set[tuple[str, object]]:
    return {(text[span["start"] : span["end"]], span["kind"]) for span in spans}  # type: ignore[misc]


def row(kind: str, n_planted: int, n_right: int, n_wrong: int) -> list[str]:
    precision, recall = n_right / max(n_right + n_wrong, 1), n_right / n_planted
    return [kind, f"{n_planted:,}", f"{n_right:,}", f"{n_wrong:,}", f"{precision:.3f}", f"{recall:.3f}"]


def changed_outside(texts: list[str]) -> int:
    """Characters outside spans that masking by placeholder or surrogate changed."""
    array = arrow(texts)
    pii = find_pii(array, KINDS)
    n_changed = 0
    for key in (None, b"a key for the benchmark"):
        done = Redactor(frozenset(KINDS), key).redact(array, pii)
        for old, new, was, now in zip(
            texts, done.texts.to_pylist(), pii.to_pylist(), done.pii.to_pylist(), strict=True
        ):
            n_changed += sum(a != b for a, b in zip(outside(old, was), outside(new, now), strict=True))
    return n_changed


def outside(text: str, spans: list[dict[str, int]]) -> list[str]:
    starts, ends = [span["start"] for span in spans], [span["end"] for span in spans]
    return [text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True)]


def list_hits(data: Path) -> list[list[str]]:
    """Every hit in the unplanted texts goes to a file; returns counts per kind."""
    hits, seen = Counter[str](), set[tuple[str, str]]()
    lines, size = [], 0
    for path in sorted((data / "text").glob("*.parquet")):
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        size += sum(len(text.encode()) for text in texts)
        for text, spans in zip(*found_in(texts), strict=True):
            for span in spans:
                start, end = int(span["start"]), int(span["end"])  # type: ignore[call-overload]
                value, kind = text[start:end], str(span["kind"])
                hits[kind] += 1
                if (kind, value) not in seen:
                    seen.add((kind, value))
                    lines.append("\t".join((kind, path.stem, repr(text[max(0, start - 40) : end + 20]))))
    where = Path(__file__).parent / "results" / "raw" / "pii_hits.tsv"
    where.write_text("\n".join(sorted(lines)) + "\n")
    distinct = Counter(kind for kind, _ in seen)
    return [[kind, f"{hits[kind]:,}", f"{distinct[kind]:,}"] for kind in KINDS] + [["MB", f"{size / 1e6:.0f}", ""]]


def cost_row(data: Path, language: str, size_mb: float) -> list[str]:
    """MB/s of measuring with language, signals and personal data, and what share of that the last takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.parquet"
        size = write_sample(data, language, int(size_mb * 1e6), path) / 1e6
        manifest = CorpusManifest.model_validate(
            {
                "kind": "corpus",
                "name": "bench",
                "inputs": [{"source": "text", "path": str(path)}],
                "measure": {"language": {}, "signals": True, "pii": {"kinds": list(KINDS)}},
                "output": folder,
            }
        )
        item = manifest.inputs[0]
        batches = [
            batch.records
            for split in plan_splits(item, folder, manifest.limits.shard_bytes, leave_out=None)
            for batch in read_split(split, item, manifest.limits, [])
        ]
        rest_s, pii_s = statistics.median(timed(manifest, batches) for _ in range(5))
    return [language, f"{size:.1f}", f"{size / rest_s:.1f}", f"{size / pii_s:.0f}", f"{pii_s / rest_s:.1%}"]


def timed(manifest: CorpusManifest, batches: list[pa.RecordBatch]) -> tuple[float, float]:
    """Seconds of measuring all but personal data, and of that."""
    measurer = Measurer(manifest)
    measurer.measure(batches[0])
    before = dict(measurer.watch.seconds)
    start = time.perf_counter()
    for batch in batches:
        measurer.measure(batch)
    whole_s = time.perf_counter() - start
    pii_s = measurer.watch.seconds["pii"] - before["pii"]
    return whole_s - pii_s, pii_s


def report(n_each: int, found: list[list[str]], hits: list[list[str]], costs: list[list[str]]) -> str:
    return "\n".join(
        [
            f"# Personal data: {n_each:,} of each kind in real Korean documents, and as many look-alikes\n",
            markdown(["kind", "planted", "found", "false", "precision", "recall"], found),
            "Hits in all texts of data/text as they are:\n",
            markdown(["kind", "hits", "distinct"], hits),
            "Cost on one core, beside measuring language and all signals (normal form and digests included):\n",
            markdown(["language", "MB", "measuring MB/s", "personal data MB/s", "share of measuring"], costs),
        ]
    )


if __name__ == "__main__":
    main()
