"""Samples for tests of what becomes of them: some by hand, and any by hypothesis."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from manifests.schema_teacher import Sampling
from manifests.store import Folder
from synth.drafts import Drafts, DraftWriter
from synth.samples import Ask, Call, Item, Message, Rejection, Sample
from synth.teacher import request_of

ARGUMENTS = '{"city": "서울", "days": 3, "exact": 12345678901234567890123}'
TOOL = (
    '{"type": "function", "function": {"name": "forecast", "description": "날씨를 알려 준다.", "parameters": '
    '{"type": "object", "properties": {"city": {"type": "string", "description": "도시"}, "days": {"type": '
    '"integer", "description": "날수"}}, "required": ["city"]}}}'
)


def item(number: int = 0, **fields: Any) -> Item:
    return Item(f"{number:032x}", f"질문 {number}", "ko", "seeds.jsonl", "CC-BY-4.0", **fields)


def ask(text: str = "질문", role: Any = "teacher", seed: int = 7) -> Ask:
    request = request_of([("user", text)], Sampling(temperature=0.5, seed=seed))
    return Ask(role, request, "reasoning/solve_ko", "0123456789abcdef")


def chat(number: int = 0, answer: str = "답은 3입니다.", **fields: Any) -> Sample:
    values: dict[str, Any] = {
        "prompt": (Message("user", f"질문 {number}"),),
        "answer": (Message("assistant", answer),),
        "made_by": (ask(f"질문 {number}"),),
    }
    return Sample(fields.pop("item", item(number)), "messages", "ko", **values | fields)


def with_tools(number: int = 0) -> Sample:
    return Sample(
        item(number),
        "messages",
        "ko",
        prompt=(Message("user", "서울 날씨 알려 줘."),),
        answer=(
            Message("assistant", "", (Call("forecast", ARGUMENTS),)),
            Message("tool", '{"sky": "맑음"}', name="forecast"),
            Message("assistant", "맑습니다."),
        ),
        tools=(TOOL,),
        variety="completion",
        made_by=(ask("날씨"), ask("검사", "judge")),
    )


def pair(number: int = 0) -> Sample:
    return Sample(
        item(number),
        "preference",
        "ko",
        prompt=(Message("system", "친절하게 답한다."), Message("user", f"질문 {number}")),
        answer=(Message("assistant", "좋은 답입니다."),),
        worse=(Message("assistant", "나쁜 답."),),
        made_by=(ask(),),
        numbers={"chosen_score": 9.0, "rejected_score": 2.0},
    )


def document(number: int = 0, **fields: Any) -> Sample:
    return Sample(item(number), "text", "ko", text=f"문서 {number}입니다.", made_by=(ask(),), **fields)


def drafts_of(path: Path, *samples: Sample) -> Drafts:
    with DraftWriter(Folder(str(path / "drafts"))) as writer:
        for sample in samples:
            writer.add(sample)
    return writer.drafts()


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["한글 ᄒ\u1161\u11ab", "👩‍👩‍👧", "é", "a\nb\r\n\u2028", '{"a": "\\\\"}', "\0"]
)
_numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53).map(float)
_optional_numbers = st.none() | _numbers
_tuples = st.lists(_texts, max_size=2).map(tuple)
_items = st.builds(
    Item,
    id=_texts,
    text=_texts,
    language=st.none() | _texts,
    source=_texts,
    license=st.none() | _texts,
    input=_texts,
    answer=st.none() | _texts,
    choices=_tuples,
    tests=_tuples,
    tools=_tuples,
    quality=st.none() | _texts,
    number=st.integers(0, 2**40),
    parents=_tuples,
)
_calls = st.lists(st.builds(Call, _texts, _texts), max_size=2).map(tuple)
_messages = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), _texts, _calls, st.none() | _texts),
    max_size=2,
).map(tuple)
_asks = st.builds(
    Ask,
    st.sampled_from(["teacher", "judge", "reward"]),
    st.builds(
        request_of,
        st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), _texts), max_size=2),
        st.just(Sampling()),
        st.none() | st.just({"type": "object"}),
        st.integers(0, 3),
    ),
    _texts,
    _texts,
)
samples = st.builds(
    Sample,
    item=_items,
    form=st.sampled_from(["messages", "preference", "text"]),
    language=st.sampled_from(["ko", "en"]),
    prompt=_messages,
    answer=_messages,
    worse=_messages,
    text=_texts,
    tools=_tuples,
    variety=_texts,
    made_by=st.lists(_asks, max_size=2).map(tuple),
    numbers=st.dictionaries(_texts, _numbers, max_size=2),
    tags=st.dictionaries(_texts, _texts, max_size=2),
    is_translated=st.booleans(),
    parents=_tuples,
    rejection=st.none() | st.builds(Rejection, _texts, _texts, _optional_numbers, _optional_numbers, _texts),
)
