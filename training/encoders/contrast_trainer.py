"""The trainer of contrastive stages: each question is told apart from all texts of a step, of all processes.

What a process takes at once (`micro_batch`) changes nothing of that: where it is less than its share, the vectors of
all texts are computed first, without what a backward pass needs, and the loss and its gradient on them; then some
texts at a time are computed once more, and that gradient is carried on (gradient caching: Gao et al. 2021,
2101.06983).
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import transformers

from manifests.schema_embedding import Contrast
from training.chat.rows import content_hash
from training.encoders.info_nce import NEGATIVE, NOTHING, POSITIVE, QUERY, InfoNce, info_nce
from training.encoders.pooling import TextIds, TextTokens, laid_out, vectors
from training.encoders.texts import I64, Asked
from training.trainers import Staged

Batch = dict[str, torch.Tensor]


class AskedRows(torch.utils.data.Dataset):  # type: ignore[misc]
    """What stands at each place of an order: a question, its answer, and texts that are none, as tokens."""

    def __init__(self, rows: Sequence[Asked], order: I64, tokens: TextTokens) -> None:
        self._rows, self._order, self._tokens = rows, order, tokens

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> dict[str, Any]:
        row = self._rows[int(self._order[place])]
        texts = [row.positive, *row.negatives]
        ids = [*self._tokens([row.query], row.instruction), *self._tokens(texts)]
        hashes = [content_hash(text) for text in (row.query, *texts)]
        return {"ids": ids, "hashes": hashes, "n_negatives": len(row.negatives)}


class Collator:
    """Rows as T texts: `input_ids` (T, L); `n_before`, `n_tokens`, `roles`, `rows`, `asked`, `texts` (T)."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> Batch:
        """Make one."""
        ids: list[TextIds] = [one for item in items for one in item["ids"]]
        roles = [role for item in items for role in (QUERY, POSITIVE, *[NEGATIVE] * item["n_negatives"])]
        rows = [number for number, item in enumerate(items) for _ in item["ids"]]
        texts = [_signed(number) for item in items for number in item["hashes"]]
        asked = [_signed(item["hashes"][0]) for item in items for _ in item["ids"]]
        named = {"roles": roles, "rows": rows, "asked": asked, "texts": texts}
        return laid_out(ids, self._pad_id) | {name: torch.tensor(values) for name, values in named.items()}


def _signed(number: int) -> int:
    """64 bits as torch has them."""
    return number - (1 << 64) if number >> 63 else number


class ContrastTrainer(Staged, transformers.Trainer):  # type: ignore[misc]
    """transformers' trainer with InfoNCE over all texts of a step."""

    def __init__(self, stage: Contrast, rows_at_once: int, **settings: Any) -> None:
        """As transformers' trainer.

        Args:
            stage: of the manifest.
            rows_at_once: rows of its share of a step that a process takes at once.
            settings: of transformers' trainer; a step's share is one of its batches.
        """
        super().__init__(**settings)
        self.model_accepts_loss_kwargs = False
        self._of, self._rows_at_once = stage, rows_at_once
        self._sums = torch.zeros(2, device=self.args.device)
        """Since the last line: sum over steps of the share of nearest answers; steps."""
        self._n_tokens = torch.zeros(1, dtype=torch.int64, device=self.args.device)
        """That this process has read."""

    def training_step(
        self, model: Any, inputs: Batch, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """A step; gives the loss over all questions of all processes."""
        model.train()
        inputs = self._prepare_inputs(inputs)
        self._n_tokens += inputs["n_tokens"].sum()
        parts = _parts(inputs, self._rows_at_once)
        found = self._at_once(model, inputs) if len(parts) == 1 else self._in_parts(model, inputs, parts)
        self._sums += torch.stack([found.nearest_frac, torch.ones_like(found.nearest_frac)])
        return found.loss.detach()

    def _at_once(self, model: Any, inputs: Batch) -> InfoNce:
        found = self._loss(self._vectors(model, inputs), inputs)
        self.accelerator.backward(found.loss * self.accelerator.num_processes)
        return found

    def _in_parts(self, model: Any, inputs: Batch, parts: Sequence[slice]) -> InfoNce:
        """The same, some rows at a time; each part is computed twice with the same dropout."""
        states, made = list[Any](), list[torch.Tensor]()
        with torch.no_grad():
            for part in parts:
                states.append(_random_state(self.args.device))
                made.append(self._vectors(model, _part(inputs, part)))
        leaf = torch.cat(made).requires_grad_()
        found = self._loss(leaf, inputs)
        (found.loss * self.accelerator.num_processes).backward()
        assert leaf.grad is not None
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(model):
                with _with_random_state(states[number], self.args.device):
                    again = self._vectors(model, _part(inputs, part))
                self.accelerator.backward((again * leaf.grad[part]).sum())
        return found

    def _vectors(self, model: Any, inputs: Batch) -> torch.Tensor:
        with self.compute_loss_context_manager():
            return vectors(model, inputs, self.model.config, self._of.pooling)

    def _loss(self, own: torch.Tensor, inputs: Batch) -> InfoNce:
        """Over the texts of all processes; gradients flow into this one's."""
        described = torch.stack([inputs["roles"], inputs["asked"], inputs["texts"]], 1)
        if self.accelerator.num_processes > 1:
            own, described = self._of_all(own, described)
        roles, asked, texts = described.unbind(1)
        return info_nce(own, roles, asked, texts, self._of.temperature)

    def _of_all(self, own: torch.Tensor, described: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        everywhere, at = self.accelerator, self.accelerator.process_index
        padded = everywhere.pad_across_processes(own.detach(), dim=0)
        all_vectors = everywhere.gather(padded).unflatten(0, (everywhere.num_processes, -1))
        described = everywhere.pad_across_processes(described.contiguous(), dim=0, pad_index=NOTHING)
        all_described = everywhere.gather(described)
        mine = torch.cat([own, own.new_zeros(len(padded) - len(own), own.shape[1])])
        joined = torch.cat([mine if rank == at else one for rank, one in enumerate(all_vectors)])
        is_text = all_described[:, 0] != NOTHING
        return joined[is_text], all_described[is_text]

    def n_tokens(self) -> int:
        """That all processes have read, from the beginning of the stage."""
        return int(self.accelerator.reduce(self._n_tokens, "sum"))

    def extra_state(self) -> Mapping[str, Any]:
        """What was read so far."""
        return {"tokens": self.n_tokens()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        if state and self.args.process_index == 0:
            self._n_tokens += state["tokens"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A line of the curve, with the share of questions whose own answer was the nearest of the step."""
        if "loss" in logs:
            nearest, n_steps = self._sums.tolist()
            logs = logs | {"nearest_frac": nearest / max(n_steps, 1)}
            self._sums.zero_()
        super().log(logs, start_time)


def _parts(inputs: Batch, rows_at_once: int) -> list[slice]:
    """Texts of so many rows at a time."""
    rows = inputs["rows"]
    n_rows = int(rows[-1]) + 1
    bounds = [int((rows < row).sum()) for row in range(0, n_rows, rows_at_once)] + [len(rows)]
    return [slice(start, end) for start, end in pairwise(bounds)]


def _part(inputs: Batch, part: slice) -> Batch:
    """Some of its texts, no wider than the longest of them."""
    found = {name: values[part] for name, values in inputs.items()}
    found["input_ids"] = found["input_ids"][:, : int(found["n_tokens"].max())]
    return found


def _random_state(device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


@contextlib.contextmanager
def _with_random_state(state: tuple[torch.Tensor, torch.Tensor | None], device: torch.device) -> Iterator[None]:
    """Draw again what was drawn then, and go on as if it had not been drawn twice."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], device)
        yield
