import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.charset import decode

KOREAN = "안녕하세요. 이 문서는 아파치 웹 서버의 설정을 설명합니다. 자세한 내용은 관련 문서를 참고하십시오. "
EXTENDED = "똠방각하와 펲시콜라를 찦차에 싣고 "  # in CP949, not in EUC-KR


@pytest.mark.parametrize("label", ["EUC-KR", "ks_c_5601-1987", "ksc5601", "windows-949", "cp949", "uhc", "korean"])
def test_every_korean_label_means_cp949(label: str) -> None:
    decoded = decode(EXTENDED.encode("cp949"), label)
    assert (decoded.text, decoded.charset, decoded.replaced) == (EXTENDED, "cp949", 0)


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="euc-kr">',
        "<META HTTP-EQUIV='Content-Type' CONTENT='text/html; charset=EUC-KR'>",
        '<?xml version="1.0" encoding="euc-kr"?>',
        "<!-- <meta charset=utf-16> --><script>" + "x" * 5000 + "</script><meta charset=euc-kr>",
    ],
)
def test_the_page_names_its_charset(head: str) -> None:
    page = head + EXTENDED
    assert decode(page.encode("cp949")).text == page


def test_unlabelled_korean_is_detected() -> None:
    assert decode((KOREAN * 3).encode("cp949")).text == KOREAN * 3


def test_the_header_comes_before_the_meta_tag() -> None:
    page = "<meta charset=shift_jis>" + EXTENDED
    assert decode(page.encode("cp949"), "euc-kr").text == page


@pytest.mark.parametrize("declared", ["utf-8", "ISO-8859-1", "no-such-charset", "unicode_escape", "utf-16"])
def test_a_declared_charset_that_cannot_be_gives_way_to_the_meta_tag(declared: str) -> None:
    page = "<meta charset=euc-kr>" + KOREAN
    assert decode(page.encode("cp949"), declared).text == page


def test_a_server_default_gives_way_to_valid_utf8() -> None:
    assert decode(KOREAN.encode(), "ISO-8859-1").text == KOREAN


def test_single_byte_text_is_read_as_declared() -> None:
    assert decode("naïve café".encode("cp1252"), "iso-8859-1").text == "naïve café"
    assert decode("Это русский текст".encode("cp1251"), "windows-1251").text == "Это русский текст"


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides_and_is_removed(charset: str) -> None:
    assert decode(KOREAN.encode(charset)).text == KOREAN


def test_damage_is_counted_and_does_not_change_the_charset() -> None:
    decoded = decode(KOREAN.encode() * 3 + b"\xed", "utf-8")
    assert (decoded.text, decoded.charset, decoded.replaced) == (KOREAN * 3 + "\ufffd", "utf-8", 1)
    decoded = decode((KOREAN * 3).encode("cp949") + b"\xff end", "euc-kr")
    assert (decoded.charset, decoded.replaced) == ("cp949", 1)


def test_replacement_characters_of_the_page_itself_are_not_counted() -> None:
    assert decode("a\ufffdb".encode()).replaced == 0
    assert decode(("\ufffd" + KOREAN * 3).encode() + b"\xed").replaced == 1


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "euc-kr", "utf-16", "iso-8859-1", "gbk", "x"]))
def test_any_bytes_become_clean_text(content: bytes, declared: str | None) -> None:
    decoded = decode(content, declared)
    assert "\0" not in decoded.text
    decoded.text.encode()  # no lone surrogates
    assert 0 <= decoded.replaced <= decoded.text.count("\ufffd")


@given(st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=100))
def test_utf8_survives(text: str) -> None:
    assert decode(text.encode(), "utf-8").text == text
