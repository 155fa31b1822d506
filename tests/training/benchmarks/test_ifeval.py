"""IFEval: scores, verdicts of each kind by hand, rows that are wrong, and text in any form."""

from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from training.benchmarks.ifeval import TASKS, aggregate, loose_forms, mark_row
from training.benchmarks.ifeval_kinds import ENGLISH, KINDS, KOREAN, KOREAN_KINDS, language_of
from training.benchmarks.task import Marked


def row(*asked: tuple[str, dict[str, Any]], key: int = 7) -> dict[str, Any]:
    names = {name for kind in KOREAN_KINDS.values() for name in kind.needs}
    return {
        "key": key,
        "prompt": "Write.",
        "instruction_id_list": [name for name, _ in asked],
        "kwargs": [dict.fromkeys(names) | arguments for _, arguments in asked],  # parquet has null for the others
    }


def english(doc: dict[str, Any], answer: str) -> Marked:
    return mark_row(doc, answer, ENGLISH, KINDS)


def korean(name: str, arguments: dict[str, Any], answer: str) -> float:
    return mark_row(row((name, arguments)), answer, KOREAN, KOREAN_KINDS).scores["prompt_strict"]


NO_COMMA = ("punctuation:no_comma", {})
TITLE = ("detectable_format:title", {})
CAT = ("keywords:existence", {"keywords": ["cat"]})


def test_scores_of_a_row() -> None:
    found = english(row(NO_COMMA, TITLE, CAT), "A cat, no title.")
    assert found.scores == pytest.approx(
        {"ifeval": 1 / 6, "prompt_strict": 0, "inst_strict": 1 / 3, "prompt_loose": 0, "inst_loose": 1 / 3}
    )
    assert found.note == "not followed: punctuation:no_comma, detectable_format:title"


def test_all_rows_together_count_instructions() -> None:
    docs = [row(NO_COMMA, TITLE, CAT), row(CAT), row(NO_COMMA, CAT)]
    marked = [english(doc, said) for doc, said in zip(docs, ["A cat, here.", "A cat.", "No, none."], strict=True)]
    found = aggregate(docs, [one.scores for one in marked])
    assert found == pytest.approx(
        {
            "prompt_strict": 1 / 3,
            "inst_strict": 2 / 6,
            "prompt_loose": 1 / 3,
            "inst_loose": 2 / 6,
            "ifeval": (1 / 3 + 2 / 6) / 2,
        }
    )


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("startend:quotation", {}, 'Sure:\n"All of it."'),
        ("startend:end_checker", {"end_phrase": "The end."}, "So it goes.\nThe end.\nIs there more?"),
        ("startend:end_checker", {"end_phrase": "The end."}, "So it goes. **The end.**"),
        ("punctuation:no_comma", {}, "Of course, here it is:\nNone here."),
        ("detectable_format:json_format", {}, 'Here it is:\n{"a": 1}\nAnything else?'),
    ],
)
def test_loose_forgives_what_is_around(name: str, arguments: dict[str, Any], answer: str) -> None:
    scores = english(row((name, arguments)), answer).scores
    assert (scores["prompt_strict"], scores["prompt_loose"]) == (0, 1)


def test_loose_forms_are_eight() -> None:
    assert loose_forms("*a*\nb\nc") == ["*a*\nb\nc", "b\nc", "*a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b"]


def test_an_empty_answer_follows_nothing() -> None:
    for said in ("", " \n", "\u200b\n".strip("\u200b")):
        assert english(row(NO_COMMA), said).scores["inst_loose"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "follows"),
    [
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "One. Two.", 1),
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "One. Two.", 0),
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Mr. X is one.", 1),
        ("language:response_language", {"language": "es"}, "Hola, esto es una prueba en español.", 1),
        ("language:response_language", {"language": "es"}, "This is a test, and it is in English.", 0),
        ("language:response_language", {"language": "ko"}, "이것은 한국어로 쓴 글입니다.", 1),
        ("language:response_language", {"language": "hi"}, "यह एक परीक्षण है और यह हिंदी में है।", 1),
        ("language:response_language", {"language": "mr"}, "हे एक चाचणी आहे आणि ते मराठीत आहे, तुम्ही कसे आहात?", 1),
        ("language:response_language", {"language": "zh-cn"}, "这是一个中文的测试，今天天气很好。", 1),
        (
            "language:response_language",
            {"language": "de"},
            '{"antwort": "Das ist ein deutscher Satz, und er ist gut."}',
            1,
        ),
        ("language:response_language", {"language": "ko"}, "123", 1),  # without letters, as in lm-eval
        ("change_case:english_capital", {}, "THIS ANSWER IS WRITTEN IN ENGLISH AND IN CAPITALS.", 1),
        ("change_case:english_capital", {}, "This answer is written in English.", 0),
        ("change_case:english_capital", {}, "ESTA RESPUESTA ESTÁ ESCRITA EN ESPAÑOL, COMO SE VE.", 0),
        ("change_case:english_lowercase", {}, "this answer is written in english and in small letters.", 1),
        ("change_case:english_lowercase", {}, "this answer is Written in english.", 0),
        ("keywords:existence", {"keywords": ["C++"]}, "I like c++.", 1),  # no pattern
        ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "## a", 1),
        (
            "keywords:frequency",
            {"keyword": "cat", "frequency": 0, "relation": "at least"},
            "none",
            1,
        ),  # 0 is a number
    ],
)
def test_kinds_without_an_oracle(name: str, arguments: dict[str, Any], answer: str, follows: int) -> None:
    assert english(row((name, arguments)), answer).scores["prompt_strict"] == follows


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "follows"),
    [
        ("keywords:existence", {"keywords": ["사과", "배"]}, "사과를 배와 먹었다.", 1),
        ("keywords:frequency", {"keyword": "사과", "frequency": 2, "relation": "at least"}, "사과는 사과다", 1),
        ("keywords:forbidden_words", {"forbidden_words": ["사과"]}, "나는 사과를 먹었다.", 0),
        ("keywords:forbidden_words", {"forbidden_words": ["예"]}, "예정대로 했다.", 1),
        ("keywords:letter_frequency", {"letter": "ㄱ", "let_frequency": 2, "let_relation": "less than"}, "국", 0),
        ("language:response_language", {"language": "ko"}, "이것은 AI 모델이 한국어로 쓴 글입니다.", 1),
        ("language:response_language", {"language": "ko"}, "This is an answer in English.", 0),
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "갔다.왔다.", 1),
        ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "* 나는 간다.", 1),
        ("length_constraints:number_letters", {"num_letters": 5, "relation": "at most"}, "가 나 다", 1),
        ("length_constraints:number_letter_excluded", {"num_letters": 4, "relation": "less than"}, "가 나 다", 1),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "기업"},
            "오늘 이야기.\n\n기업은 바쁘다.",
            1,
        ),
        ("detectable_format:constrained_response", {}, "제 답변은 아니요입니다.", 1),
        ("detectable_format:constrained_response", {}, "내 대답은 예입니다.", 1),
        ("detectable_format:constrained_response", {}, "예.", 0),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "섹션", "num_sections": 2},
            "섹션 1\n가\n섹션2\n나",
            1,
        ),
        ("detectable_format:title", {}, "<<봄의 노래>>\n봄이 왔다.", 1),
        ("detectable_content:postscript", {"postscript_marker": "추신"}, "안녕.\n추신: 또 봐", 1),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[이름] 님, [주소]로 갑니다.", 1),
        ("startend:quotation", {}, "“전부 따옴표 안입니다.”", 1),
        ("startend:end_checker", {"end_phrase": "다른 질문이 있나요?"}, "끝. 다른 질문이 있나요?", 1),
        ("combination:repeat_prompt", {"prompt_to_repeat": "시를 써라."}, "시를 써라.\n\n봄이 왔다.", 1),
        ("punctuation:no_comma", {}, "하나、 둘", 0),
        ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "exactly"}, "AI 시대", 1),
    ],
)
def test_kinds_in_korean_in_every_normal_form(
    name: str, arguments: dict[str, Any], answer: str, follows: int
) -> None:
    assert korean(name, arguments, answer) == follows
    apart = {key: _nfd(value) for key, value in arguments.items()}
    assert korean(name, apart, answer) == korean(name, arguments, _nfd(answer)) == follows


def _nfd(value: Any) -> Any:
    if isinstance(value, list):
        return [_nfd(part) for part in value]
    return normalize("NFD", value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("doc", "said"),
    [
        (
            row(("keywords:rhymes", {})),
            r"IFEval row 7: instruction_id_list: 'keywords:rhymes' is not known; valid: .*",
        ),
        (
            row(("keywords:existence", {})),
            r"kwargs of keywords:existence: keywords is None; valid is a list of words",
        ),
        (row(("keywords:existence", {"keywords": "cat"})), r"keywords is 'cat'; valid is a list"),
        (
            row(("length_constraints:number_words", {"num_words": 3, "relation": "around"})),
            r"relation is 'around'; valid: less than, at least",
        ),
        (row(("length_constraints:number_paragraphs", {"num_paragraphs": 1.5})), r"1\.5; valid is a whole number"),
        (row(("startend:end_checker", {"end_phrase": " "})), r"end_phrase is ' '; valid is a text"),
        (row(), r"0 instructions"),
        ({**row(NO_COMMA), "kwargs": []}, r"1 instructions and kwargs 0"),
    ],
)
def test_rows_that_are_wrong_are_named(doc: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        english(doc, "An answer.")


def test_tasks_mark_all_answers_at_once() -> None:
    for name, count in (("ifeval", 25), ("ifeval-ko", 27)):
        task = TASKS[name]
        assert task.mark is not None and task.aggregate is not None
        found = task.mark([row(NO_COMMA), row(TITLE)], ["a", "b"])
        assert [one.scores[task.main] for one in found] == [1, 0]
        assert task.aggregate([row(NO_COMMA), row(TITLE)], [one.scores for one in found])[task.main] == 0.5
        assert len(KINDS if name == "ifeval" else KOREAN_KINDS) == count


EVERY: list[tuple[str, dict[str, Any]]] = []
for _name, _kind in KOREAN_KINDS.items():
    _given: dict[str, Any] = {}
    for _part in _kind.needs:
        if _part.endswith("relation"):
            _given[_part] = "at least"
        elif _part.startswith(("num_", "nth_")) or _part.endswith("frequency"):
            _given[_part] = 2
        else:
            _given[_part] = ["사과", "예"] if _part in ("keywords", "forbidden_words") else "가"
    EVERY.append((_name, _given))
EVERYTHING = row(*EVERY)
TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=120),  # half characters, too
    st.text("가각예사과ㄱㅏㅋ다요.!?…\n *-[]<>{}\"'“”1A a\u1100\u1161\u11a8\u0301\u200d😊、", max_size=120),
)


@given(TEXTS)
@settings(max_examples=150)
def test_any_text_has_verdicts_that_normal_forms_do_not_change(text: str) -> None:
    found = mark_row(EVERYTHING, text, KOREAN, KOREAN_KINDS)
    assert set(found.scores) == {"ifeval", "prompt_strict", "inst_strict", "prompt_loose", "inst_loose"}
    assert found.scores["inst_loose"] >= found.scores["inst_strict"]
    for form in ("NFC", "NFD"):
        again = mark_row(EVERYTHING, normalize(form, text), KOREAN, KOREAN_KINDS)
        assert (again.scores, again.note) == (found.scores, found.note)
    english(row(*[(name, given) for name, given in EVERY if name in KINDS]), text)


def test_deep_json_is_no_crash() -> None:
    assert english(row(("detectable_format:json_format", {})), "[" * 100_000).scores["prompt_strict"] == 0


def test_long_answers_take_no_time() -> None:
    for text in ("\n" * 5_000, " " * 5_000, "*" * 5_000, "<<" * 2_500, "[" * 5_000, "가." * 2_500, "1. " * 2_000):
        mark_row(EVERYTHING, text, KOREAN, KOREAN_KINDS)


def test_languages() -> None:
    assert language_of("") == language_of("123 !?") == "und"
    assert language_of("이것은 한국어입니다.") == "ko"
