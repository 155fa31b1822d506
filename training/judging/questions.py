"""Questions of judged benchmarks, in the columns in which each is published.

MT-bench and KoMT-Bench: `question_id, category, turns, reference`. LogicKor: `id, category, questions, references`.
WildBench: `id, conversation_input, checklist, primary_tag, secondary_tags`. A row may have `question` instead of a
list of turns: both turns of a two-turn benchmark in one text, with a line break between them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.rows import input_files
from manifests.errors import RequestError, RunError
from manifests.schema_evaluation import Judged
from manifests.store import resolve
from training.chat.rows import Left, read_rows, source_of

IDS = ("question_id", "id", "prompt_id", "session_id")
TURNS = ("turns", "questions", "prompt", "conversation_input", "question")
REFERENCES = ("references", "reference")
TAGS = ("primary_tag", "secondary_tags")
COLUMNS = (*IDS, *TURNS, *REFERENCES, *TAGS, "category", "checklist")
LONE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")
"""A line break that ends no paragraph."""

TASK_GROUPS = {
    "Information seeking": "Information/Advice seeking",
    "Advice seeking": "Information/Advice seeking",
    "Coding & Debugging": "Coding & Debugging",
    "Reasoning": "Planning & Reasoning",
    "Planning": "Planning & Reasoning",
    "Math": "Math & Data Analysis",
    "Data Analysis": "Math & Data Analysis",
    "Creative Writing": "Creative Tasks",
    "Editing": "Creative Tasks",
    "Brainstorming": "Creative Tasks",
    "Role playing": "Creative Tasks",
    "Others": "Creative Tasks",
}
"""WildBench's tags and the five groups that its scores are told by (Lin et al. 2024, arXiv 2406.04770)."""


@dataclass(frozen=True)
class Question:
    """A question of one turn or more."""

    id: str
    category: str
    turns: tuple[str, ...]
    """What the user says."""
    references: tuple[str, ...] = ()
    """The right answer to each turn, empty where it has none; or none at all."""
    history: tuple[tuple[str, str], ...] = ()
    """(role, content) of what was said before the first turn."""
    checklist: tuple[str, ...] = ()
    """What a judge is to look at (WildBench)."""
    groups: tuple[str, ...] = ()
    """Groups that it counts in: its category, or those of all its tags (WildBench)."""
    is_joined: bool = False
    """Whether it has several turns that cannot be told apart, and is asked in one."""


def read_questions(judged: Judged, base: str) -> list[Question]:
    """The questions in the order of their files; with a limit, those whose rows hash lowest.

    Args:
        judged: of the manifest.
        base: where relative paths start.

    Raises:
        RequestError: there is none, or one cannot be read; names file, record and field.
    """
    at = f"judged.{judged.name}"
    source = source_of(judged.data, base, at, limit=judged.limit)
    try:
        input_files(resolve(judged.data, base))
        rows = list(read_rows(source, COLUMNS, Left()))
    except (RequestError, RunError) as error:
        raise RequestError(f"{at}.data: {error}") from error
    parse = _wild if judged.form == "wildbench" else _asked
    found = dict[str, Question]()
    for row in rows:
        question = parse(row.values, f"{at}: {row.place}")
        if question.id in found:
            raise RequestError(f"{at}: {row.place}: `id`: {question.id!r} is there twice; expected one row for each")
        found[question.id] = question
    if not found:
        raise RequestError(f"{at}.data: {judged.data}: holds no question")
    return list(found.values())


def _asked(row: Mapping[str, Any], where: str) -> Question:
    """A row of MT-bench, KoMT-Bench or LogicKor."""
    name = _first(row, ("turns", "questions", "prompt", "question"))
    if name is None:
        raise RequestError(f"{where}: `turns`: is missing; expected a list of texts (LogicKor: `questions`)")
    if isinstance(row[name], str):
        turns, is_joined = _split(row[name])
    else:
        turns, is_joined = _texts(row[name], f"{where}: `{name}`"), False
    if not turns or not all(turn.strip() for turn in turns):
        raise RequestError(f"{where}: `{name}`: found a blank turn, or none; expected a text for each")
    category = _category(row, "category", where)
    return Question(
        _id(row, where),
        category,
        turns,
        _references(row, len(turns), is_joined, where),
        groups=(category,) if category else (),
        is_joined=is_joined,
    )


def _split(text: str) -> tuple[tuple[str, ...], bool]:
    """The turns of a text that holds them all, and whether they cannot be told apart.

    They can where one line break is no paragraph's: what stands before and after it. A guess would cut questions in
    two at the wrong place, so other texts stay whole.
    """
    breaks = [match.start() for match in LONE_BREAK.finditer(text.strip())]
    if len(breaks) == 1:
        return (text.strip()[: breaks[0]], text.strip()[breaks[0] + 1 :]), False
    return (text.strip(),), bool(breaks)


def _wild(row: Mapping[str, Any], where: str) -> Question:
    """A row of WildBench: the last thing that the user says is what is answered."""
    spoken = row["conversation_input"]
    if not isinstance(spoken, Sequence) or isinstance(spoken, str) or not spoken:
        raise RequestError(f"{where}: `conversation_input`: expected a list of messages with `role` and `content`")
    said = [_message(message, f"{where}: `conversation_input`: number {i}") for i, message in enumerate(spoken)]
    if said[-1][0] != "user":
        raise RequestError(f"{where}: `conversation_input`: ends with {said[-1][0]!r}; expected `user`")
    tags = [row["primary_tag"], *_texts(row["secondary_tags"] or (), f"{where}: `secondary_tags`")]
    for tag in tags:
        if tag not in TASK_GROUPS:
            valid = ", ".join(TASK_GROUPS)
            raise RequestError(f"{where}: `primary_tag` or `secondary_tags`: found {tag!r}; valid: {valid}")
    groups = tuple(dict.fromkeys(TASK_GROUPS[tag] for tag in tags))
    checklist = _texts(row["checklist"] or (), f"{where}: `checklist`")
    return Question(_id(row, where), groups[0], (said[-1][1],), (), tuple(said[:-1]), checklist, groups)


def _message(message: Any, where: str) -> tuple[str, str]:
    role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
    if role not in ("system", "user", "assistant"):
        raise RequestError(f"{where}: `role`: found {role!r}; valid: system, user, assistant")
    if not isinstance(content, str) or (role == "user" and not content.strip()):
        raise RequestError(f"{where}: `content`: expected text")
    return role, content


# Fields


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if row[name] is not None), None)


def _id(row: Mapping[str, Any], where: str) -> str:
    name = _first(row, IDS)
    value = None if name is None else row[name]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise RequestError(f"{where}: `{name or 'id'}`: found {value!r}; expected a text or a whole number")
    return str(value)


def _category(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row[name]
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{where}: `{name}`: found {type(value).__name__}; expected text")
    return (value or "").strip()


def _references(row: Mapping[str, Any], n_turns: int, is_joined: bool, where: str) -> tuple[str, ...]:
    """One for each turn, or none at all; of turns that are asked in one, all in one."""
    name = _first(row, REFERENCES)
    if name is None:
        return ()
    value = [row[name]] if isinstance(row[name], str) else row[name]
    is_list = isinstance(value, Sequence) and all(one is None or isinstance(one, str) for one in value)
    if not is_list:
        raise RequestError(f"{where}: `{name}`: expected a list with a text or null for each turn")
    listed = [one or "" for one in value]
    if is_joined:
        listed = ["\n\n".join(one for one in listed if one.strip())]
    if len(listed) > n_turns:
        raise RequestError(f"{where}: `{name}`: holds {len(listed)} for {n_turns} turns; expected one for each")
    return (*listed, *[""] * (n_turns - len(listed))) if any(one.strip() for one in listed) else ()


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise RequestError(f"{where}: expected a list of texts")
    return tuple(value)
