"""From bytes to text: UTF-8 first, then what a file names, then what its odd lines look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.code.text import decode_source, is_binary

CODE = "#include <stdio.h>\nint main(void) {\n  return 0;\n}\n" * 30
LEGACY = [
    ("/* 화면에 글자를 출력한다 */\n", "cp949"),
    ("// 버그\n", "cp949"),
    ("# 홍길동 작성\n", "cp949"),
    ("// 똠방각하\n", "cp949"),
    ("// Autor: Jürgen Müller\n", "latin-1"),
    ("# (c) Andrés\n", "latin-1"),
    ("/* ½ °C */\n", "latin-1"),
    ("/* 文字列を出力する */\n", "euc_jp"),
    ("/* 文字列を出力する */\n", "shift_jis"),
    ("# привет мир, это тест\n", "koi8-r"),
]


@pytest.mark.parametrize(("comment", "charset"), LEGACY)
@pytest.mark.parametrize("around", ["", CODE])
def test_a_comment_among_much_code(comment: str, charset: str, around: str) -> None:
    text = around + comment + around
    assert decode_source(text.encode(charset)).text == text


def test_what_a_file_names() -> None:
    text = "#!/usr/bin/python\n# -*- coding: euc-kr -*-\nx = '가'\n"
    assert decode_source(text.encode("cp949")).charset == "cp949"
    latin = "# coding: iso-8859-2\nx = 'ł'\n"
    assert decode_source(latin.encode("iso-8859-2")).text == latin


def test_a_page_in_a_string_does_not_speak_for_the_file() -> None:
    text = "PAGE = '<meta charset=euc-kr>'  # 한글\n"
    assert decode_source(text.encode()).text == text


@given(st.text())
def test_utf8_and_utf16(text: str) -> None:
    clean = text.replace("\0", "").removeprefix("\ufeff")
    assert decode_source(clean.encode()).text == clean
    assert decode_source(b"\xff\xfe" + clean.encode("utf-16-le")).text == clean


@given(st.binary(max_size=300))
def test_any_bytes_have_a_text(content: bytes) -> None:
    assert "\0" not in decode_source(content).text
    is_binary(content)


def test_what_is_binary() -> None:
    assert is_binary(b"\x7fELF\0\0") and is_binary(bytes(range(1, 9)) * 20)
    assert not is_binary("가나다\n".encode("cp949")) and not is_binary(b"\xff\xfea\0b\0") and not is_binary(b"")
    assert not is_binary(b"\x1b[31mred\x1b[0m and a form feed \x0c\n" * 3)
