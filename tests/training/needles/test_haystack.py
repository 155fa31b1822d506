"""The text of the grid: sentences alone, in their order, each once."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from tests.training import tiny
from training.needles.haystack import Language, read_haystack, sentences

PAGE = """# 장 담그기

메주를 씻어 말립니다. 그런 다음 소금물에 담급니다! 얼마나 걸릴까요?
- 목록 하나
- 목록 둘

| 표 | 값 |
|---|---|

```python
print("This is code, not a sentence.")
```

Soy sauce ripens for months. See https://example.org for more about it. It was
written on two lines by Mr. Kim in v1.2 of the book."""


def test_sentences_of_running_text_alone() -> None:
    assert list(sentences(PAGE)) == [
        "\n메주를 씻어 말립니다.",
        " 그런 다음 소금물에 담급니다!",
        "\nSoy sauce ripens for months.",
        " It was written on two lines by Mr. Kim in v1.2 of the book.",
    ]


@given(st.text("가힣다. 요!?\n`#a|\u0301\u1100\u1161ㅋ👍🏽", max_size=200))
def test_sentences_are_one_line_and_stand_in_the_text(text: str) -> None:
    for sentence in sentences(text):
        assert sentence[0] in " \n" and sentence[1:] == " ".join(sentence[1:].split())
        assert sentence[1:] in " ".join(text.split())


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_sample_is_large_enough_for_a_prompt_of_32k(language: Language) -> None:
    haystack = read_haystack(language, None, ".")
    assert len(haystack.sentences) == len(set(haystack.sentences)) > 3000
    assert sum(map(len, haystack.sentences)) > 32_768 * (4 if language == "en" else 2)


def test_what_stands_in_it_is_known(tmp_path: Path) -> None:
    tiny.write_jsonl(
        tmp_path / "a.jsonl", [{"text": "The Year of 1,234,567 Jars was long ago. Call 02-1234-5678 now."}]
    )
    haystack = read_haystack("en", "a.jsonl", str(tmp_path))
    for word in ("1234567", "0212345678", "1234", "jars", "JARS", "ｊａｒｓ"):
        assert haystack.holds(word), word
    for word in ("7654321", "5670212", "bowls"):
        assert not haystack.holds(word), word


def test_files_of_a_folder_each_sentence_once(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "b.jsonl", [{"text": "This stands in both files."}, {"text": None}])
    table = pa.table({"text": ["This stands in both files. And this in one alone.", ""]})
    pq.write_table(table, tmp_path / "a.parquet")
    found = read_haystack("en", str(tmp_path), ".").sentences
    assert found == ("\nThis stands in both files.", " And this in one alone.")


def test_faults_name_file_and_field(tmp_path: Path) -> None:
    def fault(rows: list[dict[str, object]]) -> str:
        tiny.write_jsonl(tmp_path / "a.jsonl", rows)
        with pytest.raises(RequestError) as error:
            read_haystack("ko", "a.jsonl", str(tmp_path))
        return str(error.value).replace(str(tmp_path), "TMP")

    assert fault([{"body": "이것은 글입니다."}]) == (
        "needle.haystack.ko: TMP/a.jsonl: has no column `text`; found: body"
    )
    assert fault([{"text": 3}]) == "needle.haystack.ko: TMP/a.jsonl:1: `text` holds int; expected text"
    assert fault([{"text": "제목"}]).startswith(
        "needle.haystack.ko: a.jsonl: holds no sentence; expected running text"
    )
    (tmp_path / "a.jsonl").write_text('{"text": \n')
    with pytest.raises(RequestError, match=r"needle\.haystack\.ko: .*a\.jsonl:1: is no JSON"):
        read_haystack("ko", "a.jsonl", str(tmp_path))
