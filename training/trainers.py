"""What all trainers share: models and arguments by the manifest, data in an order of its own, exact resuming.

A mixin, `Staged`, goes before a trainer of transformers or TRL. The order of the data is made before it, by
`data_order`, and no trainer shuffles, so a place in the data is a step times a batch. What a step depends on beyond
the manifest lies in the checkpoint: a training that was killed gives the same bits as one that was not.
"""

import math
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError

from manifests.engine import Progress
from manifests.errors import RequestError, RunError
from manifests.schema_training_stages import Trained
from training.checkpoints import Curve, finish, full_disk, last_whole, load_extra, save_extra
from training.jobs import CHECKPOINTS, CURVE, Cell, Job
from training.optimizers import adamw
from training.progress_notes import curve_note
from training.schedules import lr_share

NEW_HEADS = ("score.", "classifier.", "v_head.")
"""Where names of the weights begin that a reward model has and a language model lacks."""
LINES_MAX = 20_000
"""Lines of a curve; longer trainings log every so many steps."""


def data_order(n: int, epochs: float, seed: int) -> NDArray[np.int64]:
    """Numbers of n rows in the order of training, each epoch in one of its own; n * epochs of them, at least one."""
    random = np.random.default_rng(seed)
    n_taken = max(1, round(n * epochs))
    return np.concatenate([random.permutation(n) for _ in range(math.ceil(n_taken / n))])[:n_taken]


def n_steps_of(stage: Trained, n_rows: int) -> int:
    """Steps of a stage whose data has n rows: those that it names, or as many as its epochs take."""
    return stage.steps or math.ceil(max(1, round(n_rows * stage.epochs)) / stage.batch)


def rows_in_order(stage: Trained, n_rows: int, seed: int) -> NDArray[np.int64]:
    """`data_order` of a stage: its epochs, or as many rows as its steps take."""
    taken = stage.steps * stage.batch / n_rows if stage.steps else stage.epochs
    return data_order(n_rows, taken, seed)


def whole_steps(stage: Trained, n_rows: int, seed: int) -> NDArray[np.int64]:
    """`rows_in_order`, with the first ones again in what is left of the last step.

    Losses are means over what a process takes at once, so rows of a smaller step would count by how they are shared
    out.
    """
    return np.resize(rows_in_order(stage, n_rows, seed), n_steps_of(stage, n_rows) * stage.batch)


def n_trained(model: Any) -> int:
    """Weights that are trained: with LoRA, those of the update; to be asked before they are shared out."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def load_tokenizer(folder: str) -> Any:
    """The tokenizer in a model's folder.

    Raises:
        RequestError: there is none, or it cannot be read.
    """
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises errors of many kinds
        raise RequestError(f"{folder}: its tokenizer cannot be read: {error}") from error


def load_model(
    folder: str,
    *,
    heads: int | None = None,
    backbone: bool = False,
    is_packed: bool = False,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Any:
    """The model in a folder: a causal language model, one with so many scores per sequence, or one without an output
    layer.

    Args:
        folder: `config.json` and safetensors.
        heads: scores per sequence, for a reward model; None for a language model.
        backbone: whether it is to give the states of its last layer, for an encoder.
        is_packed: whether it is to read packed sequences in bfloat16.
        dtype: of its weights, also while they are read; buffers, as the frequencies of rotary embeddings, stay in
            their own.
        options: more for `from_pretrained`.

    Raises:
        RequestError: there is no such model, it is not in safetensors, not whole, or its architecture is unknown.
    """
    if not Path(folder, "config.json").is_file():
        raise RequestError(f"{folder}: is no model: there is no config.json")
    if not list(Path(folder).glob("*.safetensors")):
        raise RequestError(
            f"{folder}: there are no weights in safetensors; other formats can run code, so they are not read: "
            "convert them with transformers' `save_pretrained`"
        )
    kind = transformers.AutoModel if backbone else transformers.AutoModelForCausalLM
    if heads is not None:
        kind, options["num_labels"] = transformers.AutoModelForSequenceClassification, heads
    try:
        model, said = kind.from_pretrained(
            folder,
            output_loading_info=True,
            dtype=dtype,
            attn_implementation=attention(is_packed),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            **options,
        )
    except (ValueError, KeyError) as error:
        raise RequestError(f"{folder}: is no model that this version of transformers knows: {error}") from error
    except (OSError, SafetensorError) as error:
        raise RequestError(f"{folder}: cannot be read: {error}") from error
    lacking = sorted(name for name in said["missing_keys"] if heads is None or not name.startswith(NEW_HEADS))
    if lacking:  # transformers would draw them at random
        shown = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
        raise RequestError(
            f"{folder}: its weights lack {shown}; copy or download the model again, with all its files"
        )
    return model


def attention(is_packed: bool) -> str:
    """Which implementation of attention is used.

    FlashAttention, where a GPU and the package are there, for packed sequences in bfloat16: it skips what sdpa
    computes and masks, and takes no float32. Else sdpa.
    """
    if is_packed and torch.cuda.is_available():
        from transformers.utils import is_flash_attn_2_available

        if is_flash_attn_2_available():
            return "flash_attention_2"
    return "sdpa"


def in_bfloat16(stage: Trained) -> bool:
    """Whether sums are made in bfloat16."""
    if stage.precision == "auto":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return stage.precision == "bfloat16"


def arguments(job: Job, n_steps: int, config: type[Any] = transformers.TrainingArguments, **more: Any) -> Any:
    """Arguments of a trainer of transformers or TRL for a stage.

    The batch of the manifest is that of all processes; each takes `micro_batch` at once and adds up gradients.

    Raises:
        RequestError: the batch cannot be shared out among the processes.
    """
    stage = job.stage
    assert isinstance(stage, Trained)
    n_processes = n_ranks()
    micro, n_accumulated = shares(stage.batch, stage.micro_batch, n_processes)
    every = math.ceil(n_steps / LINES_MAX)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(job.path / "tensorboard")  # where transformers 5 looks for it
    values = {
        "output_dir": str(job.path / CHECKPOINTS),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": n_accumulated,
        "max_steps": n_steps,
        "learning_rate": stage.learning_rate,
        "max_grad_norm": stage.optimizer.max_grad_norm,
        "bf16": in_bfloat16(stage),
        "gradient_checkpointing": stage.recompute,
        "train_sampling_strategy": "sequential",
        "logging_steps": every,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": math.ceil(stage.checkpoints.every / every) * every,
        "save_total_limit": None,
        "seed": job.seed,
        "data_seed": job.seed,
        "report_to": list(job.report_to) or "none",
        "use_cpu": not torch.cuda.is_available(),
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "average_tokens_across_devices": True,
        "eval_strategy": "no",
        "push_to_hub": False,
        **more,
    }
    with warnings.catch_warnings():  # TRL knows activation checkpointing by its old name only
        warnings.filterwarnings("ignore", "`gradient_checkpointing` is deprecated", FutureWarning)
        return config(**values)


def n_ranks() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def shares(batch: int, micro_batch: int | None, n_processes: int) -> tuple[int, int]:
    """Rows that a process takes at once, and how many such times a step has.

    Raises:
        RequestError: the batch is no multiple of the processes, or of what they take at once.
    """
    share, rest = divmod(batch, n_processes)
    if rest or not share:
        raise RequestError(f"batch: {batch} cannot be shared out among {n_processes} processes; make it a multiple")
    micro = min(micro_batch or share, share)
    if share % micro:
        raise RequestError(
            f"micro_batch: {micro} does not divide the {share} rows per step of each of {n_processes} processes"
        )
    return micro, share // micro


class Staged:
    """A mixin before a trainer of transformers or TRL: optimiser and schedule of the manifest, checkpoints that are
    whole or not there, a curve of every step."""

    job: Job
    progress: Progress
    curve: Curve

    def begin(self, job: Job, progress: Progress) -> None:
        """Take the stage's job: to be called before `train`."""
        self.job, self.progress = job, progress

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW by the manifest."""
        trainer: Any = self
        if trainer.optimizer is None:
            stage = self.job.stage
            assert isinstance(stage, Trained)
            named = (model or trainer.model).named_parameters()
            trained = [(name, weight) for name, weight in named if weight.requires_grad]
            trainer.optimizer = adamw(trained, stage.optimizer, trainer.args.learning_rate)
        return trainer.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The manifest's schedule."""
        trainer: Any = self
        if trainer.lr_scheduler is None:
            stage = self.job.stage
            assert isinstance(stage, Trained)
            trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or trainer.optimizer, lambda step: lr_share(step, num_training_steps, stage.schedule)
            )
            trainer._created_lr_scheduler = True
        return trainer.lr_scheduler

    def extra_state(self) -> Mapping[str, Any]:
        """What a stage keeps beside weights, optimiser and random state: tensors, and values for JSON."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `extra_state` gave."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write a line of the curve; a loss that is no number ends the training."""
        trainer: Any = self
        super().log(logs, start_time)  # type: ignore[misc]
        line: dict[str, Cell] = dict(trainer.state.log_history.pop())
        if "loss" not in line or "train_runtime" in line:
            return
        if not all(math.isfinite(float(line.get(name) or 0)) for name in ("loss", "grad_norm")):
            raise RunError(self._not_finite(line))
        if trainer.args.should_save:
            self.curve.add(line)
            n_steps = trainer.state.max_steps
            self.progress(self.job.stage.name, trainer.state.global_step, n_steps, curve_note(line, n_steps))

    def _not_finite(self, line: Mapping[str, Cell]) -> str:
        stage = self.job.stage
        assert isinstance(stage, Trained)
        return (
            f"{stage.name}: at step {line['step']} the loss is {line['loss']}, its gradient {line.get('grad_norm')}, "
            f"with a learning rate of {line.get('learning_rate'):g}. Take a smaller `learning_rate` or a longer "
            "`schedule.warmup`, and look at the data of this step; stages before this one are kept"
        )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        trainer: Any = self
        folder = Path(trainer.args.output_dir, f"checkpoint-{trainer.state.global_step}")
        with full_disk(folder, self.job.stage.name, unfinished=folder):
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            save_extra(folder, trainer.args.process_index, self.extra_state())
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            stage = self.job.stage
            assert isinstance(stage, Trained)
            finish(folder, stage.checkpoints.keep, trainer.state.global_step)


def train(trainer: Any, job: Job, progress: Progress) -> list[dict[str, Cell]]:
    """Train to the end, from the last whole checkpoint on if there is one; the lines of the curve.

    Raises:
        RunError: the loss is no number, or the disk is full; checkpoints that are whole stay.
    """
    trainer.begin(job, progress)
    checkpoint = last_whole(job.path / CHECKPOINTS, is_mine=trainer.args.should_save)
    step = int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0
    trainer.curve = Curve(job.path / CURVE, step, is_mine=trainer.args.should_save)
    if checkpoint:
        trainer.load_extra_state(load_extra(checkpoint, trainer.args.process_index))
    progress(job.stage.name, step, trainer.args.max_steps)
    transformers.set_seed(job.seed)  # whatever a run that goes on has not had to do before
    with full_disk(job.path, job.stage.name), trainer.curve:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    curve: Curve = trainer.curve
    return curve.lines()


def save_model(trainer: Any, tokenizer: Any, job: Job) -> None:
    """Write the trained model to `model/`, whole or not at all; LoRA is merged into it, and stays in `adapter/`.

    Raises:
        RunError: the disk is full.
    """
    partial = job.path / "model.partial"
    with full_disk(job.path, job.stage.name, unfinished=partial):
        model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_fsdp_enabled else None
        if trainer.args.should_save:
            write_model(model, tokenizer, partial, state, adapter=job.path / "adapter")
            replace(partial, job.model_path)
    trainer.accelerator.wait_for_everyone()


def write_model(model: Any, tokenizer: Any, folder: Path, state: Any = None, adapter: Path | None = None) -> None:
    """Write weights, configuration and tokenizer into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    if hasattr(model, "merge_and_unload"):
        if adapter:
            model.save_pretrained(adapter, state_dict=state)
        model, state = model.merge_and_unload(), None
    model.save_pretrained(folder, state_dict=state)
    tokenizer.save_pretrained(folder)


def replace(partial: Path, final: Path) -> None:
    """Give a folder that is whole its name."""
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
