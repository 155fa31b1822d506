"""The contracts of synthetic data: a table per form in TRL's columns, and one of the samples that were not kept.

Where samples have tools, messages are JSON of Arrow's extension type `arrow.json`, which `datasets` (4.7 and later)
reads as dictionaries of just the keys that they have. In columns of a struct each call would have arguments of all
functions, most of them null, and each message a `tool_calls`; some chat templates take that for a call wherever what
is null is not removed first (transformers 5.23 does so for messages, though not for arguments).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Form = Literal["messages", "preference", "text"]
FORMS: tuple[Form, ...] = ("messages", "preference", "text")
"""Each is the name of its table and of the folder that it lies in."""

REJECTED = "rejected"

MESSAGES = pa.list_(pa.field("element", pa.struct([("role", pa.string()), ("content", pa.string())])))
MESSAGES_WITH_TOOLS = pa.list_(pa.field("element", pa.json_()))
"""Of each message: role, content, and `tool_calls` or `name` where it has them."""

PROVENANCE = pa.struct(
    [
        ("teacher", pa.string()),  # the model that wrote the answer
        ("revision", pa.string()),
        ("sampling", pa.string()),  # how it drew the answer, as JSON
        ("seed", pa.int64()),  # of that draw
        ("template", pa.string()),  # the prompt that it was asked with, as reasoning/solve_ko
        ("template_digest", pa.string()),
        ("requests", pa.list_(pa.field("element", pa.string()))),  # keys of all answers that went into it
        ("item", pa.string()),  # what was worked on: a seed, or a part of one
        ("parent", pa.string()),  # id of the seed
        ("parents", pa.list_(pa.field("element", pa.string()))),  # ids of further ones
        (
            "verdicts",  # of the gates that it passed, in order
            pa.list_(
                pa.field(
                    "element",
                    pa.struct([("gate", pa.string()), ("value", pa.float64()), ("threshold", pa.float64())]),
                )
            ),
        ),
    ]
)

LOGPROBS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # of the sample
        pa.field("request", pa.string(), nullable=False),  # key of the answer that it is, as in its provenance
        pa.field("tokenizer", pa.string(), nullable=False),  # XXH3-128 of the tokenizer.json that the ids are of
        pa.field("prompt_ids", pa.list_(pa.field("element", pa.int32())), nullable=False),  # as the teacher was asked
        pa.field("output_ids", pa.list_(pa.field("element", pa.int32())), nullable=False),  # n tokens of the answer
        pa.field("logprobs", pa.list_(pa.field("element", pa.float32())), nullable=False),  # (n,) natural logarithms
        pa.field("top", pa.int32(), nullable=False),  # k likeliest tokens at each place
        pa.field("top_ids", pa.list_(pa.field("element", pa.int32())), nullable=False),  # (n * k,), row by row
        pa.field("top_logprobs", pa.list_(pa.field("element", pa.float32())), nullable=False),  # (n * k,)
    ]
)
"""Tokens of the teacher's answers with their probabilities, of the samples that were kept."""

REJECTION = pa.struct(
    [
        ("stage", pa.string()),  # the task, or the gate
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Columns:
    """What the samples of a table have beside what all have."""

    has_tools: bool = False
    numbers: Sequence[str] = ()
    """Columns of numbers, as `pass_frac`."""
    tags: Sequence[str] = ()
    """Columns of words, as `difficulty`."""


def synthetic_schema(form: Form, columns: Columns) -> pa.Schema:
    """Samples of one form that were kept, in the order of the run; `id` is the primary key.

    Raises:
        ValueError: two columns have one name.
    """
    fields = [
        pa.field("id", pa.string(), nullable=False),
        *(field.with_nullable(False) for field in _content([form], columns.has_tools) if field.name != "tools"),
        *(field for field in _content([form], columns.has_tools) if field.name == "tools"),
        *_DESCRIPTION,
        *(pa.field(name, pa.float64()) for name in columns.numbers),
        *(pa.field(name, pa.string()) for name in columns.tags),
        pa.field("provenance", PROVENANCE, nullable=False),
    ]
    names = [field.name for field in fields]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"numbers and tags of samples: {', '.join(twice)} is the name of another column, too")
    return pa.schema(fields)


def rejected_schema(columns: Columns) -> pa.Schema:
    """Samples of all forms that were not kept; what a form has not is null. Two rows may have one id."""
    numbers = pa.struct([(name, pa.float64()) for name in columns.numbers])
    tags = pa.struct([(name, pa.string()) for name in columns.tags])
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("form", pa.string(), nullable=False),
            pa.field("rejection", REJECTION, nullable=False),
            *_content(FORMS, columns.has_tools),
            *_DESCRIPTION,
            *([pa.field("numbers", numbers)] if columns.numbers else []),
            *([pa.field("tags", tags)] if columns.tags else []),
            pa.field("provenance", PROVENANCE, nullable=False),
        ]
    )


_DESCRIPTION: list[pa.Field] = [
    pa.field("language", pa.string(), nullable=False),  # of the answer
    pa.field("task", pa.string(), nullable=False),
    pa.field("variety", pa.string(), nullable=False),  # within the task: the style, the turn type
    pa.field("source", pa.string(), nullable=False),  # of the seed
    pa.field("license", pa.string()),  # of the seed
    pa.field("n_chars", pa.int64(), nullable=False),  # of the answer; of text, all of it
    pa.field("is_translated", pa.bool_(), nullable=False),
]


def _content(forms: Sequence[Form], has_tools: bool) -> list[pa.Field]:
    """What TRL reads, of these forms."""
    messages = MESSAGES_WITH_TOOLS if has_tools else MESSAGES
    names = [name for form in forms for name in _NAMES[form]]
    fields = [pa.field(name, pa.string() if name == "text" else messages) for name in names]
    return fields + ([pa.field("tools", pa.string())] if has_tools and names != ["text"] else [])


_NAMES: dict[Form, list[str]] = {
    "messages": ["messages"],
    "preference": ["prompt", "chosen", "rejected"],
    "text": ["text"],
}
