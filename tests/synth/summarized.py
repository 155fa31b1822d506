"""A run with samples of every kind, for tests of its summary, report and card."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth.drafts import Drafts
from synth.samples import Item, Message, Rejection, Sample
from synth.summary import summarize
from synth.summary_models import SynthesisSummary
from synth.tables import equal_samples, write_tables
from synth.tasks.task import draw
from synth.teacher import Usage
from tests.synth.drafted import ask, chat, document, drafts_of, item, pair, with_tools
from tests.synth.scripted import manifest
from tests.synth.test_drafts import Passed

GATES = ["language", "length", "near", "duplicate"]
HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(2)> \u202e{{ 7 * 7 }} \x07"


def synthesis(**fields: Any) -> SynthesisManifest:
    teacher = {
        "model": "a<b>&teacher",
        "revision": "r1",
        "url": "http://127.0.0.1:1/v1",
        "price_input": 1,
        "price_output": 2,
    }
    return manifest({"kind": "reasoning"}, teacher=teacher, gates=["language", "length", "near"], **fields)


def question(number: int, count: int) -> Iterator[Sample]:
    """A question with several traces, some of them right."""
    language = "ko" if number % 3 else "en"
    n_right = draw("right", number) % (count + 1)
    frac = n_right / count
    seed = Item(
        f"{number:032x}", f"문제 {number}", language, f"seeds-{number % 3}.jsonl", "CC-BY-4.0" if number % 2 else None
    )
    for place in range(count):
        length = 40 + draw("length", number, place) % 900
        words = "따라서 다음과 같이 계산합니다. " if language == "ko" else "Therefore we compute as follows. "
        rejection = (
            None if place < n_right else Rejection("verify", "wrong" if place % 2 else "form", detail="4: 답은 3")
        )
        yield Sample(
            seed,
            "messages",
            language,
            prompt=(Message("user", f"철수는 사과 {number}개를 가지고 있습니다. 모두 몇 개입니까?"),),
            answer=(Message("assistant", (words * 40)[:length] + f" 정답은 {place}입니다."),),
            variety="math",
            made_by=(ask(f"{number}"), ask(f"judge {number}", "judge")),
            numbers={"pass_frac": frac, "n_samples": float(count)},
            tags={"difficulty": "hard" if frac < 0.34 else "medium" if frac < 0.8 else "easy"},
            is_translated=number % 10 == 0,
            rejection=rejection,
        )


def samples_of(n_questions: int) -> list[Sample]:
    """Samples of every form and fate, hostile ones among them."""
    hostile = chat(
        90_001, HOSTILE, item=item(1, answer=HOSTILE), prompt=(Message("user", HOSTILE),), tags={"found": HOSTILE}
    )
    refused = replace(hostile, rejection=Rejection("reasoning", "not_json", 3.0, 4.0, HOSTILE), tags={})
    some = [sample for number in range(n_questions) for sample in question(number, 4)]
    others = [
        with_tools(7),
        pair(8),
        pair(9),
        document(10),
        document(11, tags={"reason": "좋다"}),
        chat(12),
        chat(12),
    ]
    return [*some, *others, hostile, refused]


def drafts_at(path: Path, n_questions: int) -> Drafts:
    """With gates passed."""
    drafts = drafts_of(path, *samples_of(n_questions))

    def verdicts(name: str, reason: str, share: int) -> Iterator[Passed | Rejection]:
        for batch in drafts:
            for sample in batch:
                is_out = draw(name, sample.item.id, sample.answer_text) % 100 < share
                value = len(sample.answer_text) / 1000
                yield Rejection(name, reason, value, 0.5, "이 문장 때문입니다.") if is_out else Passed(value)

    drafts.settle("language", verdicts("language", "foreign", 6))
    drafts.settle("length", verdicts("length", "too_long", 0), 32_000)
    drafts.settle("near", verdicts("near", "seed", 12), 0.8)
    drafts.settle("duplicate", equal_samples(drafts, "reasoning"))
    return drafts


def summary_at(path: Path, n_questions: int = 30) -> tuple[SynthesisSummary, SynthesisManifest]:
    """Of a run whose tables are written there."""
    drafts, found = drafts_at(path, n_questions), synthesis(license="CC-BY-SA-4.0")
    written = write_tables(Folder(str(path)), drafts, found)
    usage = {"teacher": Usage(300, 20, 270, 10, 5, 90_000, 200_000), "judge": Usage(40, 40)}
    summary = summarize(
        drafts.all(),
        found,
        gates=GATES,
        n_seeds=50,
        n_items=45,
        usage=usage,
        written=written,  # type: ignore[arg-type]
    )
    return summary, found
