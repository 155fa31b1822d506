"""Languages of whole texts and of paragraphs."""

import os
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.language import LID176, LanguageIdentifier, mixed_frac
from manifests.errors import RequestError


@cache
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier()


def languages(*texts: str | None) -> list[str]:
    tags: list[str] = identifier().identify(pa.array(texts, pa.large_string())).language.to_pylist()
    return tags


CODE = """static int parse_header(struct request *req, const char *line) {
    if (line == NULL || *line == '\\0')
        return -1;
    req->n_headers += 1;  // count it
    return strcmp(line, "\\r\\n");
}"""
MARKUP = """<div class="nav"><ul>
  <li><a href="/index.html">Home</a></li>
  <li><a href="/shop/cart.html">Cart</a></li>
</ul></div>"""
JSON = '{"id": 17, "name": "onggi", "tags": ["clay", "jar"], "size": {"height_cm": 40, "width_cm": 30}}'
PYTHON = "import sys\n\ndef main(argv):\n    for name in argv[1:]:\n        print(name.upper())\n\nmain(sys.argv)"


@pytest.mark.parametrize("text", [CODE, MARKUP, JSON, PYTHON])
def test_code_markup_and_data_have_no_language(text: str) -> None:
    assert languages(text) == ["zxx"]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("옹기는 숨을 쉬는 그릇이라고 한다.", "ko"),
        ("ㅋㅋㅋㅋ", "ko"),
        ("TensorFlow 애드온 옵티마이저: ConditionalGradient", "ko"),
        ("Onggi jars breathe, which is why they are used for sauces.", "en"),
        ("WHERE ARE YOU? I AM AT THE STATION AND IT IS RAINING", "en"),
        ("味噌と醤油は大豆から作られます。", "ja"),
        ("Les jarres respirent, et c'est pourquoi on les utilise.", "fr"),
        ("oneureun nalssiga joaseo chinguwa hamkke hangangeseo jajeongeoreul tatda", "ko-Latn"),
        ("Annyeonghaseyo, mannaseo bangapseumnida. Jeoneun hangugeoreul gongbuhago isseoyo.", "ko-Latn"),
        ("Saya tinggal di Jakarta bersama keluarga saya dan bekerja di kantor pemerintah.", "id"),
    ],
)
def test_prose_has_a_language(text: str, tag: str) -> None:
    assert languages(text) == [tag]


def test_an_article_that_shows_code_is_prose() -> None:
    article = "To parse a header we first look at the line that came in, and give up when it is empty.\n\n"
    assert languages(article * 2 + CODE, "머리글을 읽을 때에는 먼저 빈 줄인지 살펴본다.\n\n" * 3 + CODE) == [
        "en",
        "ko",
    ]


@pytest.mark.parametrize("text", ["", " \n\t ", "12,345.67", "!?!?", "😀😀", None])
def test_a_text_without_letters_is_undetermined(text: str | None) -> None:
    columns = identifier().identify(pa.array([text], pa.large_string()))
    assert columns.language.to_pylist() == ["und"]
    assert columns.score.to_pylist() == columns.hangul_frac.to_pylist() == [0.0]


def test_types_order_slices_and_empty_input() -> None:
    texts = pa.array(["Hello, how are you today?", "안녕하세요, 반갑습니다", None], pa.large_string())
    columns = identifier().identify(texts)
    assert (columns.language.type, columns.score.type, columns.hangul_frac.type) == (
        pa.string(),
        pa.float32(),
        pa.float32(),
    )
    assert identifier().identify(texts.slice(1, 1)).language.to_pylist() == ["ko"]
    assert len(identifier().identify(texts.slice(0, 0)).language) == 0


def test_a_header_in_another_language_does_not_decide() -> None:
    header = "Home About Contact Login Search Privacy policy Terms of service and cookies\n" * 16
    article = "옹기는 흙으로 빚은 그릇이다. 숨을 쉬기 때문에 장을 담그는 데에 쓴다.\n" * 120
    assert languages(header + article) == ["ko"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), max_size=5))
def test_any_text_gets_one_row_with_a_score(texts: list[str | None]) -> None:
    columns = identifier().identify(pa.array(texts, pa.large_string()))
    assert len(columns.language) == len(columns.score) == len(columns.hangul_frac) == len(texts)
    assert columns.language.null_count == 0 and all(columns.language.to_pylist())
    assert all(0 <= value <= 1 for value in columns.score.to_pylist() + columns.hangul_frac.to_pylist())


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=50, deadline=None)
def test_paragraphs_are_disjoint_ordered_and_cover_every_visible_character(text: str) -> None:
    paragraphs = identifier().identify_paragraphs(text)
    ends = [0, *(p.end for p in paragraphs)]
    assert all(end <= p.start < p.end for end, p in zip(ends, paragraphs, strict=False))
    outside = text[: paragraphs[0].start] if paragraphs else text
    outside += "".join(text[a.end : b.start] for a, b in pairwise(paragraphs))
    assert not (outside + (text[paragraphs[-1].end :] if paragraphs else "")).strip()


def test_paragraphs_of_a_mixed_text() -> None:
    text = "Hello there, this part is English.\nStill English.\n\n안녕하세요, 여기는 한국어입니다.\n \n" + CODE
    found = [(text[p.start : p.start + 5], p.language) for p in identifier().identify_paragraphs(text)]
    assert found == [("Hello", "en"), ("안녕하세요", "ko"), ("stati", "zxx")]
    english, korean = (p.end - p.start for p in identifier().identify_paragraphs(text)[:2])
    assert mixed_frac(identifier().identify_paragraphs(text)) == pytest.approx(korean / (english + korean))
    assert mixed_frac([]) == 0
    lines = identifier().identify_paragraphs("안녕하세요, 반갑습니다.\nThis line is written in English.")
    assert [p.language for p in lines] == ["ko", "en"]


TRAIN = """
import sys, fasttext
folder = sys.argv[1]
rows = [("kor_Hang", "나는 밥을 먹었다"), ("eng_Latn", "today i ate rice"), ("srp_Latn", "danas sam jeo pirinač")]
with open(folder + "/train.txt", "w") as file:
    file.writelines(f"__label__{label} {text} {i}\\n" for i in range(30) for label, text in rows)
options = dict(dim=8, bucket=500, minn=1, maxn=2, epoch=20, thread=1, verbose=0, minCount=1)
fasttext.train_supervised(folder + "/train.txt", **options).save_model(folder + "/scripts.bin")
"""


def test_a_model_by_path_with_labels_of_language_and_script(tmp_path: Path) -> None:
    # fastText leaves memory unset with one thread; glibc fills it with zeros when told to from outside.
    environment = os.environ | {"MALLOC_PERTURB_": "255"}
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path)], env=environment, check=True)
    by_path = LanguageIdentifier(str(tmp_path / "scripts.bin"))
    texts = pa.array(["나는 오늘 밥을 먹었다", "i ate rice today", "danas sam jeo pirinač"], pa.large_string())
    assert by_path.identify(texts).language.to_pylist() == ["ko", "en", "sr-Latn"]
    assert by_path.fingerprint != identifier().fingerprint


def test_fingerprint_follows_the_model_and_the_sample(tmp_path: Path) -> None:
    copy = tmp_path / "same.ftz"
    copy.write_bytes(LID176.read_bytes())
    assert LanguageIdentifier(str(copy)).fingerprint == identifier().fingerprint
    assert LanguageIdentifier(max_chars=500).fingerprint != identifier().fingerprint


def test_wrong_requests() -> None:
    with pytest.raises(RequestError, match="glotlid-missing"):
        LanguageIdentifier("glotlid-missing.bin")
    with pytest.raises(RequestError, match="max_chars is 0"):
        LanguageIdentifier(max_chars=0)


def test_accuracy_on_the_even_half(shared_data: Path) -> None:
    rows = pq.read_table(shared_data / "langid" / "labelled.parquet").to_pylist()
    rows = [row for row in rows if xxhash.xxh3_64_intdigest(row["id"].encode()) % 2 == 0]
    found = languages(*(row["text"] for row in rows))
    right = sum(tag == row["lang"] for tag, row in zip(found, rows, strict=True))
    assert right / len(rows) >= 0.98
