"""Redaction: what takes the place of personal data, and that nothing else changes."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import pii_validators as validators
from curation.pii import find_pii
from curation.pii_redact import Redactor, read_key, surrogate
from curation.pii_validators import Outcome
from manifests.errors import RequestError
from manifests.schema import ALL_PII_KINDS, PiiKind
from tests.curation.pii_examples import FOUND
from tests.curation.test_pii import GLUE, PIECES

KEY, OTHER_KEY = b"a key of 16 byte", b"another 16 bytes"
EXAMPLES = [(kind, *example) for kind, examples in FOUND.items() for example in examples]


def redact(text: str, key: bytes | None = None, kinds: tuple[PiiKind, ...] = ALL_PII_KINDS) -> tuple[str, list[str]]:
    texts = pa.array([text], pa.large_string())
    done = Redactor(frozenset(kinds), key).redact(texts, find_pii(texts, ALL_PII_KINDS))
    (new,), (spans,) = done.texts.to_pylist(), done.pii.to_pylist()
    return new, [new[span["start"] : span["end"]] for span in spans]


def test_placeholders() -> None:
    text = "연락처kim@naver.com로, 010-1234-5678로, 사업자 116-82-00276"
    assert redact(text) == ("연락처<EMAIL>로, <PHONE>로, 사업자 <BRN>", ["<EMAIL>", "<PHONE>", "<BRN>"])
    masked = redact(text, kinds=("email",))
    assert masked == (
        "연락처<EMAIL>로, 010-1234-5678로, 사업자 116-82-00276",
        ["<EMAIL>", "010-1234-5678", "116-82-00276"],
    )


@given(st.lists(st.sampled_from(PIECES + GLUE), max_size=8).map("".join), st.sampled_from([None, KEY]))
def test_changes_nothing_outside_the_spans(text: str, key: bytes | None) -> None:
    texts = pa.array([text], pa.large_string())
    found = find_pii(texts, ALL_PII_KINDS)
    done = Redactor(frozenset(ALL_PII_KINDS), key).redact(texts, found)
    (new,), (old_spans,), (new_spans,) = done.texts.to_pylist(), found.to_pylist(), done.pii.to_pylist()
    assert [span["kind"] for span in old_spans] == [span["kind"] for span in new_spans]
    assert outside(text, old_spans) == outside(new, new_spans)
    assert sum(done.n_masked.values()) == len(old_spans)


def outside(text: str, spans: list[dict[str, int]]) -> list[str]:
    starts, ends = [span["start"] for span in spans], [span["end"] for span in spans]
    return [text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True)]


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(("kind", "before", "value", "after"), EXAMPLES, ids=[row[2] for row in EXAMPLES])
def test_nothing_is_found_in_what_was_masked(
    kind: PiiKind, before: str, value: str, after: str, key: bytes | None
) -> None:
    text, _ = redact(before + value + after, key)
    assert value not in text
    assert redact(text, key) == (text, [])


@given(
    st.sampled_from([(row[0], row[2]) for row in EXAMPLES if row[0] != "secret"]), st.binary(min_size=16, max_size=16)
)
def test_no_validator_takes_a_surrogate_for_real(example: tuple[PiiKind, str], key: bytes) -> None:
    kind, value = example
    made_up = surrogate(kind, value, key)
    assert getattr(validators, kind)(made_up) is Outcome.INVALID
    if kind not in ("email", "ip"):  # the form stays
        assert len(made_up) == len(value)
        assert [c.isdigit() for c in made_up] == [c.isdigit() for c in value]


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        (
            "phone",
            ["010-1234-5678", "01012345678", "010.1234.5678", "+82-10-1234-5678", "０１０－１２３４－５６７８"],
        ),
        ("rrn", ["960101-1234567", "9601011234567"]),
        ("card", ["4539-1488-0343-6467", "4539148803436467"]),
        ("email", ["kim@naver.com", "Kim@Naver.com"]),
    ],
)
def test_the_same_value_has_the_same_surrogate(kind: PiiKind, spellings: list[str]) -> None:
    def digits(key: bytes) -> set[str]:
        made_up = {surrogate(kind, spelling, key) for spelling in spellings}
        return made_up if kind == "email" else {"".join(c for c in one if c.isdigit())[-8:] for one in made_up}

    assert len(digits(KEY)) == 1
    assert digits(KEY) == digits(KEY) != digits(OTHER_KEY)


def test_other_values_have_other_surrogates() -> None:
    made_up = {surrogate("phone", f"010-1234-{i:04d}", KEY) for i in range(2000)}
    assert len(made_up) > 1990  # of 10^7
    assert all(one.startswith("010-0") for one in made_up)


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.txt").write_bytes(KEY + b"\n")
    assert read_key("key.txt", str(tmp_path)) == KEY
    monkeypatch.setenv("PII_KEY", OTHER_KEY.decode())
    assert read_key("PII_KEY", str(tmp_path)) == OTHER_KEY
    monkeypatch.setenv("PII_KEY", "short")
    with pytest.raises(RequestError, match="has 5 bytes; at least 16"):
        read_key("PII_KEY", str(tmp_path))
    with pytest.raises(RequestError, match="neither an environment variable 'NO_KEY'"):
        read_key("NO_KEY", str(tmp_path))


def test_the_digest_of_a_key_does_not_tell_it() -> None:
    masks, others = (Redactor(frozenset(), key) for key in (KEY, OTHER_KEY))
    assert masks.key_digest != others.key_digest
    assert KEY.hex()[:8] not in masks.key_digest
    assert str(KEY) not in repr(masks)
