"""Samples on disk between the task that made them and the tables: gates go through them several times, in order.

They lie in lots of JSON lines. What is kept in memory is which are still in, what gates measured, and why the others
are out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from manifests.store import Folder
from synth.samples import Ask, Call, Item, Message, Rejection, Sample
from synth.teachers.answers import Request

LOT_SAMPLES = 2000
LOT_BYTES = 16 * 1024**2
"""A lot ends at the first of these."""


class Measured(Protocol):
    """What a gate says of a sample that may stay; a `Rejection` throws it out."""

    @property
    def value(self) -> float | None:
        """What was measured, where it is a number."""


@dataclass(frozen=True)
class Verdict:
    """Of a gate that a sample passed."""

    gate: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Draft:
    """A sample at the end of all gates, and those that it passed."""

    sample: Sample
    """With its rejection, where it has one."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether it goes into the tables."""
        return self.sample.rejection is None


@dataclass(frozen=True)
class _Stage:
    """A gate that was passed through: its verdicts on those that it let pass; NaN where there is no number."""

    name: str
    threshold: float | None
    places: npt.NDArray[np.int64]
    """Of those that it was asked of, rising."""
    values: npt.NDArray[np.float64]

    def verdicts(self, start: int, end: int) -> Iterator[tuple[int, Verdict]]:
        """(place, what it said) of samples whose places lie in [start, end), but for those that were out by then."""
        low, high = np.searchsorted(self.places, [start, end])
        for place, value in zip(self.places[low:high].tolist(), self.values[low:high].tolist(), strict=True):
            yield place, Verdict(self.name, value if isfinite(value) else None, self.threshold)


class DraftWriter:
    """Takes samples as a task makes them."""

    def __init__(self, folder: Folder) -> None:
        """Begin anew; what another run left in the folder goes."""
        if folder.fs.exists(folder.root):
            folder.fs.rm(folder.root, recursive=True)
        self._folder = folder
        self._lines: list[bytes] = []
        self._n_bytes = 0
        self._counts: list[int] = []
        self._is_in = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def add(self, sample: Sample) -> None:
        """Take a sample; one that its task rejected is out from the beginning."""
        line = _encoded(sample)
        self._lines.append(line)
        self._n_bytes += len(line)
        self._is_in.append(sample.rejection is None)
        if len(self._lines) >= LOT_SAMPLES or self._n_bytes >= LOT_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            lot = zstandard.ZstdCompressor(level=3).compress(b"\n".join(self._lines))
            self._folder.write_bytes(_lot_name(len(self._counts)), lot)
            self._counts.append(len(self._lines))
            self._lines, self._n_bytes = [], 0

    def drafts(self) -> "Drafts":
        """All that was added."""
        self._flush()
        return Drafts(self._folder, tuple(self._counts), np.frombuffer(bytes(self._is_in), np.bool_).copy())


def _lot_name(number: int) -> str:
    return f"lot-{number:06d}.jsonl.zst"


@dataclass
class Drafts:
    """The samples of a run. To iterate gives batches of those that are still in, always in the same order."""

    _folder: Folder
    _counts: tuple[int, ...]
    """Samples of each lot."""
    _is_in: npt.NDArray[np.bool_]
    _rejections: dict[int, Rejection] = field(default_factory=dict)
    """Of gates, by place; those of tasks stand with their samples."""
    _stages: list[_Stage] = field(default_factory=list)

    def __len__(self) -> int:
        """How many are still in."""
        return int(np.count_nonzero(self._is_in))

    def __iter__(self) -> Iterator[Sequence[Sample]]:
        for start, lines in self._lots():
            is_in = self._is_in[start : start + len(lines)]
            if batch := [_decoded(line) for line, stays in zip(lines, is_in.tolist(), strict=True) if stays]:
                yield batch

    def _lots(self) -> Iterator[tuple[int, list[bytes]]]:
        """(place of the first sample, lines) of each lot."""
        start = 0
        for number, count in enumerate(self._counts):
            lot = zstandard.ZstdDecompressor().decompress(self._folder.read_bytes(_lot_name(number)))
            yield start, lot.split(b"\n")
            start += count

    def settle(
        self, name: str, verdicts: Iterable[Measured | Rejection | None], threshold: float | None = None
    ) -> None:
        """Take what a gate says of the samples that are in, one verdict each, in order.

        Args:
            name: of the gate.
            verdicts: a `Rejection` throws the sample out. None: it passes, and nothing is noted.
            threshold: what values are compared with, where the gate compares one number.

        Raises:
            ValueError: there are fewer or more verdicts than samples.
        """
        places = np.flatnonzero(self._is_in)
        values, is_noted = np.full(len(places), np.nan), np.zeros(len(places), np.bool_)
        out: dict[int, Rejection] = {}
        for at, (place, verdict) in enumerate(zip(places.tolist(), verdicts, strict=True)):
            if isinstance(verdict, Rejection):
                out[place] = verdict
            elif verdict is not None:
                is_noted[at] = True
                values[at] = np.nan if verdict.value is None else verdict.value
        self._is_in[list(out)] = False
        self._rejections |= out
        if is_noted.any():
            self._stages.append(_Stage(name, threshold, places[is_noted], values[is_noted]))

    def all(self) -> Iterator[Draft]:
        """Every sample, kept and rejected, with what is known of it, in order."""
        for start, lines in self._lots():
            passed: list[list[Verdict]] = [[] for _ in lines]
            for stage in self._stages:
                for place, verdict in stage.verdicts(start, start + len(lines)):
                    passed[place - start].append(verdict)
            for place, (line, verdicts) in enumerate(zip(lines, passed, strict=True), start):
                sample, rejection = _decoded(line), self._rejections.get(place)
                yield Draft(replace(sample, rejection=rejection) if rejection else sample, tuple(verdicts))


# A sample as a line, and back.


def _encoded(sample: Sample) -> bytes:
    plain = replace(
        sample,
        numbers={name: value if isfinite(value) else repr(value) for name, value in sample.numbers.items()},  # type: ignore[misc]
        tags=dict(sample.tags),
        rejection=_finite(sample.rejection),
    )
    try:
        return orjson.dumps(plain)
    except TypeError:  # half a surrogate pair, which an escape in an answer's JSON can write, is no text
        return orjson.dumps(_scrubbed(asdict(plain)))


def _finite(rejection: Rejection | None) -> Rejection | None:
    """With numbers that JSON can hold: an infinity as a word."""
    if rejection is None:
        return None
    numbers = {name: getattr(rejection, name) for name in ("value", "threshold")}
    words = {name: repr(value) for name, value in numbers.items() if value is not None and not isfinite(value)}
    return replace(rejection, **words) if words else rejection  # type: ignore[arg-type]


def _scrubbed(value: Any) -> Any:
    """With U+FFFD for what is no character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in value.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list | tuple) else value


def _decoded(line: bytes) -> Sample:
    value = orjson.loads(line)
    return Sample(
        **value
        | {
            "item": _item(value["item"]),
            "prompt": _messages(value["prompt"]),
            "answer": _messages(value["answer"]),
            "worse": _messages(value["worse"]),
            "tools": tuple(value["tools"]),
            "made_by": tuple(_ask(ask) for ask in value["made_by"]),
            "numbers": {name: float(number) for name, number in value["numbers"].items()},
            "parents": tuple(value["parents"]),
            "rejection": _rejection(value["rejection"]),
        }
    )


def _item(value: dict[str, Any]) -> Item:
    lists = {name: tuple(part) for name, part in value.items() if isinstance(part, list)}
    return Item(**value | lists)


def _messages(values: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(**value | {"calls": tuple(Call(**call) for call in value["calls"])}) for value in values)


def _ask(value: dict[str, Any]) -> Ask:
    request = value["request"]
    messages = tuple((role, content) for role, content in request["messages"])
    return Ask(**value | {"request": Request(**request | {"messages": messages})})


def _rejection(value: dict[str, Any] | None) -> Rejection | None:
    if value is None:
        return None
    numbers = {name: value[name] if value[name] is None else float(value[name]) for name in ("value", "threshold")}
    return Rejection(**value | numbers)
