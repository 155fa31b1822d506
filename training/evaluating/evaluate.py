"""What the process does that evaluates a model: each benchmark, the grid, the answers for a judge.

Weights are read when something has to be computed; what the model came to before is kept in a folder by the digests
of all that it depends on, so a killed evaluation goes on where it was, benchmark by benchmark.
"""

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_evaluation import NEEDLE, Benchmark, Judged, VllmServer
from manifests.store import resolve
from training.benchmarks.catalogue import task_of
from training.evaluating.chat_models import NO_TEMPLATE, has_template
from training.evaluating.engine import Engine, Told
from training.evaluating.engines import open_engine
from training.evaluating.harness import run_benchmark
from training.evaluating.item_files import write_items
from training.evaluating.jobs import EvaluateJob, EvaluateResult, Transcript
from training.evaluating.lm_eval_tasks import TASKS_VERSION, YAML_ENDINGS
from training.evaluating.results import Evaluated, Item, ModelResults
from training.evaluating.task_files import check_no_code
from training.inputs import row_files
from training.judging.answer import answer_questions
from training.measuring.cache import Cache, key_of
from training.measuring.open_model import OpenModel
from training.needles.grid import VERSION as GRID_VERSION
from training.needles.grid import run_needle

SHOWN_ONLY = {"name", "side"}
"""Fields that no figure depends on."""


class Kept(BaseModel):
    """What a model came to, and the items that it is made of."""

    result: Evaluated
    items: list[Item]


def evaluate(job: EvaluateJob, progress: Progress) -> EvaluateResult:
    """Evaluate a model by all that a job names.

    Raises:
        RequestError: the model or data cannot be read; what was finished before is kept.
        RunError: the engine failed, or the disk is full.
    """
    with _Evaluating(job, progress) as evaluating:
        found = ModelResults(name=job.name, folder=job.folder)
        found.results += [evaluating.benchmark(item) for item in job.benchmarks]
        found.results += [evaluating.needle()] if job.needle else []
        transcripts = {item.name: evaluating.transcripts(item) for item in job.judged}
    return EvaluateResult(model=found, transcripts=transcripts)


class _Evaluating:
    """What all that a model is asked shares: the cache, and the engine once there is need of one."""

    def __init__(self, job: EvaluateJob, progress: Progress) -> None:
        self._job, self._progress, self._stack = job, progress, ExitStack()
        self._cache = Cache(job.cache)
        self._model = self._cache.digests.of_model(job.folder)
        self._engine: Engine | None = None

    def __enter__(self) -> "_Evaluating":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
        self._cache.digests.keep()

    def benchmark(self, asked: Benchmark) -> Evaluated:
        """What the model came to on a benchmark."""
        task = task_of(asked.task or asked.name) if asked.lm_eval is None else None
        if task is not None and task.is_instruct and asked.chat is not False and not has_template(self._job.folder):
            return Evaluated(name=asked.name, kind="benchmark", side=asked.side or task.side, why=NO_TEMPLATE)
        depends = asked.model_dump(mode="json", exclude=SHOWN_ONLY) | {
            "task": asked.task or asked.name,
            "data": self._digest(asked.data, f"{asked.name}: data"),
            "examples": self._digest(asked.examples, f"{asked.name}: examples"),
            "model_chat": self._job.chat,
            "lm_eval": version("lm_eval"),
            "file": self._task_file(asked),
            "version": task.version if task else TASKS_VERSION,
        }
        base, seed, chat = self._job.manifest_base, self._job.seed, self._job.chat
        neutral = asked.model_copy(update={"side": None})
        kept = self._kept(
            "benchmark",
            asked.name,
            depends,
            lambda engine, told: run_benchmark(engine, neutral, chat, base, seed, told),
        )
        side = {"side": asked.side} if asked.side else {}
        return self._written(kept, asked.name, side)

    def _task_file(self, asked: Benchmark) -> str:
        """Digest of a task's YAML and of what it includes; empty for one that lm-eval ships."""
        path = Path(resolve(asked.lm_eval or "", self._job.manifest_base))
        if path.suffix not in YAML_ENDINGS or not path.is_file():
            return ""
        files = check_no_code(path, f"benchmarks.{asked.name}.lm_eval")
        return self._cache.of_files(list(map(str, files)))

    def needle(self) -> Evaluated:
        """What the model found of the grid."""
        asked = self._job.needle
        assert asked is not None
        depends = asked.model_dump(mode="json") | {
            "haystack": {
                name: self._digest(path, f"needle.haystack.{name}") for name, path in asked.haystack.items()
            },
            "model_chat": self._job.chat,
            "version": GRID_VERSION,
        }
        base, seed, chat = self._job.manifest_base, self._job.seed, self._job.chat
        kept = self._kept(
            NEEDLE, NEEDLE, depends, lambda engine, told: run_needle(engine, asked, chat, base, seed, told)
        )
        return self._written(kept, NEEDLE, {})

    def transcripts(self, asked: Judged) -> list[Transcript]:
        """What the model answered to the questions of a judged benchmark."""
        base, seed = self._job.manifest_base, self._job.seed
        key = self._key(
            "answers",
            asked.model_dump(mode="json", exclude={"name", "judge", "pairwise"})
            | {"data": self._digest(asked.data, f"{asked.name}: data")},
        )
        found = self._cache.get(key)
        if found is None:
            answers = answer_questions(self._open(), asked, base, seed, self._told(asked.name))
            found = [one.model_dump(mode="json") for one in answers]
            self._cache.put(key, found)
        return [Transcript.model_validate(one) for one in found]

    # What was computed before, or is now.

    def _kept(
        self,
        kind: str,
        name: str,
        depends: dict[str, Any],
        find: Callable[[Engine, Told], tuple[Evaluated, list[Item]]],
    ) -> Kept:
        key = self._key(kind, depends)
        found = self._cache.get(key)
        if found is None:
            result, items = find(self._open(), self._told(name))
            kept = Kept(result=result, items=items)
            found = kept.model_dump_json()  # as a text, whose keys the cache leaves in their order
            self._cache.put(key, found)
        return Kept.model_validate_json(found)

    def _key(self, kind: str, depends: dict[str, Any]) -> str:
        return key_of(kind, self._model, "", depends | self._computed_by() | {"seed": self._job.seed})

    def _computed_by(self) -> dict[str, Any]:
        """What figures depend on of who computes them: not how long a server may take to begin."""
        job = self._job
        if isinstance(job.engine, VllmServer):
            return {"engine": job.engine.model_dump(mode="json", exclude={"startup_s", "concurrency"})}
        return {"engine": job.engine, "batch": job.batch} | OpenModel(job.folder, precision=job.precision).numbers

    def _open(self) -> Engine:
        if self._engine is None:
            self._progress(f"evaluate {self._job.name}", 0, 1, "reading the model")
            self._engine = self._stack.enter_context(open_engine(self._job))
        return self._engine

    def _told(self, name: str) -> Told:
        return lambda done, total: self._progress(f"evaluate {self._job.name}", done, total, name)

    def _digest(self, path: str | None, at: str) -> str:
        """Of the rows of a path; empty where there is none."""
        if path is None:
            return ""
        try:
            return self._cache.of_files(row_files(resolve(path, self._job.manifest_base)))
        except RequestError as error:
            raise RequestError(f"{at}: {error}") from None

    def _written(self, kept: Kept, name: str, changes: dict[str, Any]) -> Evaluated:
        """The result under the manifest's name, with its items in a file that people can read."""
        file = write_items(Path(self._job.items), self._job.name, name, kept.items)
        return kept.result.model_copy(update={"name": name, "items": file, **changes})
