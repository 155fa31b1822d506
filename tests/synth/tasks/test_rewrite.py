"""Chunks are written anew in the styles of their bucket, and what is no good is rejected with its reason."""

from typing import Any

import pytest

from synth.samples import Ask, Item
from synth.tasks.rewrite import FRAMES, MAX_PAIRS, Rewrite
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, setting

SOURCE = (
    "옹기는 흙으로 빚어 1,200도에서 구운 그릇이다. 그릇의 벽에 아주 작은 구멍이 있어 공기가 드나들고, 그래서 장과 "
    "김치를 익히기에 좋다. 지금도 전국에 옹기를 굽는 마을이 세 곳 남아 있다. 마을마다 흙과 유약이 달라 그릇의 빛깔도 "
    "서로 다르며, 사람들은 그 빛깔을 보고 어디에서 온 그릇인지 알아본다."
)
ANEW = (
    "한국의 전통 그릇인 옹기는 흙을 빚은 다음 섭씨 1200도의 가마에 넣어 만든다. 벽면의 미세한 틈으로 바람이 통하므로 "
    "발효 음식을 담아 두는 데 알맞다. 오늘날 이를 생산하는 마을은 3곳이고, 원료가 되는 점토와 겉에 바르는 유약에 "
    "차이가 있어 색으로 산지를 구별할 수 있다. 이런 까닭에 옹기는 오랫동안 부엌에서 사랑받아 왔다."
)
ITEM = Item("d1/0", SOURCE, "ko", parents=("d1",))
PAIRS = [
    {
        "question": f"{n}번째로 옹기를 굽는 마을은 어디에 있습니까?",
        "answer": f"옹기 마을은 여러 곳에 {n} 개가 있습니다.",
    }
    for n in range(8)
]


def played(said: Any, item: Item = ITEM, **options: Any) -> Played:
    task = Rewrite(setting(manifest({"kind": "rewrite", "min_words": 20, **options})))

    def say(ask: Ask) -> Any:
        style = ask.template.removeprefix("rewrite/")[:-3]
        return said.get(style, ANEW) if isinstance(said, dict) and "pairs" not in said else said

    return play(task, item, say)


def test_documents_are_parted_and_chunks_know_their_document() -> None:
    task = Rewrite(setting(manifest({"kind": "rewrite", "chunk_words": 50})))
    long = "\n\n".join([SOURCE] * 3)
    items = list(task.items([Item("a", long, "ko", source="web"), Item("b", "짧다."), Item("c", " ")]))
    assert [item.id for item in items] == ["a/0", "a/1", "a/2", "b/0", "c/0"]
    assert [item.parents for item in items] == [("a",)] * 3 + [("b",), ("c",)]
    assert [item.number for item in items] == [0, 1, 2, 3, 4]
    assert "\n\n".join(item.text for item in items[:3]) == long
    assert all(item.source == "web" for item in items[:3])
    assert play(task, items[4], lambda ask: "?").reasons == ["rewrite:short_chunk"]


def test_styles_go_by_bucket() -> None:
    options: dict[str, Any] = {"styles": {"low": ["wikipedia"], "high": ["distill", "list", "distill"]}}
    low = Item("d", SOURCE, "ko", quality="low")
    assert [sample.variety for sample in played({}, low, **options).kept] == ["wikipedia"]
    assert [sample.variety for sample in played({}, **options).kept] == ["distill", "list"]
    other = played({}, Item("d", SOURCE, "ko", quality="medium"), **options)
    assert other.reasons == ["rewrite:no_styles"]
    assert "medium" in other.samples[0].rejection.detail and not other.asks  # type: ignore[union-attr]


def test_a_sample_is_a_text_with_what_is_known_of_it() -> None:
    (sample,) = played(ANEW, default="low").kept
    assert (sample.form, sample.text, sample.answer_text, sample.language) == ("text", ANEW, ANEW, "ko")
    assert (sample.prompt, sample.answer) == ((), ())
    assert sample.numbers["n_words"] == len(ANEW.split())
    assert sample.numbers["copied_frac"] < 0.2
    assert [ask.template for ask in sample.made_by] == ["rewrite/wikipedia_ko"]
    assert SOURCE in sample.made_by[0].request.messages[1][1]


def test_frames_are_taken_off_where_they_were_asked_for() -> None:
    framed = f"{FRAMES['ko']}\n{ANEW}"
    assert played(framed, default="low").kept[0].text == ANEW
    assert played(ANEW, default="low").kept[0].text == ANEW
    (sample,) = played(framed, styles={"high": ["distill"]}).kept
    assert sample.text == framed


def test_frames_stay_where_the_users_prompt_asks_for_none(tmp_path: Any) -> None:
    (tmp_path / "rewrite").mkdir()
    (tmp_path / "rewrite/wikipedia_ko.jinja").write_text(
        "{% block user %}다시 써라: {{ text }}{% endblock %}", "utf-8"
    )
    framed = f"{FRAMES['ko']}\n{ANEW}"
    assert played(framed, default="low", prompts=str(tmp_path)).kept[0].text == framed


@pytest.mark.parametrize(
    ("style", "said", "reason"),
    [
        ("wikipedia", SOURCE, "copied"),
        ("wikipedia", SOURCE.replace("아주 작은", "미세한"), "copied"),
        ("wikipedia", "옹기는 그릇이다.", "short"),
        ("wikipedia", FRAMES["ko"], "short"),
        ("wikipedia", Answer(ANEW, "length"), "cut"),
        ("distill", ANEW.replace("3곳", "7곳"), "new_number"),
        ("extract", ANEW + " 1592년부터 그랬다.", "new_number"),
        ("list", ANEW + " 값은 5만 원이다.", "new_number"),
        ("list", " ", "empty"),
    ],
)
def test_what_is_rejected(style: str, said: Any, reason: str) -> None:
    found = played(said, styles={"high": [style]})
    assert found.reasons == [f"rewrite:{reason}"]
    (sample,) = found.samples
    assert (sample.form, sample.variety) == ("text", style)
    if reason == "new_number":
        assert sample.rejection is not None and sample.rejection.detail in ("7", "1592", "5만")


def test_only_texts_that_shorten_are_held_to_the_numbers_of_their_source() -> None:
    assert played(ANEW + " 1592년부터 그랬다.", default="low").reasons == []


def test_shortened_texts_may_copy_sentences() -> None:
    assert played(SOURCE, styles={"high": ["distill"]}).reasons == []
    numbered = "\n".join(f"{n}. {line}." for n, line in enumerate(ANEW.split(". "), 1))
    assert played(numbered, styles={"high": ["list"]}).reasons == []


def test_questions_and_answers_stand_behind_the_chunk() -> None:
    (sample,) = played({"pairs": PAIRS[:3]}, styles={"high": ["diverse_qa"]}).kept
    chunk, *pairs = sample.text.split("\n\n")
    assert chunk == SOURCE
    assert pairs == [f"질문: {pair['question']}\n답: {pair['answer']}" for pair in PAIRS[:3]]
    assert sample.numbers["n_pairs"] == 3
    (english,) = played({"pairs": PAIRS}, styles={"high": ["diverse_qa"]}, language="en").kept
    assert english.text.count("Question: ") == english.text.count("\nAnswer: ") == 8


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "schema"),
        ([PAIRS[0]] * 2, "repeated"),
        ([*PAIRS, {"question": "하나 더?", "answer": "예"}], "schema"),
        ([{"question": "옹기는?"}], "schema"),
        ([{"question": "옹기는?", "answer": "  "}], "empty"),
        ([{"question": "옹기는 무엇입니까?", "answer": "그릇입니다."}], "short"),
        ("질문: 옹기는?\n답: 그릇", "not_json"),
    ],
)
def test_bad_pairs_are_rejected(pairs: Any, reason: str) -> None:
    said = pairs if isinstance(pairs, str) else {"pairs": pairs}
    found = played(said, styles={"high": ["diverse_qa"]})
    assert found.reasons == [f"rewrite:{reason}"]
    assert len(found.asks) == (1 if reason == "short" else 3)
    assert len(PAIRS) == MAX_PAIRS


def test_all_styles_have_prompts_in_both_languages() -> None:
    styles = ["wikipedia", "diverse_qa", "distill", "extract", "list"]
    for language in ("ko", "en"):
        found = played({"diverse_qa": {"pairs": PAIRS}}, styles={"high": styles}, language=language)
        assert [sample.variety for sample in found.kept] == ["wikipedia", "distill", "extract", "list", "diverse_qa"]
        systems = [ask.request.messages[0][1] for ask in found.asks]
        assert all(any("가" <= char <= "힣" for char in system) == (language == "ko") for system in systems)
        assert (FRAMES[language] in systems[0]) and not any(FRAMES[language] in system for system in systems[1:])
