"""`onggi train --plan`: what each stage will read, compute and keep, and what is wrong, before anything is trained.

No model is loaded. Weights are counted by configurations, rows by footers, tokens by a sample. Memory is that of
weights, gradients, the optimiser and models that only answer, of one process and without activations, which depend on
`micro_batch` and lengths.
"""

import importlib.util
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from classifiers.rows import input_files
from manifests.errors import RequestError, RunError
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast, Mntp
from manifests.schema_surgery import Init, NewModel, Prune, Upscale
from manifests.schema_training import BASE, Merge, TrainingManifest, TrainingStage, named_models
from manifests.schema_training_preferences import Dpo, OnlineDpo, Reward
from manifests.schema_training_stages import Cpt, Sft, Trained
from manifests.store import resolve
from training.flops import Training, count_parameters, forward_flops, lora_parameters, parameters, read_config
from training.inputs import measured_texts
from training.new_models import new_config
from training.outlook_data import (
    Reads,
    Tokens,
    logprob_reads,
    mixture_reads,
    prompt_reads,
    row_reads,
    text_reads,
    tokens_of,
)
from training.outlook_surgery import HALF, built, check_data, weight_bytes
from training.reporters import check_reporters
from training.schedules import deepseek_law
from training.stage_plan import DONE, check_teacher, plan_stages, starts_from
from training.summary_models import SUMMARY, TrainingSummary

WEIGHT_BYTES = 4
"""Weights, gradients and both of AdamW's means are float32, whatever sums are made in."""
HALF_BYTES = 2
"""Of a teacher that is kept in bfloat16. With `precision: auto` it is too on a GPU, which is not known here."""
ADAM_BYTES = 2 * WEIGHT_BYTES
Done = Mapping[str, bool] | Callable[[str], bool]


class StageOutlook(BaseModel):
    """What is known of a stage before it is run."""

    name: str
    kind: str
    starts_from: list[str] = Field(default_factory=list)
    is_done: bool = False
    """It was finished before, and nothing that it reads has changed."""
    n_parameters: int = 0
    n_trained_parameters: int = 0
    n_rows: int | None = None
    """Of an epoch: sequences of a mixture, conversations, pairs, prompts."""
    n_steps: int | None = None
    n_tokens: int | None = None
    """That all steps read; of online DPO, if each answer is as long as it may be."""
    is_exact: bool = False
    """Whether rows and tokens were counted; else they were estimated."""
    flops: float | None = None
    """6 N D; of a distillation also what its teacher computes, 2 M D."""
    memory: dict[str, int] = Field(default_factory=dict)
    """Bytes, by what they are for."""
    memory_bytes: int = 0
    kept_bytes: int = 0
    """On disk when the stage is done."""
    disk_bytes: int = 0
    """On disk while it runs: the same, and checkpoints."""
    seconds: float | None = None
    """By the tokens per second of an earlier run of the stage, or of one of its kind, in the same folder."""


class TrainingOutlook(BaseModel):
    """What `onggi train --plan` says."""

    name: str
    folder: str
    n_parameters: int = 0
    """Of the base."""
    base_bytes: int = 0
    """On disk, of a new base that is not drawn yet."""
    stages: list[StageOutlook] = Field(default_factory=list)
    disk_bytes: int = 0
    """That the stages which are not done take at most."""
    kept_bytes: int = 0
    """Of it when all is done."""
    free_bytes: int | None = None
    problems: list[str] = Field(default_factory=list)
    """What is wrong, each with its field."""

    @property
    def flops(self) -> float:
        """Of the stages that are not done, as far as it is known."""
        return sum(stage.flops or 0.0 for stage in self.stages if not stage.is_done)


def outlook(
    manifest: TrainingManifest, base: str, output: str | None = None, done: Done | None = None
) -> TrainingOutlook:
    """What a training would take; what is wrong is listed in it.

    Args:
        manifest: of the training.
        base: the manifest's folder.
        output: folder of the run, instead of the manifest's.
        done: whether the stage of a name was finished before; without it, what the folder's fingerprints say.
    """
    folder = resolve(output or manifest.output.path, base)
    looked = _Looked(manifest, base, folder, TrainingOutlook(name=manifest.name, folder=folder))
    looked.look()
    found = looked.found
    for stage in found.stages:
        stage.is_done = _is_done(done, stage.name) if done is not None else False
    if done is None and not found.problems:
        _mark_done(found, manifest, base, output)
    _settle_disk(found)
    return found


def _is_done(done: Done, name: str) -> bool:
    return done(name) if callable(done) else done.get(name, False)


def _mark_done(found: TrainingOutlook, manifest: TrainingManifest, base: str, output: str | None) -> None:
    try:
        plan = plan_stages(manifest, base, output)
        planned = {stage.name: stage.is_done for stage in plan.stages}
    except RequestError as error:
        found.problems.append(str(error))
        return
    for stage in found.stages:
        stage.is_done = planned[stage.name]
    if (Path(plan.base_model).parent / DONE).is_file():
        found.base_bytes = 0


def _settle_disk(found: TrainingOutlook) -> None:
    """What is on disk at most: stages keep what they make while later ones run."""
    kept = peak = found.base_bytes
    for stage in found.stages:
        if not stage.is_done:
            peak = max(peak, kept + stage.disk_bytes)
            kept += stage.kept_bytes
    found.disk_bytes, found.kept_bytes = peak, kept
    if "://" not in found.folder:
        there = Path(found.folder)
        found.free_bytes = shutil.disk_usage(next(path for path in (there, *there.parents) if path.exists())).free
        if peak > found.free_bytes:
            found.problems.append(
                f"output: {found.folder}: the stages take about {peak / 1e9:,.3g} GB there, and "
                f"{found.free_bytes / 1e9:,.3g} GB are free: free space, write elsewhere with --output, or keep "
                "fewer checkpoints (`checkpoints.keep`)"
            )


@dataclass
class _Looked:
    """What was looked at so far."""

    manifest: TrainingManifest
    base: str
    folder: str
    found: TrainingOutlook
    sizes: dict[str, int] = field(default_factory=dict)
    """Weights of each model, by what the manifest calls it; a model that is not there has none."""
    config: dict[str, Any] = field(default_factory=dict)
    """Of the base."""
    configs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of each model that is known, by what the manifest calls it: those that it may have, the likeliest first."""

    def look(self) -> None:
        self._try("report_to", lambda: check_reporters(self.manifest.report_to))
        if "://" in self.folder:
            self.found.problems.append(f"output: {self.folder}: models are written to a folder on this machine")
        new = self.manifest.base
        base_model = Path(resolve(new.tokenizer if isinstance(new, NewModel) else new, self.base))
        self._try("base", lambda: self._look_at_base(base_model))
        self._look_at_measures()
        tokens, speeds = tokens_of(base_model), measured_speeds(Path(self.folder))
        for stage in self.manifest.stages:
            found = self._stage(stage, tokens)
            rate = speeds.get(stage.name) or speeds.get(stage.kind)
            found.seconds = found.n_tokens / rate if rate and found.n_tokens else None
            self.found.stages.append(found)
            self.sizes[stage.name] = found.n_parameters

    def _try(self, at: str | None, look: Callable[[], None]) -> None:
        """Look, and take note of what is wrong; `at` is where, unless the error says it."""
        try:
            look()
        except (RequestError, RunError) as error:
            self.found.problems.append(f"{at}: {error}" if at else str(error))

    def _look_at_base(self, folder: Path) -> None:
        if isinstance(self.manifest.base, NewModel):
            self.config = new_config(self.manifest.base, folder)
            self.configs[BASE] = [self.config]
            self.sizes[BASE] = self.found.n_parameters = _n_parameters(self.config)
            self.found.base_bytes = WEIGHT_BYTES * self.found.n_parameters
            return
        self.config = read_config(folder)
        self.configs[BASE] = [self.config]
        check_architecture(self.config, folder)
        self.sizes[BASE] = self.found.n_parameters = count_parameters(folder)
        if not list(folder.glob("*.safetensors")):
            raise RequestError(f"{folder}: no weights in safetensors are there; other formats are not read")
        if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
            raise RequestError(f"{folder}: no tokenizer is there (tokenizer.json, tokenizer_config.json)")

    def _look_at_measures(self) -> None:
        """Whether validation and prompts are there."""
        for number, item in enumerate(self.manifest.validation):
            at = f"validation[{number}]"
            if path := item.text or item.choices:
                self._try(at, lambda path=path: _ignore(input_files(resolve(path, self.base))))  # type: ignore[misc]
            elif item.mixture:
                record = resolve(f"{item.mixture}/run.json", self.base)
                if not Path(record).is_file() and "://" not in record:
                    self.found.problems.append(f"{at}.mixture: {item.mixture}: no complete mixture is there")
        if prompts := self.manifest.prompts:
            self._try("prompts", lambda: _ignore(input_files(resolve(prompts.path, self.base))))
        if self.manifest.reward:
            self._try("reward", lambda: _ignore(self._size(self.manifest.reward or "")))

    def _size(self, name: str) -> int:
        """Weights of a model by what the manifest calls it.

        Raises:
            RequestError: it is a folder without a model.
        """
        if name not in self.sizes and not self._is_made(name):
            self.sizes[name] = count_parameters(Path(resolve(name, self.base)))
        return self.sizes.get(name, 0)

    def _is_made(self, name: str) -> bool:
        """Whether a name is the base's or a stage's, and no folder."""
        return name in (BASE, *(stage.name for stage in self.manifest.stages))

    # stages

    def _stage(self, stage: TrainingStage, tokens: Tokens) -> StageOutlook:
        names = list(self._models(stage))
        for name in names:
            self._try(f"stage {stage.name}", lambda name=name: _ignore(self._size(name)))  # type: ignore[misc]
        self._try(None, lambda: check_teacher(stage, self.manifest, self.base))
        n_weights = self.sizes.get(names[0], 0)
        found = StageOutlook(name=stage.name, kind=stage.kind, starts_from=names, n_parameters=n_weights)
        if isinstance(stage, Merge):
            found.kept_bytes = n_weights * (HALF_BYTES if stage.rule.dtype in HALF else WEIGHT_BYTES)
            found.disk_bytes = found.kept_bytes * (2 if stage.sweep else 1)
            self.configs[stage.name] = self._configs_of(names[0], dtype=stage.rule.dtype)
            return found
        if isinstance(stage, Init | Upscale | Prune):
            self._rebuild(stage, found)
            return found
        self.configs[stage.name] = self._configs_of(names[0], dtype="float32")
        found.n_trained_parameters = self._n_trained(stage, n_weights)
        self._try(f"stage {stage.name}", lambda: self._read(stage, found, tokens))
        if found.n_tokens is not None:
            found.flops = Training(n_weights, found.n_tokens).flops + self._teacher_flops(stage, found.n_tokens)
        found.memory = dict(self._memory(stage, found))
        found.memory_bytes = sum(found.memory.values())
        adapter_bytes = WEIGHT_BYTES * found.n_trained_parameters if stage.lora else 0
        found.kept_bytes = WEIGHT_BYTES * n_weights + adapter_bytes
        held = found.n_trained_parameters if stage.lora else n_weights
        checkpoint_bytes = WEIGHT_BYTES * held + ADAM_BYTES * found.n_trained_parameters
        found.disk_bytes = found.kept_bytes + (stage.checkpoints.keep + 1) * checkpoint_bytes
        return found

    def _configs_of(self, name: str, dtype: str | None = None) -> list[dict[str, Any]]:
        """The configurations that a model may have, by what the manifest calls it, with its weights of another dtype;
        none where it cannot be read."""
        if name not in self.configs and not self._is_made(name):
            try:
                self.configs[name] = [read_config(Path(resolve(name, self.base)))]
            except RequestError:
                return []
        return [config | ({"dtype": dtype} if dtype else {}) for config in self.configs.get(name, ())]

    def _rebuild(self, stage: Init | Upscale | Prune, found: StageOutlook) -> None:
        """What a stage makes that builds a model anew, as far as that is known before it."""
        before = self._configs_of(found.starts_from[0])
        self._try(f"stage {stage.name}", lambda: self._resize(stage, before, found))
        of_weight = weight_bytes(next(iter(self.configs.get(stage.name) or before), {}))
        found.kept_bytes = found.disk_bytes = of_weight * found.n_parameters
        vocab_size = next((config.get("vocab_size") for config in before), None)
        for problem in check_data(stage, self.base, vocab_size):
            self.found.problems.append(f"stage {stage.name}: {problem}")
        for path in measured_texts(stage):
            self._try(f"stage {stage.name}", lambda path=path: _ignore(input_files(resolve(path, self.base))))  # type: ignore[misc]

    def _resize(self, stage: Init | Upscale | Prune, before: Sequence[dict[str, Any]], found: StageOutlook) -> None:
        """Sizes of what a stage makes, by the configurations of what it goes on from."""
        self.configs[stage.name] = built(stage, before)
        for after in self.configs[stage.name][:1]:
            found.n_parameters = _n_parameters(after) or found.n_parameters

    def _models(self, stage: TrainingStage) -> Iterator[str]:
        """What the stage reads, the one that it goes on from first."""
        named = {".".join(map(str, place)): str(name) for *place, name, _ in named_models(stage)}
        if not isinstance(stage, Merge) and "model" not in named:
            yield starts_from(stage, self.manifest)
        yield from dict.fromkeys(named.values())

    def _n_trained(self, stage: Trained, n_weights: int) -> int:
        if stage.lora is None:
            return n_weights
        config = next(iter(self.configs.get(stage.name, ())), self.config)
        found = lora_parameters(config, stage.lora.rank, stage.lora.targets) if config else None
        return found or 0

    def _teacher_flops(self, stage: Trained, n_tokens: int) -> float:
        """Of a teacher that is asked in each step: forwards only."""
        if not isinstance(stage, Distill) or stage.teacher is None or stage.ce_weight == 1:
            return 0.0
        return forward_flops(self.sizes.get(stage.teacher, 0), n_tokens)

    def _read(self, stage: Trained, found: StageOutlook, tokens: Tokens) -> None:
        """Rows, steps and tokens."""
        reads = self._reads(stage, tokens)
        batch = stage.batch
        n_rows = reads.n_rows
        if isinstance(stage, Cpt) and stage.law:
            batch = _law_batch(stage.law.compute, found.n_parameters, reads)
        if (isinstance(stage, Sft) and stage.packing) or (isinstance(stage, Distill) and not stage.mixture):
            is_paired = isinstance(stage, Distill) and stage.contrastive is not None  # both answers in one row
            n_rows = math.ceil(reads.n_tokens / ((1 + is_paired) * stage.max_length))
        per_epoch = n_rows / max(batch, 1)
        found.n_rows, found.is_exact = reads.n_rows, reads.is_exact
        found.n_steps = stage.steps or max(1, math.ceil(round(per_epoch * stage.epochs, 9)))
        epochs = stage.steps / per_epoch if stage.steps and per_epoch else stage.epochs
        found.n_tokens = round(reads.n_tokens * epochs)

    def _reads(self, stage: Trained, tokens: Tokens) -> Reads:
        if isinstance(stage, Contrast):
            return text_reads(stage, self.base, tokens)
        if isinstance(stage, Cpt | Mntp) or (isinstance(stage, Distill) and stage.mixture):
            return mixture_reads(stage, self.base, self.config.get("vocab_size"))
        if isinstance(stage, Distill) and stage.logprobs is not None:
            stored = logprob_reads(stage.logprobs, self.base, stage.max_length)
            return _share(stored, 1 - stage.held_out)
        if isinstance(stage, OnlineDpo):
            prompts = prompt_reads(stage.prompts, self.base, "prompts", tokens)
            longest = prompts.n_tokens + prompts.n_rows * stage.max_new_tokens
            return Reads(prompts.n_rows, 2 * longest)
        assert isinstance(stage, Sft | Reward | Dpo | Distill)
        table = "messages" if isinstance(stage, Sft | Distill) else "preference"
        reads, problems = row_reads(stage.data, self.base, table, tokens, stage.max_length)
        self.found.problems += [f"stage {stage.name}: {problem}" for problem in problems]
        if isinstance(stage, Reward) and (choice := stage.best_of_n):
            prompt_reads(choice.prompts, self.base, "best_of_n.prompts", tokens, choice.limit)
        if isinstance(stage, Distill) and stage.contrastive:
            reads = Reads(reads.n_rows, 2 * reads.n_tokens)  # if the student's answers are as long
        return _share(reads, 1 - stage.held_out)

    def _memory(self, stage: Trained, found: StageOutlook) -> Iterator[tuple[str, int]]:
        yield "weights", WEIGHT_BYTES * found.n_parameters
        if stage.lora:
            yield "adapter", WEIGHT_BYTES * found.n_trained_parameters
        yield "gradients", WEIGHT_BYTES * found.n_trained_parameters
        yield "optimiser", ADAM_BYTES * found.n_trained_parameters
        if isinstance(stage, Dpo | OnlineDpo):
            is_own = stage.lora is not None and stage.reference is None
            yield (
                "reference",
                0 if is_own else WEIGHT_BYTES * self.sizes.get(stage.reference or "", found.n_parameters),
            )
        if isinstance(stage, Distill) and stage.teacher is not None:
            of_weight = HALF_BYTES if stage.precision == "bfloat16" else WEIGHT_BYTES
            yield "teacher", of_weight * self.sizes.get(stage.teacher, found.n_parameters)
        if isinstance(stage, OnlineDpo):
            yield "reward model", WEIGHT_BYTES * self.sizes.get(stage.reward, found.n_parameters)
            yield "copy that draws", WEIGHT_BYTES * found.n_trained_parameters if stage.asynchronous else 0


def _n_parameters(config: Mapping[str, Any]) -> int:
    """Weights by a configuration; 0 of an architecture that is not counted by it."""
    found = parameters(config)
    return found.total if found else 0


def _ignore(_: object) -> None:
    """For what is looked at for its errors only."""


def _share(reads: Reads, share: float) -> Reads:
    """What is left where the rest is held out."""
    return Reads(round(reads.n_rows * share), round(reads.n_tokens * share))


def _law_batch(compute: float | None, n_parameters: int, reads: Reads) -> int:
    """Sequences per step by DeepSeek's law."""
    flops = compute or Training(n_parameters, reads.n_tokens).flops
    return max(1, round(deepseek_law(flops)[1] / max(reads.n_tokens / max(reads.n_rows, 1), 1))) if flops else 1


def check_architecture(config: Mapping[str, Any], folder: Path) -> None:
    """That transformers knows a model, by its source: to import it would take seconds and all of torch.

    Raises:
        RequestError: it does not, or the configuration names none.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise RequestError(f"{folder / 'config.json'}: `model_type` is missing; expected one as `llama`")
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        raise RequestError("transformers is not installed: pip install 'onggi[train]'")
    known = Path(spec.origin).parent / "models" / "auto"
    if not any(f'"{kind}"' in path.read_text("utf-8") for path in sorted(known.glob("*.py"))):
        raise RequestError(
            f"{folder / 'config.json'}: `model_type` is {kind!r}, which the installed transformers does not know; "
            "code that comes with a model is not run: convert it to an architecture that it knows, as `llama`"
        )


def measured_speeds(folder: Path) -> dict[str, float]:
    """Tokens per second of an earlier run in a folder, by stage and by kind of stage."""
    try:
        summary = TrainingSummary.model_validate_json((folder / SUMMARY).read_bytes())
    except (OSError, ValueError):
        return {}
    speeds = dict[str, float]()
    for stage in summary.stages:
        n_tokens = stage.made.counts.get("tokens", 0)
        if n_tokens and stage.seconds:
            speeds[stage.kind] = speeds[stage.name] = n_tokens / stage.seconds
    return speeds
