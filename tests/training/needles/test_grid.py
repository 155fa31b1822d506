"""The grid: what is there is found at every length and depth, what is not seen is not, and nothing else counts."""

import re
from itertools import product
from math import isnan
from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.schema_evaluation import Needle
from tests.training import tiny
from tests.training.needles.copier import save_copier
from tests.training.needles.engines import TOKEN, Counting, Greedy, last_tokens
from tests.training.needles.retriever import retrieved
from training.evaluating.chat_models import NO_TEMPLATE
from training.measuring.uncertainty import wilson
from training.needles.grid import plan_of, run_needle
from training.needles.haystack import Haystack, Language, read_haystack
from training.needles.needle import FORMS
from training.needles.prompts import TOLERANCE

GRID = Needle(lengths=[256, 1024, 4096], depths=[0.0, 0.25, 0.5, 0.75, 1.0], n=2)


@pytest.mark.parametrize("chat", [False, True])
def test_a_retriever_finds_all_at_every_length_and_depth(chat: bool) -> None:
    engine = Counting(retrieved)
    told = list[tuple[int, int]]()
    result, items = run_needle(engine, GRID, chat, ".", 0, lambda done, total: told.append((done, total)))
    assert {(cell.language, cell.length, cell.depth) for cell in result.cells} == set(
        product(("ko", "en"), GRID.lengths, GRID.depths)
    )
    assert {(cell.score, cell.n) for cell in result.cells} == {(1.0, 2)}
    assert result.score is not None and (result.main, result.score.value, result.score.n) == ("found", 1.0, 60)
    assert (result.score.low, result.score.high) == wilson(60, 60)
    assert set(result.groups) == {
        "ko",
        "en",
        *(f"{name} {length}" for name in ("ko", "en") for length in GRID.lengths),
    }
    assert result.groups["ko 1024"].n == 10
    assert result.units == [1.0] * 60 and len(items) == 60
    assert told == [(k, 60) for k in range(1, 61)]
    assert engine.stops == {()}
    assert all(prompt.endswith("<|assistant|>\n") for prompt in engine.asked) == chat
    assert not result.notes and not result.why


def test_a_model_without_a_template_says_why() -> None:
    engine = Counting(retrieved)
    engine.tokenizer.chat_template = None
    for needle, chat in ((GRID, True), (GRID.model_copy(update={"chat": True}), False)):
        result, items = run_needle(engine, needle, chat, ".", 0)
        assert (result.name, result.kind, result.why) == ("needle", "needle", NO_TEMPLATE)
        assert not result.scores and not items and not engine.asked
    result, _ = run_needle(engine, GRID.model_copy(update={"chat": False}), True, ".", 0)
    assert result.score is not None and result.score.value == 1


@pytest.mark.parametrize("n_seen", [150, 700, 3000])
def test_who_sees_the_last_tokens_alone_finds_what_lies_there(n_seen: int) -> None:
    engine = Counting(lambda prompt: retrieved(last_tokens(prompt, n_seen)))
    result, items = run_needle(engine, GRID, False, ".", 1)
    expected = list[float]()
    for asked, prompt in zip(plan_of(GRID, _haystacks(), 1), engine.asked, strict=True):
        place = prompt.index(asked.hidden.sentence)
        expected.append(float(len(TOKEN.findall(prompt[place:])) <= n_seen))
    assert [item.score for item in items] == expected == result.units
    by_cell = {(cell.language, cell.length, cell.depth): cell.score for cell in result.cells}
    for (language, length, depth), score in by_cell.items():
        n_behind = (1 - depth) * length
        if abs(n_behind - n_seen) > 200:  # what stands around the text, and the sentence that the needle stands after
            assert score == float(n_behind < n_seen), (language, length, depth)
    assert result.score is not None and 0 < result.score.value < 1


def _haystacks() -> dict[Language, Haystack]:
    return {"ko": read_haystack("ko", None, "."), "en": read_haystack("en", None, ".")}


def test_prompts_have_their_length_and_depth_and_no_needle_comes_twice() -> None:
    engine = Counting(retrieved)
    _, items = run_needle(engine, GRID, False, ".", 0)
    plan = plan_of(GRID, _haystacks(), 0)
    for asked, prompt, item in zip(plan, engine.asked, items, strict=True):
        assert asked.length - TOLERANCE <= engine.n_tokens(prompt) <= asked.length
        task, text, rest = prompt.split("\n\n")
        assert text.count(asked.hidden.sentence) == 1 and asked.hidden.code not in rest + task
        n_before = engine.n_tokens(text[: text.index(asked.hidden.sentence)])
        n_text = engine.n_tokens(text.replace(asked.hidden.sentence, ""))
        longest = max(engine.n_tokens(one) for one in re.split(r"(?<=[.!?…])\s", text))
        assert abs(n_before - asked.depth * n_text) <= longest / 2 + 2
        assert item.id == f"{asked.language} {asked.length} {asked.depth:g} {asked.number}"
        assert asked.hidden.sentence in item.prompt and item.prompt.endswith(prompt[-200:])
    assert len({asked.hidden.name for asked in plan}) == len({asked.hidden.code for asked in plan}) == len(plan)
    assert len({(asked.language, asked.start) for asked in plan}) == len(plan)
    assert len(set(engine.asked)) == len(plan)


def test_the_seed_alone_decides_and_cells_do_not_depend_on_each_other() -> None:
    def asked(needle: Needle, seed: int) -> list[str]:
        engine = Counting(lambda prompt: "")
        run_needle(engine, needle, False, ".", seed)
        return engine.asked

    grid = Needle(lengths=[256, 1024], n=2)
    whole = asked(grid, 3)
    assert asked(grid, 3) == whole
    assert not set(asked(grid, 4)) & set(whole)
    part = asked(Needle(lengths=[1024], depths=[0.75, 0.25], n=1, languages=["en"]), 3)
    assert len(part) == 2 and set(part) <= set(whole)


def test_many_needles_are_asked_for_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    needle, whole = Needle(lengths=[256, 512], n=3), Counting(retrieved, window=512)
    expected = run_needle(whole, needle, False, ".", 0)
    monkeypatch.setattr("training.needles.grid.N_AT_ONCE", 4)
    parts, told = Counting(retrieved, window=512), list[int]()
    assert run_needle(parts, needle, False, ".", 0, lambda done, _: told.append(done)) == expected
    assert parts.asked == whole.asked and told == list(range(1, 61))
    assert len(expected[0].notes) == 1


def test_what_is_beyond_the_model_has_no_score() -> None:
    engine = Counting(retrieved, window=1024)
    result, items = run_needle(engine, GRID, False, ".", 0)
    beyond = [cell for cell in result.cells if cell.length == 4096]
    assert len(beyond) == 10 and all(isnan(cell.score) and cell.n == 0 for cell in beyond)
    assert all(cell.score == 1 for cell in result.cells if cell.length < 4096)
    assert len(items) == len(result.units) == 40 and "ko 4096" not in result.groups
    assert result.notes == [
        "prompts of 1,024 tokens have 992, so that the answer has room in the window",
        "4,096 tokens were not measured: the model's window has 1,024",
    ]
    result, items = run_needle(Counting(retrieved, window=200), GRID, False, ".", 0)
    assert not items and not result.scores and result.score is None and not result.notes
    assert result.why.startswith("256 tokens were not measured: the model's window has 200; 1,024 tokens")


def test_a_length_that_holds_no_text_has_no_score() -> None:
    engine = Counting(retrieved, count=len)  # tokens are characters
    result, _ = run_needle(engine, Needle(lengths=[100, 800], depths=[0.5], n=1), False, ".", 0)
    assert [isnan(cell.score) for cell in result.cells] == [True, True, False, False]
    assert re.fullmatch(
        r"ko: 100 tokens were not measured: instruction, needle and question alone have \d+ tokens", result.notes[0]
    )


def test_wrong_and_missing_answers_score_0_and_are_counted() -> None:
    def answer(prompt: str) -> str:
        code = retrieved(prompt)
        return f"{code}9" if code.isdecimal() else ""

    result, items = run_needle(Counting(answer), GRID, False, ".", 0)
    assert result.score is not None and result.score.value == 0 and result.score.high is not None
    assert result.score.low == 0 < result.score.high < 0.07
    assert {item.score for item in items} == {0.0}


def test_the_grid_says_whether_it_is_asked_in_a_chat() -> None:
    engine = Counting(retrieved)
    needle = Needle(lengths=[256], depths=[0.5], n=1, chat=False)
    result, _ = run_needle(engine, needle, True, ".", 0)
    assert result.settings["chat"] == "no" and "<|" not in engine.asked[0]


def test_text_of_the_user(tmp_path: Path) -> None:
    rows = [
        {"text": f"항아리 {n}번은 볕이 드는 장독대에 있습니다. 그 옆에는 다른 항아리가 있습니다."} for n in range(40)
    ]
    tiny.write_jsonl(tmp_path / "text.jsonl", rows)
    engine = Counting(retrieved)
    needle = Needle(lengths=[512], depths=[0.5], n=3, languages=["ko"], haystack={"ko": "text.jsonl"})
    result, _ = run_needle(engine, needle, False, str(tmp_path), 0)
    assert result.score is not None and result.score.value == 1
    assert all("장독대에 있습니다." in prompt for prompt in engine.asked)
    assert result.settings["text"] == "ko: text.jsonl, 41 sentences"
    with pytest.raises(RequestError, match=r"needle\.haystack\.ko: .*none\.jsonl: there is no such file"):
        run_needle(engine, needle.model_copy(update={"haystack": {"ko": "none.jsonl"}}), False, str(tmp_path), 0)


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    haystacks = _haystacks()
    forms = [form.sentence for name in FORMS for form in FORMS[name]]
    texts = [one for haystack in haystacks.values() for one in haystack.sentences[::4]]
    return save_copier(tmp_path_factory.mktemp("copier"), [*texts, *forms], 4096)


def test_a_model_that_copies_finds_all_and_a_random_one_nothing(copier: Path, tiny_model: Path) -> None:
    needle = Needle(lengths=[256], depths=[0.0, 0.5, 1.0], n=1)
    result, items = run_needle(Greedy(str(copier)), needle, False, ".", 0)
    assert {cell.score for cell in result.cells} == {1.0}, [(item.expected, item.answer) for item in items]
    random, _ = run_needle(Greedy(str(tiny_model)), needle.model_copy(update={"lengths": [448]}), False, ".", 0)
    assert random.score is not None and random.score.value == 0 and len(random.units) == 6


@pytest.mark.slow
def test_a_model_that_copies_finds_all_up_to_its_window(copier: Path) -> None:
    needle = Needle(lengths=[512, 2048, 4096], depths=[0.0, 0.4, 1.0], n=1)
    result, items = run_needle(Greedy(str(copier)), needle, False, ".", 1)
    assert {cell.score for cell in result.cells} == {1.0}, [
        (i.id, i.expected, i.answer) for i in items if not i.score
    ]
