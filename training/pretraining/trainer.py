"""The trainer of continued pre-training: rows by an order made before, and a loss over all tokens of a step."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transformers
import xxhash

from manifests.errors import RequestError
from manifests.schema_training_stages import Cpt
from training.pretraining.isolation import check_isolation, inputs_of
from training.pretraining.mixtures import Opened
from training.pretraining.order import FILLER, Order
from training.pretraining.token_loss import TokenLoss, token_loss
from training.pretraining.utilization import flops_per_token, peak_flops
from training.token_dataset import NO_LOSS
from training.trainers import Staged

Batch = dict[str, torch.Tensor]


class SequenceRows(torch.utils.data.Dataset):  # type: ignore[misc]
    """What stands at each place of an order, by its number."""

    def __init__(self, mixtures: Sequence[Opened], order: Order) -> None:
        self._datasets, self._order = [one.dataset for one in mixtures], order
        self.length = self._datasets[0].sequence_length
        fingerprints = [one.dataset.record.fingerprint for one in mixtures]
        places = [order.mixture.tobytes(), order.sequence.tobytes()]
        self.digest = xxhash.xxh3_128_hexdigest(b"".join([*(name.encode() for name in fingerprints), *places]))
        """Of what stands where: a training that goes on must find the same."""

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> dict[str, Any]:
        mixture = int(self._order.mixture[place])
        if mixture == FILLER:
            pad = self._datasets[0].record.tokenizer.pad_id
            return {
                "input_ids": np.full(self.length, pad),
                "labels": np.full(self.length, NO_LOSS),
                "position_ids": np.arange(self.length),
                "n_tokens": 0,
            }
        return self._datasets[mixture][int(self._order.sequence[place])]

    def __getitems__(self, places: Sequence[int]) -> list[dict[str, Any]]:
        return [self[place] for place in places]


def collate(items: Sequence[Mapping[str, Any]]) -> Batch:
    """A batch of B rows of L: `input_ids`, `position_ids`, `labels`, and `shift_labels`: the id that comes next."""
    names = ("input_ids", "labels", "position_ids")
    batch = {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in names}
    batch["shift_labels"] = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=NO_LOSS)
    batch["n_tokens"] = torch.tensor([int(item["n_tokens"]) for item in items])
    return batch


class CptTrainer(Staged, transformers.Trainer):  # type: ignore[misc]
    """transformers' trainer with `token_loss`, its mean taken over all tokens of a step, whoever takes part in it."""

    def __init__(self, gives_loss: bool = False, **settings: Any) -> None:
        """As transformers' trainer.

        Args:
            gives_loss: whether the model was made to give its loss (`with_head_loss`).
            settings: of transformers' trainer.
        """
        super().__init__(**settings)
        self._gives_loss = gives_loss
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True  # so that it counts the step's labels
        self._attention = self.model.config._attn_implementation
        self._is_checked = False
        self._entropy = torch.zeros(())
        device = self.args.device
        self._sums = torch.zeros(3, device=device)
        """Since the last line: sums over steps of the mean z-loss and the mean lse; steps."""
        self._counts = torch.zeros(2, dtype=torch.int64, device=device)
        """Of this process: tokens read, and tokens that a loss was counted on."""
        self._logged_s, self._tokens_logged = time.perf_counter(), 0
        self._peak = peak_flops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
        self._flops_per_token = _flops_per_token(self.model, self.train_dataset.length)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """This process's share in the mean over all tokens of the step, times the processes, whose mean is taken."""
        if not self._is_checked:
            self._is_checked = True
            self._check(model, inputs["input_ids"])
        targets = inputs["shift_labels"].reshape(-1)
        found = self._loss(model, inputs, targets)
        n_items = torch.as_tensor(num_items_in_batch, device=targets.device).clamp(min=1)
        scale = self.accelerator.num_processes / n_items
        self._entropy = found.cross_entropy * scale
        self._sums[:2] += torch.stack([self._stage().z_loss * found.lse_squared, found.lse]) / n_items
        self._sums[2] += self.accelerator.sync_gradients
        self._counts += torch.stack([inputs["n_tokens"].sum(), (targets != NO_LOSS).sum()])
        return found.total * scale

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: torch.Tensor | None = None) -> Any:
        """A step; what is logged as its loss is the cross entropy alone."""
        super().training_step(model, inputs, num_items_in_batch)
        return self._entropy

    def _loss(self, model: Any, inputs: Batch, targets: torch.Tensor) -> TokenLoss:
        z_loss = self._stage().z_loss
        if not self._gives_loss:
            logits = self._logits(model, inputs["input_ids"], inputs["position_ids"])
            return token_loss(logits.reshape(targets.numel(), -1), targets, z_loss)
        asked = self.inputs_of(inputs["input_ids"], inputs["position_ids"])
        return TokenLoss(**model(**asked, targets=targets, z_loss=z_loss))

    def _logits(self, model: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(**self.inputs_of(ids, positions)).logits
        return logits

    def inputs_of(self, ids: torch.Tensor, positions: torch.Tensor) -> dict[str, Any]:
        """What the model is called with: (B, L) ids and positions that begin again with each document."""
        return inputs_of(ids, positions, self._attention)

    def _check(self, model: Any, ids: torch.Tensor) -> None:
        """Try the model as it is, wrapped and sharded, without its dropout."""
        if ids.shape[1] < 3:
            return
        model.eval()
        try:
            check_isolation(lambda some, positions: self._logits(model, some, positions), ids, self.model.config)
        finally:
            model.train()

    def _stage(self) -> Cpt:
        stage = self.job.stage
        assert isinstance(stage, Cpt)
        return stage

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A line of the curve, with what this stage knows beyond transformers."""
        super().log(logs | self._measured() if "loss" in logs else logs, start_time)

    def _measured(self) -> dict[str, float]:
        """Since the last line: mean z-loss and lse; tokens so far, and per second."""
        z_loss, lse, _ = (self.accelerator.reduce(self._sums, "sum") / self._sums[2]).tolist()
        n_tokens, now = self.totals()["tokens"], time.perf_counter()
        per_s = (n_tokens - self._tokens_logged) / (now - self._logged_s)
        self._tokens_logged, self._logged_s = n_tokens, now
        self._sums.zero_()
        found = {"tokens": n_tokens, "tokens_per_s": round(per_s, 1), "lse": lse}
        if self._stage().z_loss:
            found["z_loss"] = z_loss
        if self._peak:
            found["mfu"] = per_s * self._flops_per_token / self._peak / self.accelerator.num_processes
        return found

    def totals(self) -> dict[str, int]:
        """Tokens read and trained on by all processes, from the beginning of the stage."""
        n_read, n_trained = self.accelerator.reduce(self._counts, "sum").tolist()
        return {"tokens": n_read, "trained_tokens": n_trained}

    def extra_state(self) -> Mapping[str, Any]:
        """What was read so far, and of what."""
        return {**self.totals(), "data": self.train_dataset.digest}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting.

        Raises:
            RequestError: a mixture has changed since.
        """
        if not state:
            return
        if state["data"] != self.train_dataset.digest:
            raise RequestError(
                f"{self.job.stage.name}: a mixture has changed since the training began, so that other sequences "
                f"stand at its places. Bring it back, or remove {self.args.output_dir} to begin the stage again"
            )
        self._tokens_logged = state["tokens"]
        if self.args.process_index == 0:
            self._counts += torch.tensor([state["tokens"], state["trained_tokens"]], device=self._counts.device)


def _flops_per_token(model: Any, length: int) -> float:
    config = model.config.get_text_config()
    n_weights = model.num_parameters()
    if not config.tie_word_embeddings:
        n_weights -= model.get_input_embeddings().weight.numel()
    return flops_per_token(n_weights, config, length)
