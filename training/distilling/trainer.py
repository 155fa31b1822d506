"""The trainer of distillation: a loss per trained token against a teacher, its mean taken over all of a step.

The data loader hands out places only. What stands there is laid out here, once it is known whose answers the step
trains on: the data's, or the student's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers
from accelerate.utils import broadcast_object_list

from manifests.errors import RequestError, RunError
from manifests.schema_distillation import Distill
from training.distilling.answers import StudentAnswers, rows_of
from training.distilling.contrasts import Contrast, n_pairs_of
from training.distilling.held_out import loss_of, places_of
from training.distilling.off_policy import Origin
from training.distilling.predictions import Predicted
from training.distilling.rows import Batch, Part, PartSource, Source, laid_out
from training.distilling.teachers import OnlineTeacher, Teacher
from training.online.batches import step_seed
from training.online.policy_copies import PolicyCopy
from training.online.trainer import Places
from training.pretraining.head_loss import head_loss
from training.pretraining.isolation import check_isolation, inputs_of
from training.token_dataset import NO_LOSS
from training.trainers import Staged

Rows = Sequence[Sequence[Part]]
COUNTS = ("tokens", "trained_tokens", "student_answers", "drawn_steps", "replayed_steps")


class DistillTrainer(Staged, transformers.Trainer):  # type: ignore[misc]
    """transformers' trainer with a teacher's loss."""

    def __init__(self, model: Any, arguments: Any, stage: Distill, source: Source, teacher: Teacher) -> None:
        """A trainer.

        Args:
            model: the student, made to reduce its predictions (`predictions.with_reduction`).
            arguments: of transformers' trainer.
            stage: of the manifest.
            source: what stands at each place, of whole steps.
            teacher: whom the student is compared with.
        """
        super().__init__(model=model, args=arguments, train_dataset=Places(len(source)), data_collator=torch.tensor)
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
        self.stage, self.source, self.teacher = stage, source, teacher
        self.answers: StudentAnswers | None = None
        """Where the stage is off-policy."""
        self.held_out: Source | None = None
        """What the off-policy scheduler looks at."""
        self.contrast: Contrast | None = None
        """Where the stage is contrastive: instead of the teacher's loss."""
        self._ce_share = stage.ce_weight
        """Of cross entropy in the step that runs; none of the student's own answers, which are no data."""
        self._copy: PolicyCopy | None = None
        self._is_checked = False
        self._counts = dict.fromkeys(COUNTS, 0)
        """Of this process, since the stage began; steps are those of all."""
        self._divergence = torch.zeros((), dtype=torch.float64, device=self.args.device)
        self._logged = {"steps": 0, "student_steps": 0}
        """Since the last line."""

    # A step

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[list[Batch]], torch.Tensor]:
        """The micro-batches of a step, and how many tokens, or pairs, of all processes its mean is taken over.

        A micro-batch is a list: of one batch of the data, or of some of the student's answers.
        """
        places = [next(epoch_iterator).tolist() for _ in range(num_batches)]
        if self.answers is not None and self.answers.scheduler.is_due(self.state.global_step):
            self._look(self.answers)
        micro_batches = self._micro_batches(places)
        batches = [batch for some in micro_batches for batch in some]
        n_items = sum(int((batch["shift_labels"] != NO_LOSS).sum()) for batch in batches)
        self._counts["trained_tokens"] += n_items
        self._counts["tokens"] += sum(int(batch["n_tokens"].sum()) for batch in batches)
        if self.contrast is not None:
            self.contrast.settle(self._added_up)
            self.contrast.begin(self.state.global_step)
            n_items = sum(map(n_pairs_of, batches))
        total = torch.tensor(n_items, device=self.args.device)
        return micro_batches, self.accelerator.reduce(total, "sum")

    def training_step(
        self, model: Any, inputs: list[Batch], num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Loss and gradients of a micro-batch, of one of its batches after the other."""
        losses = [super(DistillTrainer, self).training_step(model, batch, num_items_in_batch) for batch in inputs]
        return torch.stack(losses).sum()

    def _added_up(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        summed: torch.Tensor = self.accelerator.reduce(values.to(self.args.device), "sum").cpu()
        return summed

    def _look(self, answers: StudentAnswers) -> None:
        """Tell the scheduler the loss of what is held out."""
        assert self.held_out is not None
        micro = self.args.per_device_train_batch_size
        loss = loss_of(self.model_wrapped, self.held_out, micro, self.args.bf16)
        answers.scheduler.look(loss, self.state.global_step)

    def _micro_batches(self, places: Sequence[Sequence[int]]) -> list[list[Batch]]:
        """What stands at the places of each micro-batch, or answers of the student's to its prompts."""
        origin = self._origin()
        self._logged["steps"] += 1
        self._logged["student_steps"] += origin != "data"
        self._ce_share = self.stage.ce_weight if origin == "data" else 0.0
        if self.answers is None or origin == "data":
            return [[self.source.batch(some)] for some in places]
        self._counts[f"{origin}_steps"] += 1
        assert isinstance(self.source, PartSource)
        numbers = [[number for place in some for number in self.source.numbers(place)] for some in places]
        step = self.state.global_step
        if origin == "drawn":
            found = self.answers.drawn(self._drawing(), numbers, step)
        else:
            found = self.answers.replayed(numbers, step)
        self._counts["student_answers"] += sum(map(len, found))
        seed = step_seed(self.job.seed, step)
        return self._batches_of_rows([rows_of(some, self.stage.max_length, seed) for some in found])

    def _batches_of_rows(self, rows: Sequence[Rows]) -> list[list[Batch]]:
        """The rows of each micro-batch, as many at once as it takes of the data.

        A row of the data may hold many short conversations, whose new answers are longer. All processes get as many
        batches, the last ones of nothing, since each is one pass through weights that may be shared out.
        """
        assert isinstance(self.source, PartSource)
        at_once = self.args.per_device_train_batch_size
        own = torch.tensor([-(-len(some) // at_once) for some in rows], device=self.args.device)
        most = self.accelerator.gather(own).view(-1, len(rows)).amax(0).tolist()
        return [
            [laid_out(some[k * at_once : (k + 1) * at_once] or [[]], self.source.pad_id) for k in range(n_batches)]
            for some, n_batches in zip(rows, most, strict=True)
        ]

    def _origin(self) -> Origin:
        """Where the answers of a step come from, the same in all processes."""
        if self.answers is None:
            return "data"
        n_full = int(self._added_up(torch.tensor(int(self.answers.replay.is_full))))
        return self.answers.origin(self.state.global_step, n_full == self.args.world_size)

    def _drawing(self) -> Any:
        """The student as it draws; a whole copy of its own where its weights are sharded."""
        if not self.is_fsdp_enabled:
            return self.accelerator.unwrap_model(self.model_wrapped)
        if self._copy is None:
            raise RunError(f"{self.stage.name}: a student that is sharded has no copy that draws")
        self._copy.take(self.model)
        return self._copy.model

    def copy_for_drawing(self) -> None:
        """Make the copy, before weights are sharded."""
        if self.is_fsdp_enabled:
            self._copy = PolicyCopy(self.model, device=self.args.device)

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
        places, labels = places_of(inputs)
        is_empty = not len(places)
        if is_empty:  # all processes go the same way forwards and backwards; it counts for nothing
            places, labels = (torch.zeros(1, dtype=torch.int64, device=self.args.device) for _ in range(2))
        asked = inputs_of(inputs["input_ids"], inputs["position_ids"], self.model.config._attn_implementation)
        said = self.teacher.ask(inputs, places) if self._is_asked and not is_empty else None
        sums = model(**asked, places=places, reduce=lambda student: self._sums(student, said, inputs, places, labels))
        n_items = torch.as_tensor(num_items_in_batch, device=labels.device).clamp(min=1)
        self._divergence += sums["divergence"].double() / n_items
        total: torch.Tensor = sums["total"] * (self.accelerator.num_processes / n_items)
        return total * 0 if is_empty else total

    @property
    def _is_asked(self) -> bool:
        """Whether the teacher has a say in the loss."""
        return self.stage.ce_weight < 1 or self.contrast is not None

    def _sums(
        self, student: Predicted, said: Any, batch: Batch, places: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Over the places of a micro-batch: the loss, and the divergence in it."""
        if said is None:
            total = _cross_entropy(student.of_ids(self.teacher.n_ids), labels)
            return {"total": total, "divergence": torch.zeros_like(total.detach())}
        if self.contrast is not None:
            total = self.contrast.total(student, said, batch, places)
            return {"total": total, "divergence": total.detach()}
        total = self.teacher.losses(student, said, labels, self._ce_share).sum()
        divergence = total.detach()
        if self._ce_share:
            entropy = _cross_entropy(student.of_ids(self.teacher.n_ids).detached(), labels)
            divergence = (divergence - self._ce_share * entropy) / (1 - self._ce_share)
        return {"total": total, "divergence": divergence}

    def _check(self, model: Any, ids: torch.Tensor) -> None:
        """Try whether parts of a row see each other, without dropout."""
        if ids.shape[1] < 3:
            return

        def logits(some: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = model(**inputs_of(some, positions, self.model.config._attn_implementation)).logits
            return found

        model.eval()
        try:
            check_isolation(logits, ids, self.model.config)
        finally:
            model.train()
        if isinstance(self.teacher, OnlineTeacher):
            self.teacher.check(ids)

    # What is told of it

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A line of the curve, with what this stage knows beyond transformers."""
        super().log(logs | self._measured() if "loss" in logs else logs, start_time)

    def _measured(self) -> dict[str, float]:
        n_steps = max(1, self._logged["steps"])
        found: dict[str, float] = {"tokens": self.totals()["tokens"]}
        if self._is_asked:
            found["divergence"] = float(self.accelerator.reduce(self._divergence, "sum")) / n_steps
        if self.answers is not None:
            found["phi"] = self.answers.scheduler.phi
            found["student_frac"] = self._logged["student_steps"] / n_steps
        if self.contrast is not None:
            found["beta"] = self.contrast.beta
        self._divergence.zero_()
        self._logged = dict.fromkeys(self._logged, 0)
        return found

    def totals(self) -> dict[str, int]:
        """Tokens and answers of all processes, and steps, from the beginning of the stage."""
        names = ("tokens", "trained_tokens", "student_answers")
        own = torch.tensor([self._counts[name] for name in names], device=self.args.device)
        summed = self.accelerator.reduce(own, "sum").tolist()
        return self._counts | dict(zip(names, summed, strict=True))

    # What a checkpoint holds beside weights

    def extra_state(self) -> Mapping[str, Any]:
        """What was read so far, of what, and what the student's answers need."""
        state: dict[str, Any] = {
            "counts": self.totals(),
            "data": self.source.digest,
            "n_processes": self.args.world_size,
        }
        if self.contrast is not None:
            self.contrast.settle(self._added_up)
            state["contrast"] = self.contrast.state()
        return state | (self.answers.state() if self.answers is not None else {})

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting, and drawing.

        Raises:
            RequestError: the data has changed since.
            RunError: the checkpoint is of another number of processes, which have buffers of their own.
        """
        if state and state["data"] != self.source.digest:
            raise RequestError(
                f"{self.stage.name}: the data has changed since the training began, so that others stand at its "
                f"places. Bring it back, or remove {self.args.output_dir} to begin the stage again"
            )
        if self.answers is not None:
            if state.get("n_processes") != self.args.world_size:
                raise RunError(
                    f"{self.stage.name}: the checkpoint is not of {self.args.world_size} processes, and each has a "
                    "buffer of the student's answers in it: go on with as many as before, or remove "
                    f"{self.args.output_dir} to begin the stage anew"
                )
            self.answers.load(state)
        if self.contrast is not None:
            [found] = broadcast_object_list([state.get("contrast")])  # a process that is new has no state of its own
            if found is not None:
                self.contrast.load(found)
        is_first = self.args.process_index == 0
        counts = state.get("counts", {})
        self._counts |= {name: n for name, n in counts.items() if is_first or name.endswith("_steps")}


def _cross_entropy(student: Predicted, labels: torch.Tensor) -> torch.Tensor:
    """The sum over places."""
    if student.hidden is not None and student.weight is not None:
        return head_loss(student.hidden, student.weight, labels).total
    assert student.logits is not None
    return torch.nn.functional.cross_entropy(student.logits.float(), labels, reduction="sum")
