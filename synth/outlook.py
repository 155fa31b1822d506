"""`onggi synth --plan`: what a run would be made from, ask first, and cost; nobody is asked and nothing is written.

The task and the gates are made as for a run, so that what is wrong is said before anything is paid.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson

from manifests import schema_synthesis as schema
from manifests.engine import Progress, silent
from manifests.schema_teacher import Teacher as Settings
from manifests.store import Folder, resolve
from synth.final_answers.math_workers import MathWorkers
from synth.gates.choose import gates_of
from synth.panel import Panel
from synth.pipeline import Job, check_items, check_own, run_folder
from synth.samples import Ask, Item, Role
from synth.seeds import SeedCounts
from synth.shares import STAGE as SHARE
from synth.shares import check_runs
from synth.tasks.task import Task, UnfitError
from synth.teacher import Usage, answers_path, as_asked, checked
from synth.teachers.answers import Request, kept_keys, read_recorded

CHARS_PER_TOKEN, SYLLABLES_PER_TOKEN = 4.0, 1.4
"""Of text in English, and of Hangul. Korean text then has 1.8 characters per token: seven of ten are syllables."""
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3

LOOKED_UP = 1000
"""Requests that are looked up at once."""


@dataclass(frozen=True)
class Part:
    """Items of one language and source."""

    language: str
    """Empty where it is not known."""
    source: str
    n_items: int


@dataclass
class Asked:
    """What one model is asked to begin with; equal requests count once."""

    model: str
    n_requests: int = 0
    n_kept: int = 0
    """Of these, answered already."""
    n_prompt_tokens: int = 0
    """Of those that are not answered: an estimate by their characters."""
    n_output_tokens_max: int = 0
    """Of those: the most that their answers may have."""
    cost_max: float = 0.0
    """Of those, in the currency of the manifest's prices, if each answer is as long as it may be."""


@dataclass(frozen=True)
class Outlook:
    """What `onggi synth --plan` says."""

    name: str
    task: str
    folder: str
    n_seeds: int
    n_blank: int
    n_repeated: int
    items: list[Part]
    asked: dict[Role, Asked]
    """What the task begins with; what it asks then depends on the answers."""
    prompts: dict[str, int]
    """Of these requests, how many are made by each prompt: whether a question is one of mathematics, say."""
    unasked: dict[str, int]
    """Items that are rejected before anything is asked, by why."""
    gates: list[str]
    """In order; `duplicate` and `share` are not the manifest's."""

    @property
    def n_items(self) -> int:
        """What is worked on."""
        return sum(part.n_items for part in self.items)


def outlook(
    manifest: schema.SynthesisManifest, base: str, output: str | None = None, progress: Progress = silent
) -> Outlook:
    """What a run would begin with.

    Args:
        manifest: the run.
        base: where its relative paths start.
        output: its folder, instead of the manifest's.
        progress: is told how many items were seen.

    Raises:
        RequestError: something is wrong that can be known without asking anybody.
    """
    folder = run_folder(manifest, base, output)
    check_own(Folder(folder))
    has_share = check_runs(manifest, base)
    job, counts, shelves = Job(manifest, base, folder, progress), SeedCounts(), _Shelves(manifest, base, folder)
    with MathWorkers() as math:
        task = job.task(math, counts)
        gates_of(manifest, base, Panel(manifest, base, folder), job.seeds)
        items = task.items(job.seeds(None if task.needs_all_seeds else counts))
        parts, unasked = _begin(task, _shown(items, progress), shelves)
    check_items(parts.total(), counts)
    return Outlook(
        name=manifest.name,
        task=manifest.task.kind,
        folder=folder,
        n_seeds=counts.n_items,
        n_blank=counts.n_blank,
        n_repeated=counts.n_repeated,
        items=[Part(language, source, n) for (language, source), n in sorted(parts.items())],
        asked=shelves.asked(),
        prompts=dict(shelves.prompts.most_common()),
        unasked=dict(sorted(unasked.items())),
        gates=[*map(_gate_name, manifest.gates), "duplicate", *([SHARE] if has_share else [])],
    )


def n_tokens(text: str) -> int:
    """About how many tokens a text has, by its characters: of whichever tokenizer, so no more than an estimate."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    n_syllables = int(((codes >= FIRST_SYLLABLE) & (codes <= LAST_SYLLABLE)).sum())
    return round(n_syllables / SYLLABLES_PER_TOKEN + (len(codes) - n_syllables) / CHARS_PER_TOKEN)


def _begin(task: Task, items: Iterable[Item], shelves: "_Shelves") -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Begin with each item and go no further: items by (language, source), and why some ask nothing."""
    parts, unasked = Counter[tuple[str, str]](), Counter[str]()
    for item in items:
        parts[item.language or "", item.source] += 1
        if item.tests and task.setting.manifest.task.kind == "reasoning":
            task.setting.sandbox()
        asks, why = first_asks(task, item)
        for ask in asks:
            shelves.add(ask)
        if why:
            unasked[why] += 1
    return parts, unasked


def first_asks(task: Task, item: Item) -> tuple[Sequence[Ask], str]:
    """What an item asks first; where it asks nothing, why it is rejected, as `verify: bad_gold`."""
    steps = task.run(item)
    try:
        asks = next(steps)
        while not asks:
            asks = steps.send([])
    except StopIteration as end:
        reasons = [sample.rejection for sample in end.value if sample.rejection]
        return [], f"{reasons[0].stage}: {reasons[0].reason}" if reasons else ""
    except UnfitError as error:
        return [], f"task: {error.reason}"
    steps.close()
    return asks, ""


def _gate_name(gate: schema.Gate) -> str:
    return f"score by {gate.by}" if isinstance(gate, schema.ScoreGate) else gate.gate


def _shown(items: Iterable[Item], progress: Progress) -> Iterator[Item]:
    for number, item in enumerate(items, 1):
        yield item
        if number % LOOKED_UP == 0:
            progress("items", number, number)


class _Shelves:
    """The requests of each role, against the answers that it has."""

    def __init__(self, manifest: schema.SynthesisManifest, base: str, folder: str) -> None:
        """Raises RequestError: a key, a tokenizer or a file of recorded answers is not there."""
        self.prompts = Counter[str]()
        named: dict[Role, Settings | None] = {
            "teacher": manifest.teacher,
            "judge": manifest.judge,
            "reward": manifest.reward,
        }
        self._by_role: dict[Role, _Shelf] = {
            role: _Shelf(settings, base, folder if role == "teacher" else f"{folder}/{role}")
            for role, settings in named.items()
            if settings
        }

    def add(self, ask: Ask) -> None:
        """Count a request; a judge that is not named is the teacher."""
        role: Role = "teacher" if ask.role == "judge" and "judge" not in self._by_role else ask.role
        if self._by_role[role].add(ask.request):
            self.prompts[ask.template] += 1

    def asked(self) -> dict[Role, Asked]:
        """What was counted."""
        return {role: shelf.asked() for role, shelf in self._by_role.items()}


@dataclass
class _Shelf:
    """The requests to one model."""

    settings: Settings
    base: str
    folder: str
    _new: dict[str, Request] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.settings = checked(self.settings, self.base)
        self._path = answers_path(self.settings, self.base, self.folder)
        self._recorded = read_recorded(resolve(self.settings.replay, self.base)) if self.settings.replay else {}
        self._asked = Asked(self.settings.model)

    def add(self, request: Request) -> bool:
        """Count a request; whether it is a new one."""
        request = as_asked(request, self.settings)
        key = request.key(self.settings.model, self.settings.revision)
        if int(key, 16) in self._seen:
            return False
        self._seen.add(int(key, 16))
        self._new[key] = request
        if len(self._new) >= LOOKED_UP:
            self._look_up()
        return True

    def asked(self) -> Asked:
        self._look_up()
        found = self._asked
        spent = Usage(n_prompt_tokens=found.n_prompt_tokens, n_output_tokens=found.n_output_tokens_max)
        found.cost_max = spent.cost(self.settings)
        return found

    def _look_up(self) -> None:
        there = kept_keys(self._path, list(self._new)) | (self._recorded.keys() & self._new.keys())
        self._asked.n_requests += len(self._new)
        self._asked.n_kept += len(there)
        for request in (request for key, request in self._new.items() if key not in there):
            self._asked.n_prompt_tokens += sum(n_tokens(content) for _, content in request.messages)
            writes = request.kind != "reward"
            self._asked.n_output_tokens_max += orjson.loads(request.sampling)["max_tokens"] if writes else 0
        self._new = {}
