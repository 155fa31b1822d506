"""Detection: each kind where it may stand in Korean text, what looks like it, and where the kernel looks."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.pii import Span, _disjoint, find_pii, mail_in, numbers_in
from manifests.contracts import PII_TYPE
from manifests.schema import ALL_PII_KINDS, PiiKind
from tests.curation.pii_examples import FOUND, LOOK_ALIKES

EXAMPLES = [(kind, *example) for kind, examples in FOUND.items() for example in examples]
PIECES = [before + value + after for _, before, value, after in EXAMPLES] + list(LOOK_ALIKES.values())
NO_SECRETS = tuple(kind for kind in ALL_PII_KINDS if kind != "secret")
GLUE = [
    "",
    " ",
    "\n",
    "가",
    "ㅋㅋ",
    "e\u0301",
    "👨\u200d👩\u200d👧",
    "\U00020000",
    "-",
    ".",
    "1",
    "@",
    "+",
    "０",
    "·",
]


def find(text: str, kinds: tuple[PiiKind, ...] = ALL_PII_KINDS) -> list[Span]:
    (spans,) = find_pii(pa.array([text], pa.large_string()), kinds).to_pylist()
    return [Span(**span) for span in spans]


def test_every_kind_has_examples() -> None:
    assert set(FOUND) == set(ALL_PII_KINDS)


@pytest.mark.parametrize(("kind", "before", "value", "after"), EXAMPLES, ids=[row[2] for row in EXAMPLES])
def test_finds(kind: PiiKind, before: str, value: str, after: str) -> None:
    assert find(before + value + after) == [(len(before), len(before + value), kind)]


@pytest.mark.parametrize("text", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_leaves_look_alikes_alone(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("010-1234-5678 010-2345-6789", ["phone", "phone"]),
        ("이메일 a@naver.com,b@naver.com/c@daum.net", ["email"] * 3),
        ("010-1234-5678@naver.com", ["email"]),
        ("농협 302-1234-5678-91 예금주 홍길동 010-1234-5678", ["account", "phone"]),
        ("주민번호 960101-1234567, 법인등록번호 110111-0062432", ["rrn", "crn"]),
        ("카드번호 4539-1488-0343-6467 계좌 110-234-567890", ["card", "account"]),
    ],
)
def test_finds_several(text: str, expected: list[PiiKind]) -> None:
    assert [span.kind for span in find(text)] == expected


def everywhere(text: str) -> list[Span]:
    """All spans of a text by the patterns alone, over all of it, without the kernel that says where to look."""
    spans = list(numbers_in(text, 0, len(text)))
    spans += [span for i, character in enumerate(text) if character == "@" for span in mail_in(text, i)]
    return _disjoint(sorted(set(spans)))


@given(st.lists(st.sampled_from(PIECES + GLUE), max_size=8).map("".join))
@example("🇰🇷" * 100 + "연락처kim@naver.com로")
@settings(derandomize=True)  # long runs of digits and colons are known in which a look at the end alone finds more
def test_the_kernel_looks_wherever_there_is_any(text: str) -> None:
    assert find(text, NO_SECRETS) == everywhere(text)


@given(st.lists(st.sampled_from(PIECES + GLUE), max_size=8).map("".join), st.sets(st.sampled_from(ALL_PII_KINDS)))
def test_some_kinds_are_all_kinds_without_the_others(text: str, kinds: set[PiiKind]) -> None:
    all_kinds = ALL_PII_KINDS if "secret" in kinds else NO_SECRETS
    assert find(text, tuple(kinds)) == [span for span in find(text, all_kinds) if span.kind in kinds]


def test_a_secret_takes_the_place_of_what_it_meets_only_where_it_is_asked_for() -> None:
    text = "amqp://onggi:k1mch1" + "-jar_99@mq.onggi.kr/x"
    assert [(span.kind, text[span.start : span.end]) for span in find(text)] == [("secret", "k1mch1-jar_99")]
    assert [span.kind for span in find(text, NO_SECRETS)] == ["email"]


@given(st.lists(st.none() | st.sampled_from(PIECES + GLUE), min_size=2, max_size=6), st.data())
def test_rows_and_slices(texts: list[str | None], data: st.DataObject) -> None:
    array = pa.array(texts, pa.large_string())
    start = data.draw(st.integers(0, len(texts) - 1))
    found = find_pii(array[start:], ALL_PII_KINDS)
    assert found.type == PII_TYPE
    rows = [None if spans is None else [Span(**span) for span in spans] for spans in found.to_pylist()]
    assert rows == [None if text is None else find(text) for text in texts[start:]]


def test_many_in_one_text() -> None:
    text = " ".join(f"010-1234-{i:04d}" for i in range(3000)) + " 가" + "x@naver.com " * 3000
    assert len(find(text)) == 6000


@pytest.mark.slow
def test_planted_in_real_text(shared_data: Path) -> None:
    texts = pq.read_table(shared_data / "text/ko_petitions.parquet", columns=["text"])["text"].to_pylist()
    chance = random.Random(0)
    for kind, before, value, after in EXAMPLES * 5:
        text = chance.choice(texts)
        at = chance.randrange(len(text))
        if not (text[at - 1 : at + 1].isalpha() and before):
            continue
        planted = text[:at] + before + value + after + text[at:]
        assert (at + len(before), at + len(before + value), kind) in find(planted)
