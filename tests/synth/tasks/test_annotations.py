"""Labels of documents as a task: the same requests as the classifier's loop, and what becomes of answers."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.errors import RequestError
from synth.annotations.annotate import Document, prompt
from synth.samples import Ask, Item
from synth.tasks.annotations import Annotations
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, Say, manifest, play, setting

KOREAN = Item("d1", "광합성은 빛으로 양분을 만드는 과정이다. " * 100, "ko")
ENGLISH = Item("d2", "Photosynthesis makes food of light.", "en")
GOOD = {"reason": "개념을 설명한다.", "score": 3}


def played(item: Item, say: Say, **task: Any) -> Played:
    return play(Annotations(setting(manifest({"kind": "annotations", **task}))), item, say)


@pytest.mark.parametrize("item", [KOREAN, ENGLISH])
def test_a_text_gets_its_label(item: Item) -> None:
    found = played(item, lambda ask: GOOD)
    (kept,) = found.kept
    assert (kept.form, kept.text, kept.language) == ("text", item.text[:1200], item.language)
    assert (kept.numbers, kept.tags) == ({"score": 3.0}, {"reason": "개념을 설명한다."})
    assert kept.made_by[0].template == f"edu_{item.language}"


@pytest.mark.parametrize("item", [KOREAN, ENGLISH])
def test_requests_are_those_of_the_classifiers_loop(item: Item) -> None:
    found = played(item, lambda ask: "no JSON", attempts=3)
    sampling = manifest({"kind": "annotations"}).teacher.sampling
    document = Document("any", item.text, item.language)
    assert [ask.request for ask in found.asks] == [prompt(document, 1200, sampling, attempt) for attempt in range(3)]
    assert found.reasons == ["label:unparsable"]


def test_one_that_was_cut_off_gets_twice_the_room() -> None:
    found = played(ENGLISH, lambda ask: GOOD if _room(ask) > 512 else Answer("{", "length"))
    assert (len(found.kept), [_room(ask) for ask in found.asks]) == (1, [512, 1024])
    assert played(ENGLISH, lambda ask: Answer("{", "length"), attempts=1).reasons == ["label:cut"]


def test_refusals_are_final() -> None:
    found = played(ENGLISH, lambda ask: Answer("", "stop", refusal="no"))
    assert (found.reasons, len(found.asks)) == (["label:refused"], 1)


def test_the_rubric_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"task\.prompts"):
        played(ENGLISH, lambda ask: GOOD, prompts=str(tmp_path))


def _room(ask: Ask) -> int:
    return int(orjson.loads(ask.request.sampling)["max_tokens"])
