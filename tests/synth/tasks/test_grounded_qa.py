"""Grounded answers pass both gates, and what does not is kept with its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from synth.samples import Ask, Item
from synth.tasks import grounded_qa
from synth.tasks.grounded_qa import FLAWS, GroundedQa
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, setting

DOCUMENT = "옹기는 흙으로 빚어 구운 그릇이다. 숨을 쉬어 장을 익히기에 좋다.\n\n1,200도에서 굽는다."
ITEM = Item("d1", DOCUMENT, "ko")
QUESTIONS = ["옹기는 몇 도에서 굽나요?", "옹기가 장을 익히기에 좋은 까닭은 무엇인가요?"]
REFINED, FLAWED = "1,200도에서 굽습니다.", "800도에서 굽습니다."
SAID: dict[str, Any] = {
    "questions": {"questions": QUESTIONS},
    "unanswerable": {"questions": ["옹기는 언제 처음 만들었나요?"]},
    "answer": "1,200도쯤에서 굽습니다.",
    "critique": "문서는 '쯤'이라고 하지 않는다.",
    "refine": REFINED,
    "flawed": FLAWED,
}
SCORES = {SAID["answer"]: 9, REFINED: 10, FLAWED: 3}


def name_of(ask: Ask) -> str:
    return ask.template.removeprefix("grounded_qa/")[:-3]


def play_it(
    say: Callable[[Ask], Any] = lambda ask: None, scores: dict[str, int] = SCORES, item: Item = ITEM, **options: Any
) -> Played:
    """Answers of SAID and scores of SCORES, but for what `say` says."""

    def answer(ask: Ask) -> Any:
        if (other := say(ask)) is not None:
            return other
        if name_of(ask) == "judge":
            shown = ask.request.messages[-1][1]
            score = next(score for text, score in scores.items() if shown.endswith(f"<<<\n{text}\n>>>"))
            return {"reason": f"{score}점짜리", "score": score}
        return SAID[name_of(ask)]

    return play(GroundedQa(setting(manifest({"kind": "grounded_qa", **options}))), item, answer)


@pytest.fixture(autouse=True)
def _all_answerable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounded_qa, "UNANSWERABLE_PERCENT", 0)


def only(name: str, answer: Any) -> Callable[[Ask], Any]:
    return lambda ask: answer if name_of(ask) == name else None


def test_a_question_becomes_a_sample_and_a_pair() -> None:
    found = play_it()
    assert found.reasons == []
    samples = [sample for sample in found.samples if sample.form == "messages"]
    pairs = [sample for sample in found.samples if sample.form == "preference"]
    assert (len(samples), len(pairs)) == (2, 2)
    for sample, question in zip(samples, QUESTIONS, strict=True):
        (user,) = sample.prompt
        assert DOCUMENT in user.content and question in user.content
        assert sample.answer_text == REFINED
        assert sample.numbers == {"first_score": 9, "second_score": 10}
        made_by = "refine critique answer questions judge judge"
        assert [name_of(ask) for ask in sample.made_by] == made_by.split()
    for pair, sample in zip(pairs, samples, strict=True):
        assert (pair.prompt, pair.answer) == (sample.prompt, sample.answer)
        assert pair.worse[0].content == FLAWED
        assert pair.variety in FLAWS
        assert pair.numbers == {"first_score": 9, "second_score": 10, "rejected_score": 3, "margin": 7}
        assert [name_of(ask) for ask in pair.made_by][-2:] == ["flawed", "judge"]


def test_what_is_written_is_shown_to_the_next() -> None:
    shown = {name_of(ask): ask.request.messages[-1][1] for ask in play_it().asks}
    assert DOCUMENT in shown["questions"]
    assert SAID["answer"] in shown["critique"]
    assert SAID["answer"] in shown["refine"] and SAID["critique"] in shown["refine"]
    assert REFINED in shown["flawed"]


def test_gates_reject_with_score_and_threshold() -> None:
    found = play_it(scores=SCORES | {SAID["answer"]: 8})
    assert found.reasons == ["first_gate:low_score"] * 2
    rejection = found.samples[0].rejection
    assert rejection is not None
    assert (rejection.value, rejection.threshold, rejection.detail) == (8, 9, "8점짜리")
    assert found.samples[0].answer_text == SAID["answer"]
    assert not {"critique", "refine", "flawed"} & {name_of(ask) for ask in found.asks}

    found = play_it(scores=SCORES | {REFINED: 9})
    assert found.reasons == ["second_gate:low_score"] * 2
    assert found.samples[0].numbers == {"first_score": 9, "second_score": 9}
    assert found.samples[0].answer_text == REFINED
    assert len(play_it(scores=SCORES | {REFINED: 9}, second_gate=9, pairs=False).kept) == 2


@pytest.mark.parametrize("stage", ["answer", "critique", "refine"])
def test_what_cannot_be_written_is_lost_by_its_name(stage: str) -> None:
    found = play_it(only(stage, Answer("1,200도", "length")))
    assert found.reasons == [f"{stage}:cut"] * 2
    assert sum(name_of(ask) == stage for ask in found.asks) == 2 * 3


def test_no_score_passes_no_gate() -> None:
    assert play_it(only("judge", "10점")).reasons == ["first_gate:not_json"] * 2


@pytest.mark.parametrize(
    ("questions", "reasons", "n_kept"),
    [
        ({"questions": [QUESTIONS[0], " 옹기는  몇 도에서 굽나요?"]}, ["questions:repeated"], 1),
        ({"questions": [QUESTIONS[0]]}, [], 1),
        ({"questions": []}, ["questions:schema"], 0),
        ({"questions": [*QUESTIONS, "또 무엇이 있나요?"]}, ["questions:schema"], 0),
        ({"questions": ["      "]}, ["questions:empty"], 0),
        ("옹기란 무엇인가요?", ["questions:not_json"], 0),
    ],
)
def test_questions_are_checked(questions: Any, reasons: list[str], n_kept: int) -> None:
    found = play_it(only("questions", questions), pairs=False)
    assert (found.reasons, len(found.kept)) == (reasons, n_kept)


@pytest.mark.parametrize(
    ("flawed", "score", "reason"),
    [(REFINED + " ", 10, "same"), ("1,200 도에서 굽습니다", 3, "same"), (FLAWED, 8, "no_margin")],
)
def test_a_bad_answer_that_is_not_worse_makes_no_pair(flawed: str, score: int, reason: str) -> None:
    found = play_it(only("flawed", flawed), SCORES | {flawed.strip(): score})
    assert len(found.kept) == 2
    assert all(sample.form == "messages" for sample in found.kept)
    assert found.reasons == [f"pair:{reason}"] * 2
    assert all(sample.form == "preference" and sample.worse for sample in found.samples if sample.rejection)


def test_a_bad_answer_that_was_cut_makes_no_pair() -> None:
    found = play_it(only("flawed", Answer(FLAWED, "length")))
    assert found.reasons == ["pair:cut"] * 2
    assert [sample.form for sample in found.samples] == ["messages"] * 2 + ["preference"] * 2


def test_some_questions_have_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounded_qa, "UNANSWERABLE_PERCENT", 100)
    found = play_it(per_document=1)
    assert [sample.variety for sample in found.kept] == ["unanswerable", "unsupported"]
    judged = [ask.request.messages[0][1] for ask in found.asks if name_of(ask) == "judge"]
    assert all("답이 없도록" in rubric for rubric in judged)
    monkeypatch.setattr(grounded_qa, "UNANSWERABLE_PERCENT", 0)
    assert not any("답이 없도록" in ask.request.messages[0][1] for ask in play_it().asks if name_of(ask) == "judge")


def test_the_share_of_those_is_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounded_qa, "UNANSWERABLE_PERCENT", 15)
    counts = []
    for n in range(300):
        found = play_it(only("questions", "?"), item=Item(f"d{n}", DOCUMENT, "ko"), attempts=1, pairs=False)
        counts.append(sum(name_of(ask) == "unanswerable" for ask in found.asks))
    assert 0.2 < sum(counts) / 300 < 0.36  # 1 - .85 ** 2 = .28 of the documents have one


def test_chance_is_repeated_and_varies() -> None:
    items = [Item(f"d{n}", DOCUMENT, "ko") for n in range(60)]
    first, second = ([sample for item in items for sample in play_it(item=item).samples] for _ in range(2))
    assert first == second
    assert {sample.variety for sample in first if sample.form == "preference"} == set(FLAWS)
    layouts = {sample.prompt[0].content.replace(question, "?") for sample in first for question in QUESTIONS[:1]}
    assert len({layout for layout in layouts if "?" in layout}) >= grounded_qa.N_LAYOUTS


def test_long_documents_are_cut_where_they_pause() -> None:
    found = play_it(item=Item("d", "긴 글이다. " * 100 + "끝까지 간다.", "ko"), max_chars=200)
    asked = found.asks[0].request.messages[-1][1]
    assert "끝까지" not in asked and "긴 글이다.\n>>>" in asked


def test_english_documents_get_english_prompts() -> None:
    found = play_it(item=Item("d", "Onggi is fired at 1,200 degrees.", "en"))
    assert all(ask.template.endswith("_en") for ask in found.asks)
    assert all(not any("가" <= char <= "힣" for char in ask.request.messages[0][1]) for ask in found.asks)
