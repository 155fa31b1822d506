"""What the loop of continued pre-training costs over a bare PyTorch loop on the same model and batches.

    python -m benchmarks.cpt_overhead                  # CPU: 4 layers of width 256, 1,024 tokens per step
    python -m benchmarks.cpt_overhead --gpu            # a Llama of 1B in bfloat16, beside TRL's SFTTrainer

Ours is all of `onggi train`'s loop: rows from the mixture's Parquet files, transformers' trainer, clipping, schedule,
a line of the curve per step. The bare loop has its batches in memory and does forward, cross entropy, backward,
clipping and a step of AdamW. Since our loss is faster than PyTorch's, there is a second bare loop with it: the ratio
to that one is the overhead of the loop alone. Repeats alternate; ratios are of neighbours, and the median counts.
Prints JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn import functional

from benchmarks.token_dataset import random_mixture
from manifests.engine import silent
from manifests.schema_training_stages import Cpt, MixtureUse
from training.jobs import Job
from training.optimizers import adamw
from training.pretraining.head_loss import with_head_loss
from training.pretraining.isolation import inputs_of
from training.pretraining.mixtures import Opened
from training.pretraining.order import Supply, order_of
from training.pretraining.trainer import CptTrainer, SequenceRows, collate
from training.pretraining.utilization import flops_per_token, peak_flops
from training.token_dataset import NO_LOSS, TokenDataset
from training.trainers import arguments, attention, train

WARMUP_STEPS = 3
CPU = {"hidden": 256, "layers": 4, "heads": 8, "groups": 4, "inner": 768, "ids": 4096, "length": 512, "batch": 2}
GPU = {
    "hidden": 2048,
    "layers": 16,
    "heads": 32,
    "groups": 8,
    "inner": 8192,
    "ids": 128_256,
    "length": 4096,
    "batch": 8,
}
"""That of Llama 3.2 1B: 1.24B weights, embeddings of input and output tied."""


def model_of(size: dict[str, int]) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=size["ids"],
        hidden_size=size["hidden"],
        intermediate_size=size["inner"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["groups"],
        max_position_embeddings=size["length"],
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention(is_packed=True))
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


class Clock(transformers.TrainerCallback):
    """Seconds of the steps after the first few."""

    def __init__(self) -> None:
        self.began, self.seconds = now(), np.zeros(2)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin."""
        if state.global_step == WARMUP_STEPS:
            self.began = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End, if this is the last one."""
        self.seconds = now() - self.began


def now() -> Any:
    """Seconds on the wall, and of this process on its CPUs, which other processes do not lengthen."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def stage_of(size: dict[str, int], mixture: Path, n_steps: int, micro_batch: int) -> Cpt:
    settings = {"batch": size["batch"], "micro_batch": micro_batch, "steps": n_steps, "learning_rate": 3e-4}
    return Cpt.model_validate({"kind": "cpt", "name": "cpt", "mixture": str(mixture), **settings})


def rows_of(stage: Cpt, mixture: Path) -> SequenceRows:
    dataset = TokenDataset(str(mixture), mask_boundaries=True)
    n_tokens = np.full(len(dataset), dataset.sequence_length, np.int32)
    opened = Opened("mixture", MixtureUse(path=str(mixture)), dataset, Supply(n_tokens))
    assert stage.steps is not None
    return SequenceRows([opened], order_of([opened.supply], 0, n_places=stage.steps * stage.batch))


def ours(stage: Cpt, mixture: Path, size: dict[str, int]) -> Any:
    """Seconds per step."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(stage=stage, folder=folder, manifest_base=folder, models={}, seed=0)
        clock, rows = Clock(), rows_of(stage, mixture)
        assert stage.steps is not None
        model = model_of(size)
        trainer = CptTrainer(
            with_head_loss(model),
            model=model,
            args=arguments(job, stage.steps),
            train_dataset=rows,
            data_collator=collate,
        )
        trainer.add_callback(clock)
        trainer.remove_callback(transformers.PrinterCallback)
        train(trainer, job, silent)
        return clock.seconds / (stage.steps - WARMUP_STEPS)


def bare(stage: Cpt, mixture: Path, size: dict[str, int], loss_of: Callable[..., torch.Tensor]) -> Any:
    """Seconds per step of a loop that does only what has to be done.

    Args:
        stage: for batch and optimiser.
        mixture: whose rows it is given, in memory.
        size: of the model.
        loss_of: from the model, its inputs and the ids that are to come to their mean loss.
    """
    assert stage.steps is not None and stage.micro_batch is not None
    model, rows = model_of(size), rows_of(stage, mixture)
    with_head_loss(model)
    micro = stage.micro_batch
    batches = [collate(rows.__getitems__(range(at, at + micro))) for at in range(0, len(rows), micro)]
    batches = [{name: value.to(model.device) for name, value in batch.items()} for batch in batches]
    per_step = stage.batch // micro
    optimizer = adamw(model.named_parameters(), stage.optimizer, stage.learning_rate)
    half = torch.autocast(model.device.type, torch.bfloat16, enabled=torch.cuda.is_available())
    model.train()
    began = now()
    for step in range(stage.steps):
        if step == WARMUP_STEPS:
            began = now()
        for batch in batches[step * per_step : (step + 1) * per_step]:
            inputs = inputs_of(batch["input_ids"], batch["position_ids"], attention(is_packed=True))
            with half:
                loss = loss_of(model, inputs, batch["shift_labels"].flatten())
            (loss / per_step).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), stage.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    return (now() - began) / (stage.steps - WARMUP_STEPS)


def of_pytorch(model: Any, inputs: dict[str, Any], targets: torch.Tensor) -> torch.Tensor:
    logits = model(**inputs).logits.flatten(0, 1)
    return functional.cross_entropy(logits.float(), targets, ignore_index=NO_LOSS)


def of_ours(model: Any, inputs: dict[str, Any], targets: torch.Tensor) -> Any:
    return model(**inputs, targets=targets)["total"] / (targets != NO_LOSS).sum()


def trl(stage: Cpt, mixture: Path, size: dict[str, int]) -> Any:
    """Seconds per step of TRL's SFTTrainer on the same documents, packed by it, without cutting any away."""
    import datasets
    from trl import SFTConfig, SFTTrainer

    dataset = TokenDataset(str(mixture))
    n_rows = min(len(dataset), (stage.steps or 1) * stage.batch)
    documents = [
        part.tolist()
        for item in map(dataset.__getitem__, range(n_rows))
        for part in np.split(item["input_ids"], item["document_starts"][1:])
    ]
    with tempfile.TemporaryDirectory() as folder:
        job = Job(stage=stage, folder=folder, manifest_base=folder, models={}, seed=0)
        packing = {"packing": True, "packing_strategy": "bfd_split", "max_length": size["length"]}
        config = arguments(job, stage.steps or 1, SFTConfig, **packing, save_strategy="no")
        clock, rows = Clock(), datasets.Dataset.from_dict({"input_ids": documents})
        trainer = SFTTrainer(model=model_of(size), args=config, train_dataset=rows, processing_class=_no_tokenizer())
        trainer.add_callback(clock)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return clock.seconds / ((stage.steps or 1) - WARMUP_STEPS)


def _no_tokenizer() -> Any:
    """TRL asks for one, even where there are ids."""
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "<unk>": 2}, unk_token="<unk>"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<pad>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="the 1B model, in bfloat16; needs a GPU")
    parser.add_argument("--trl", action="store_true", help="TRL's SFTTrainer, too (with --gpu always)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.gpu and not torch.cuda.is_available():
        parser.error("--gpu: there is none")
    torch.set_num_threads(chosen.threads)
    transformers.utils.logging.disable_progress_bar()
    size = GPU if chosen.gpu else CPU
    n_steps = chosen.steps + WARMUP_STEPS
    with tempfile.TemporaryDirectory() as scratch:
        mixture = Path(scratch, "mixture")
        random_mixture(mixture, n_steps * size["batch"], size["length"], size["ids"])
        stage = stage_of(size, mixture, n_steps, chosen.micro_batch or size["batch"])
        loops: dict[str, Callable[[], Any]] = {
            "bare": lambda: bare(stage, mixture, size, of_pytorch),
            "ours": lambda: ours(stage, mixture, size),
            "bare_with_our_loss": lambda: bare(stage, mixture, size, of_ours),
        }
        if chosen.gpu or chosen.trl:
            loops["trl"] = lambda: trl(stage, mixture, size)
        seconds, bytes_ = measured(loops, chosen.repeats)
    print(json.dumps(told(seconds, bytes_, size), indent=2))


def measured(loops: dict[str, Callable[[], Any]], n_repeats: int) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """Seconds per step of each repeat, and the greatest memory of a GPU."""
    seconds: dict[str, list[Any]] = {name: [] for name in loops}
    peaks = dict[str, int]()
    for _ in range(n_repeats):
        for name, loop in loops.items():
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            seconds[name].append(loop())
            if torch.cuda.is_available():
                peaks[name] = torch.cuda.max_memory_allocated()
    return seconds, peaks


def told(seconds: dict[str, list[Any]], peaks: dict[str, int], size: dict[str, int]) -> dict[str, Any]:
    """Medians, and ratios of what ran side by side."""
    n_tokens = size["batch"] * size["length"]
    medians = {name: float(np.median([wall for wall, _ in of])) for name, of in seconds.items()}

    def overhead(name: str, clock: int) -> float:
        ratios = [mine[clock] / theirs[clock] for mine, theirs in zip(seconds["ours"], seconds[name], strict=True)]
        return round(statistics.median(ratios) - 1, 4)

    found: dict[str, Any] = {
        "seconds_per_step": {name: round(value, 4) for name, value in medians.items()},
        "tokens_per_s": {name: round(n_tokens / value) for name, value in medians.items()},
        "overhead": {
            f"over_{name}": {"wall": overhead(name, 0), "cpu": overhead(name, 1)}
            for name in seconds
            if name != "ours"
        },
        "size": size,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
        model = model_of(size)
        per_token = flops_per_token(model.num_parameters(), model.config, size["length"])
        found |= {
            "device": device,
            "attention": attention(is_packed=True),
            "peak_gib": {n: b / 2**30 for n, b in peaks.items()},
        }
        if peak := peak_flops(device):
            found["mfu"] = {name: round(n_tokens / value * per_token / peak, 4) for name, value in medians.items()}
    return found


if __name__ == "__main__":
    main()
