"""How weights of norms are rescaled when hidden channels go: three ways, by the loss right after pruning.

    python -m benchmarks.pruned_norms OUT [--seeds 0 1 2] [--text DIR] [--steps 500] [--cpu-threads 1]

Each seed trains a Llama of 0.5 M weights (4 layers of 96 channels) on Korean and English text (`--text`: a folder
with the development corpora's Parquet files; else the bundled sample) and prunes its hidden channels. What each way
does to the same channels is compared on text that was not trained on: weights as they are; all of them times
sqrt(old / new), which is right where what goes was 0; and each norm's by the share of its input's square that it
keeps.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.toy_distillation import load, make_tokenizer, write_data
from manifests.schema_surgery import Importance, Sizes
from training.pruning.calibration import Samples
from training.pruning.importance import measure_importance
from training.pruning.ranking import choose
from training.pruning.slicing import prune
from training.trainers import load_model

LENGTH, BATCH, RATE = 128, 16, 3e-3
HIDDEN, WIDTHS = 96, (88, 80, 72, 64, 48)
WAYS = ("as they are", "sqrt(old / new)", "by the share kept")
HELD_OUT, CALIBRATION = 64, 192
"""Rows of text."""


def rows_of(folder: Path, n_chars: int, text: str | None) -> torch.Tensor:
    """Text of both languages by turns as rows of ids."""
    import orjson

    write_data(folder / "data", text, n_chars)
    make_tokenizer(folder / "tokenizer", folder / "data")
    tokenizer = load(folder / "tokenizer")
    by_language = []
    for language in ("ko", "en"):
        lines = (folder / f"data/text_{language}.jsonl").read_bytes().splitlines()
        ids: list[int] = []
        for line in lines:
            ids += [*tokenizer(orjson.loads(line)["text"])["input_ids"], tokenizer.eos_token_id]
        by_language.append(torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).reshape(-1, LENGTH))
    n = min(map(len, by_language))
    return torch.stack([rows[:n] for rows in by_language], 1).reshape(-1, LENGTH)


def trained(rows: torch.Tensor, tokenizer: Any, steps: int, seed: int) -> Any:
    """A Llama trained on rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=LENGTH,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, RATE / 20)
    for batch in _batches(rows, steps, seed):
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return model.eval()


def _batches(rows: torch.Tensor, steps: int, seed: int) -> Iterator[torch.Tensor]:
    draw = np.random.default_rng(seed)
    for _ in range(steps):
        yield rows[draw.integers(0, len(rows), BATCH)]


def loss_of(model: Any, rows: torch.Tensor) -> float:
    """Nats per token."""
    with torch.no_grad():
        return float(model(input_ids=rows, labels=rows).loss)


def norms_of(model: Any) -> list[Any]:
    """All norms over hidden channels."""
    layers = model.model.layers
    return [
        *(norm for layer in layers for norm in (layer.input_layernorm, layer.post_attention_layernorm)),
        model.model.norm,
    ]


def shares_of(model: Any, rows: torch.Tensor) -> list[torch.Tensor]:
    """Of each norm, which share of the square of its input is in each channel, on the mean of tokens."""
    found: list[torch.Tensor] = []

    def hook(_: Any, inputs: tuple[torch.Tensor, ...], __: torch.Tensor) -> None:
        squares = inputs[0].double().square()
        found.append((squares / squares.sum(-1, keepdim=True)).mean((0, 1)))

    handles = [norm.register_forward_hook(hook) for norm in norms_of(model)]
    with torch.no_grad():
        model(input_ids=rows)
    for handle in handles:
        handle.remove()
    return found


def rescale(model: Any, way: str, shares: Sequence[float], width: int) -> Any:
    """A pruned model with its norms rescaled another way, from sqrt(old / new).

    Args:
        model: as `prune` makes it.
        way: one of `WAYS`.
        shares: of the square of its input, what each norm keeps.
        width: hidden channels that stay.
    """
    for norm, share in zip(norms_of(model), shares, strict=True):
        of_mean = {WAYS[0]: width / HIDDEN, WAYS[1]: 1.0, WAYS[2]: share}[way]
        norm.weight.data *= of_mean**0.5
        norm.variance_epsilon *= of_mean
    return model


def measured(folder: Path, rows: torch.Tensor, steps: int, seed: int) -> dict[tuple[int, str], float]:
    """The loss by width and way; width 96 is the whole model."""
    held_out, calibration, rest = (
        rows[:HELD_OUT],
        rows[HELD_OUT : HELD_OUT + CALIBRATION],
        rows[HELD_OUT + CALIBRATION :],
    )
    model = trained(rest, load(folder / "tokenizer"), steps, seed)
    model.save_pretrained(folder / f"model-{seed}")
    samples = Samples([[row] for row in calibration.tolist()])
    scores = measure_importance(model, samples.batches(32), Importance())
    shares = shares_of(model, calibration)
    found = {(HIDDEN, ""): loss_of(model, held_out)}
    for width in WIDTHS:
        kept = choose(scores, model.config.to_dict(), Sizes(hidden_size=width), Importance())
        target = folder / f"pruned-{seed}"
        prune(folder / f"model-{seed}", kept, target, replaces=True)
        stays = [float(of[kept.hidden[0]].sum()) for of in shares]
        for way in WAYS:
            pruned = rescale(load_model(str(target)).eval(), way, stays, width)
            found[width, way] = loss_of(pruned, held_out)
    return found


def table(by_seed: Sequence[dict[tuple[int, str], float]]) -> str:
    """Means over seeds, lowest to highest."""
    whole = [found[HIDDEN, ""] for found in by_seed]
    lines = [f"Whole model: {_spread(whole)}", "", f"| hidden channels | {' | '.join(WAYS)} |", "|---|---|---|---|"]
    for width in WIDTHS:
        cells = [_spread([found[width, way] for found in by_seed]) for way in WAYS]
        lines.append(f"| {width} of {HIDDEN} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--text")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--cpu-threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.cpu_threads)
    folder = Path(asked.out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(folder, 1_500_000, asked.text)
    found = [measured(folder, rows, asked.steps, seed) for seed in asked.seeds]
    text = table(found)
    (folder / "table.md").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
