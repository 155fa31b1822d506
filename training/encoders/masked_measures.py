"""How well a model predicts masked tokens of what mixtures hold out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from curation.mixture.record import read_mixture
from manifests.schema_embedding import Mntp
from manifests.store import Folder, resolve
from training.encoders.attention import mask_of, segments_of
from training.encoders.masking import Masking
from training.pretraining.trainer import collate
from training.token_dataset import NO_LOSS, TokenDataset

SEQUENCES_MAX = 256
"""Of all mixtures together that are measured: evenly spaced ones, always the same."""
TOKENS_AT_ONCE = 8192
SEED = 0
"""Of what is masked: the same of all models and trainings, so that figures can be compared."""


@dataclass(frozen=True)
class Predicted:
    """Of masked tokens."""

    loss: float
    """Nats per token, its mean."""
    accuracy: float
    """Share that is predicted right."""
    n_tokens: int


def both_ways(ids: torch.Tensor, positions: torch.Tensor, model: Any) -> dict[str, Any]:
    """What a model is called with to see both ways in each document.

    Args:
        ids: (B, L), int64.
        positions: (B, L), int64: 0 where a document begins.
        model: that is called.
    """
    mask = mask_of(segments_of(positions), model.config, model.dtype)
    return {"input_ids": ids, "position_ids": positions, "attention_mask": mask, "use_cache": False}


def held_out_rows(stage: Mntp, base: str, masking: Masking) -> list[dict[str, Any]]:
    """Held-out sequences of the mixtures of a stage, masked; none where nothing is held out."""
    paths = list(dict.fromkeys(resolve(use.path, base) for use in stage.mixture))
    with_some = [path for path in paths if read_mixture(Folder(path)).validation]
    datasets = [TokenDataset(path, split="validation", mask_boundaries=True) for path in with_some]
    places = [(dataset, number) for dataset in datasets for number in range(len(dataset))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), SEQUENCES_MAX)).round().astype(int))
    rows = [places[place][0][places[place][1]] for place in chosen] if places else []
    return [masking(row, np.random.default_rng([SEED, number])) for number, row in enumerate(rows)]


@torch.no_grad()  # type: ignore[untyped-decorator]
def predicted(model: Any, rows: Sequence[dict[str, Any]]) -> Predicted:
    """What a model makes of masked tokens, each by the output before it.

    Args:
        model: a language model, which is let see both ways.
        rows: masked sequences.
    """
    n_rows = max(1, TOKENS_AT_ONCE // max(1, len(rows[0]["input_ids"])))
    loss, n_right, n_tokens = 0.0, 0, 0
    for start in range(0, len(rows), n_rows):
        batch = {name: values.to(model.device) for name, values in collate(rows[start : start + n_rows]).items()}
        logits = model(**both_ways(batch["input_ids"], batch["position_ids"], model)).logits
        is_asked = batch["shift_labels"] != NO_LOSS
        asked, targets = logits[is_asked].float(), batch["shift_labels"][is_asked]
        loss += float(torch.nn.functional.cross_entropy(asked, targets, reduction="sum"))
        n_right += int((asked.argmax(-1) == targets).sum())
        n_tokens += len(targets)
    return Predicted(loss / max(n_tokens, 1), n_right / max(n_tokens, 1), n_tokens)
