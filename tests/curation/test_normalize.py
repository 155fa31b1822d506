"""The normal form: what it changes, what it must not touch, and that the column equals the function."""

import hashlib
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.normalize import NORMAL_FORM, _repair_euckr_as_latin, _repair_utf8_as_latin, normalize, normalize_column

ZWJ, ZWNJ = "\u200d", "\u200c"
KOREAN = "안녕하세요. 오늘은 날씨가 좋아서 한강에 다녀왔습니다. 사람이 많았지만 정말 즐거운 하루였다고 생각합니다."

UNTOUCHED = {
    "laughter and tears": "오늘ㅋㅋㅋ 진짜 웃겨ㅋㅋㅋㅋㅋㅋㅋㅋ ㅠㅠㅠ ㅜㅜ ㅎㅎ",
    "old Hangul": "나랏〮말〯ᄊᆞ미〮 듀ᇰ귁〮에〮달아〮",
    "conjoining jamo on their own": "ᄏᄏᄏ ᄒᆞᆫ",
    "squares, circled, fullwidth won": "㈜한국 ① ㎏ ￦1,000 ℃ ½ ﬁ",
    "emoji": f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦 ❤️ 👍🏽 1️⃣ 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 🇰🇷",
    "joiners that scripts need": f"می{ZWNJ}خواهم क्{ZWJ}ष",
    "bidi marks": "abc \u200fשלום\u200e \u202babc\u202c",
    "white space of code and Markdown": "def f():\n\treturn 1  \n\n    - a\n",
    "accents next to punctuation": "café’s « É… » naïve—Größe: Ä›Ü",
    "a table of Latin-1": "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
    "middle dots": "암호 옆 ········ 레이블을 누릅니다. °°±±²²³³",
    "Windows-1251 read as Latin-1": "Ïðèâåò ìèð, ýòî ðóññêèé òåêñò â íåïðàâèëüíîé êîäèðîâêå",
    "mojibake quoted": "Values in the wrong character encoding, like this:\n\n    Rue LÃ©opold I\n\nor donâ€™t.",
    "replacement and private use": "\ufffd \ue000 \U000f0000",
    "halfwidth katakana": "ｱｲｳ",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
def test_leaves_correct_text_alone(text: str) -> None:
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ﾻﾻ ￓￓ ﾾￂﾤ", "ㅋㅋ ㅜㅜ ㅎㅏㄴ"),
        (unicodedata.normalize("NFD", "한글 파일 이름.txt"), "한글 파일 이름.txt"),
        ("e\u200b\u0301", "é"),
        ("金樂", "金樂"),
        ("ＡＢＣ（１２３）！～", "ABC(123)!~"),
        ("\ufeffa\u200bb\u2060c\u00add", "abcd"),
        ("a\u3000b\u00a0c\u202fd\u2003e\x1ff", "a b c d e f"),
        ("a\r\nb\rc\u2028d\x0ce\x0bf\x85가", "a\nb\nc\nd\ne\nf\n가"),
        ("\x00a\x08\x1b[0m\x7f한\x80", "a[0m한"),
        ("\ud83d\ude00 \udc00", "😀 \ufffd"),
        ("\x93It\x92s\x94", "“It’s”"),
        ("donâ€™t", "don’t"),
        ("cafÃ©", "café"),
        ("cafÃ©s Â«\xa0BogotÃ¡\xa0Â» â€” dÃ©jÃ\xa0 vu", "cafés « Bogotá » — déjà vu"),
        ("cafÃ©s à Â«BogotÃ¡Â»", "cafÃ©s à Â«BogotÃ¡Â»"),  # partly right: not one mistake of decoding
    ],
)
def test_golden(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("wrong", ["latin-1", "sloppy-windows-1252"])
def test_repairs_korean_utf8_that_was_read_as_latin(wrong: str) -> None:
    assert normalize(KOREAN.encode().decode(wrong)) == KOREAN


@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_repairs_korean_euckr_that_was_read_as_latin(wrong: str) -> None:
    page = f"{KOREAN}\nplain ASCII\n{KOREAN}"
    assert normalize(page.encode("euc_kr").decode(wrong)) == page


def test_repairs_mojibake_only_in_the_lines_that_are() -> None:
    assert normalize(f"{KOREAN}\n{KOREAN.encode().decode('latin-1')}") == f"{KOREAN}\n{KOREAN}"


def test_behaviour_is_that_of_its_name() -> None:
    """Whoever changes what any single character becomes has to give the normal form another name."""
    points = [n for n in range(0x30000) if not 0xD800 <= n < 0xE000]
    outputs = "\x00".join(f"{normalize(chr(n))}\x00{normalize(f'가{chr(n)}e')}" for n in points)
    assert (NORMAL_FORM, hashlib.sha256(outputs.encode()).hexdigest()[:16]) == ("nfc-1", "77d569c0e2ec5ed7")


FRAGMENTS = [
    *UNTOUCHED.values(),
    *"가각힣한글ㄱㅋㅠㅏᄀ칵ᆫᄒᆞ〮ﾡﾻￂￜ\uffa0\u3164",
    *"aeoA1 \t\n\r\x00\x08\x0c\x1f\x85\x92\x9d\xa0\xad\u200b\u200c\u200d\u2028\u3000\ufeff\ufe0f\ufffd",
    *"\u0301\u0308\u0323\u0327\u0338\u0345\u3099＜＞＝Ａｅ！～￦金Å\u212b\u0958\u1e9b",
    *"ÂÃâêëìíðÐ€™œ¿¡°»\x80\x81\x8d¸Þ´º",
    "\r\n",
    "Ã©",
    "â€™",
    "안녕".encode().decode("latin-1"),
    KOREAN.encode().decode("sloppy-windows-1252"),
    KOREAN.encode("euc_kr").decode("latin-1"),
    unicodedata.normalize("NFD", KOREAN),
]
rich_texts = st.lists(st.sampled_from(FRAGMENTS) | st.characters(exclude_categories=()), max_size=12).map("".join)
valid_texts = rich_texts.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
mojibake_texts = st.tuples(
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "ignore")),
    st.sampled_from(["latin-1", "sloppy-windows-1252"]),
).map(lambda bytes_and_wrong: bytes_and_wrong[0].decode(bytes_and_wrong[1]))


@given(rich_texts | mojibake_texts)
def test_is_idempotent(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once


@given(rich_texts)
def test_leaves_three_kinds_of_white_space_and_no_control(text: str) -> None:
    normal = normalize(text)
    assert normal.split() == [
        word for line in normal.split("\n") for word in line.replace("\t", " ").split(" ") if word
    ]
    assert normal.splitlines() == normal.removesuffix("\n").split("\n") or not normal
    assert not {c for c in normal if unicodedata.category(c) == "Cc"} - {"\n", "\t"}
    assert unicodedata.is_normalized("NFC", normal)
    normal.encode()


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.none() | valid_texts | mojibake_texts, max_size=8), st.integers(0, 3), st.integers(0, 8))
def test_column_equals_function(texts: list[str | None], start: int, length: int) -> None:
    column = pa.array(texts, pa.large_string()).slice(start, length)
    normal = normalize_column(column)
    normal.validate(full=True)
    assert normal.to_pylist() == [text if text is None else normalize(text) for text in column.to_pylist()]
    if normal.to_pylist() == column.to_pylist():
        assert normal is column


def test_column_equals_function_after_every_character() -> None:
    points = [
        n for n in range(0x110000) if not 0xD800 <= n < 0xE000 and (n < 0x30000 or n % 0xFF == 0 or n >= 0xE0000)
    ]
    texts = [f"각{chr(n)}" for n in points] + [f"e{chr(n)}" for n in points if n < 0x2000]
    assert normalize_column(pa.array(texts, pa.large_string())).to_pylist() == [normalize(text) for text in texts]


def test_column_of_nulls_and_of_nothing() -> None:
    for column in (pa.array([], pa.large_string()), pa.array([None, None], pa.large_string())):
        assert normalize_column(column) is column


@pytest.mark.slow
def test_repairs_nothing_in_the_corpora(shared_data: Path) -> None:
    """What they hold of mojibake is quoted, not damaged."""
    for path in sorted((shared_data / "text").glob("*.parquet")):
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist():
            assert _repair_utf8_as_latin(text) == text, path.name
            assert _repair_euckr_as_latin(text) == text, path.name
