"""What is known of a benchmark: lm-eval asks it by this, and what is said is scored by this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Doc = Mapping[str, Any]
"""A row of a benchmark, in the columns of the dataset as published."""


@dataclass(frozen=True)
class Marked:
    """How one answer was scored."""

    scores: Mapping[str, float]
    """By name of the score, from 0 to 1; the task's main score is among them."""
    note: str = ""
    """Why, where it is not plain: the tests that failed, the instructions that were not followed."""
    read: str = ""
    """What was read as the answer; empty where nothing was."""


Mark = Callable[[Sequence[Doc], Sequence[str]], list[Marked]]
"""Scores answers (texts) to rows, all at once: programs run beside each other."""
Aggregate = Callable[[Sequence[Doc], Sequence[Mapping[str, float]]], dict[str, float]]
"""Further scores of all rows together, as a macro F1 or a mean of subjects. Of `choices`, the scores of a row hold
`acc` and `chosen`, the place of the likeliest choice."""


@dataclass(frozen=True)
class Task:
    """A benchmark."""

    name: str
    columns: tuple[str, ...]
    """That its rows must have."""
    hub: tuple[str, str | None]
    """Dataset on the hub, and its configuration, where the manifest names no data."""
    form: Literal["choices", "generation"]
    """`choices`: the likeliest continuation wins. `generation`: what is written is marked."""
    ask: Callable[[Doc], str]
    """The question, without examples."""
    right: Callable[[Doc], int | str]
    """Of `choices`: place of the right one, from 0. Of `generation`: what an example says after the question."""
    main: str
    """Score that tables show: `acc`, `acc_norm`, `exact_match`, `pass@1`, ..."""
    shots: int = 0
    """Worked examples, as the reports take them."""
    choices: Callable[[Doc], list[str]] | None = None
    """Continuations of `choices`, without the space before."""
    mark: Mark | None = None
    """Of `generation`."""
    aggregate: Aggregate | None = None
    configurations: tuple[str, ...] = ()
    """Where the hub has one per subject and none with all of them: those that are read, one after the other."""
    configuration_column: str = ""
    """Where a row says which configuration it is of; put there as it is read from the hub, unless the row has it."""
    units: Callable[[Sequence[Doc], Sequence[Mapping[str, float]]], list[float]] | None = None
    """Of each row what the main score is the mean of, where that is not the row's own score."""
    test_split: str = "test"
    example_split: str | None = None
    """Where examples come from on the hub; None where the benchmark has none of its own."""
    examples: tuple[Doc, ...] = ()
    """Examples that belong to the benchmark (those of minerva_math, BBH's), in the place of a split."""
    sampler: Literal["first", "random"] = "first"
    """How examples are chosen: the first ones, or drawn for each question."""
    description: str = ""
    """What stands before all examples."""
    describe: Callable[[Doc], str] | None = None
    """Or what stands there for a row, where that depends on its subject."""
    begin: Callable[[Doc], str] | None = None
    """What the answer already begins with, and the model goes on from: lm-eval's `gen_prefix`."""
    delimiter: str = " "
    """Between a question and its answer."""
    between: str = "\n\n"
    """Between examples."""
    stop: tuple[str, ...] = ()
    """What ends an answer."""
    max_new_tokens: int = 256
    group: Callable[[Doc], str] | None = None
    """Subject or category of a row."""
    same_group_examples: bool = False
    """Whether examples are of the question's own group."""
    side: Literal["core", "chat"] = "core"
    is_instruct: bool = False
    """Whether it is made for chat models: asked in a chat template, also where the model does not say so."""
    version: int = 1
    """Raised where the same answers would get another score, or a question another prompt."""
    source: str = ""
    """Where prompt and shots are from: paper and section, or lm-eval's task."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What else a figure means, as `normalised by: characters`."""
