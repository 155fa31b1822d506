"""The loop of online DPO: transformers' own, fed with pairs that the policy draws and a reward model ranks.

TRL's `OnlineDPOTrainer` (1.16, experimental) draws, scores, pairs and computes the loss within one call of
`training_step`, two answers per prompt, so nothing can be drawn while a step trains. It trains on ties as if the
first answer were the better one, counts a reward that is no number as 0, and takes its random numbers from the one
stream of the process, which a second thread would disturb.

Its loss is what is computed here (tests compare them): with Delta for the sum of log pi/ref over the chosen answer
less that over the rejected one, `sigmoid` is -log sigma(beta Delta), and `ipo` is (Delta - 1/(2 beta))^2. TRL's
offline `ipo` takes means per token instead; its online one sums, as the paper does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.nn.functional import logsigmoid
from transformers import Trainer

from manifests.errors import RunError
from manifests.schema_training_preferences import OnlineDpo
from training.online.batches import Batch, Drawer, Pair, Question, pair_of, reward
from training.online.policy_copies import PolicyCopy
from training.trainers import Staged

PATIENCE_STEPS = 20
"""Steps without any pair, from the beginning, after which a training is given up."""
Inputs = dict[str, torch.Tensor]


class Places(torch.utils.data.Dataset[int]):  # type: ignore[misc]
    """The places in the order of training, from 0: which prompts these are, the drawer knows."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, place: int) -> int:
        return place


class OnlineDpoTrainer(Staged, Trainer):  # type: ignore[misc]
    """Trains a policy on pairs of its own answers."""

    drawer: Drawer
    reference: Any
    """The model that the policy is held to."""
    refreshed: PolicyCopy | None = None
    """The copy that the reference is, where the policy takes its place every so many steps."""

    def __init__(self, model: Any, arguments: Any, stage: OnlineDpo, questions: Sequence[Question]) -> None:
        """A trainer; `drawer` and `reference` are set before it trains, since they copy the model where it now is.

        Args:
            model: the policy.
            arguments: of transformers' trainer.
            stage: of the manifest.
            questions: the prompts in the order of training, of all steps.
        """
        super().__init__(
            model=model, args=arguments, train_dataset=Places(len(questions)), data_collator=torch.tensor
        )
        self.loss_is_scaled_for_ga = True
        self.stage, self.questions = stage, questions
        self.start: Batch | None = None
        """The first batch, which the policy drew before it was trained."""
        self.totals = {"pairs": 0, "ties": 0, "identical": 0}
        """Of all steps and processes until now."""
        self._sums: dict[str, float] = {}

    def places(self, step: int) -> list[int]:
        """The places of a step that this process takes: those that accelerate gives it."""
        micro, n, rank = self.args.per_device_train_batch_size, self.args.world_size, self.args.process_index
        starts = [
            step * self.stage.batch + (turn * n + rank) * micro
            for turn in range(self.args.gradient_accumulation_steps)
        ]
        return [start + offset for start in starts for offset in range(micro)]

    # A step

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], int]:
        """The pairs of a step, by micro-batches, and how many there are in all processes.

        Raises:
            RunError: a reward is no number, or no step had a pair.
        """
        asked = [place for _ in range(num_batches) for place in next(epoch_iterator).tolist()]
        step = self.state.global_step
        if self.refreshed and self.stage.refresh_reference and step and step % self.stage.refresh_reference == 0:
            self.refreshed.take(self.model)
        batch = self.drawer.batch(step, self.model)
        if [draw.place for draw in batch.draws] != asked:
            raise AssertionError(f"places {asked} are asked for, and the batch is of others")
        self.start = self.start or batch
        pairs = [pair_of(draw, self.stage.missing_eos_penalty) for draw in batch.draws]
        self._count(batch, pairs)
        n_pairs = self._total(pairs)
        micro = self.args.per_device_train_batch_size
        return [self.inputs(pairs[start : start + micro]) for start in range(0, len(pairs), micro)], n_pairs

    def _total(self, pairs: Sequence[Pair | str]) -> int:
        """Pairs of this step in all processes.

        Raises:
            RunError: there was not one since the training began.
        """
        found = [
            len([pair for pair in pairs if isinstance(pair, Pair)]),
            pairs.count("tie"),
            pairs.count("identical"),
        ]
        summed = [int(one) for one in self._all(torch.tensor(found, dtype=torch.float64))]
        self.totals = {name: self.totals[name] + one for name, one in zip(self.totals, summed, strict=True)}
        n_steps = self.state.global_step + 1
        if not self.totals["pairs"] and n_steps == min(PATIENCE_STEPS, self.args.max_steps):
            raise RunError(no_pairs(self.stage, n_steps, self.totals["identical"], self.totals["ties"]))
        return summed[0]

    def inputs(self, pairs: Sequence[Pair | str]) -> Inputs:
        """A micro-batch of P pairs, prompts with chosen answers first, then with rejected ones.

        Returns:
            `input_ids`, `attention_mask` and `is_answer` (2P, L), padded at the end; `n_pairs`. Empty where there is
            no pair.
        """
        found = [pair for pair in pairs if isinstance(pair, Pair)]
        sides = [(pair.place, pair.chosen) for pair in found] + [(pair.place, pair.rejected) for pair in found]
        rows = [(self.questions[place].ids, answer.ids) for place, answer in sides]
        length = max((len(prompt) + len(answer) for prompt, answer in rows), default=0)
        ids = torch.zeros(len(rows), length, dtype=torch.int64)
        is_token, is_answer = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
        for row, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            ids[row, :end] = torch.tensor([*prompt, *answer])
            is_token[row, :end] = 1
            is_answer[row, len(prompt) : end] = True
        return {"input_ids": ids, "attention_mask": is_token, "is_answer": is_answer}

    def training_step(self, model: Any, inputs: Inputs, num_items_in_batch: Any = None) -> torch.Tensor:
        """A micro-batch, forward and backward. Where no process has a pair, no weight gets a gradient or changes.

        Where others have some, this one goes along with a token that counts for nothing, since gradients are summed.
        """
        if not num_items_in_batch:
            return torch.zeros((), device=self.args.device)
        if not len(inputs["input_ids"]):
            if self.args.world_size == 1:
                return torch.zeros((), device=self.args.device)
            ones = torch.ones(2, 2, dtype=torch.int64)
            inputs = {"input_ids": 0 * ones, "attention_mask": ones, "is_answer": torch.zeros(2, 2, dtype=torch.bool)}
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def compute_loss(
        self, model: Any, inputs: Inputs, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The sum of the losses of a micro-batch, over the mean number of pairs per process.

        Gradients are summed over micro-batches and averaged over processes: so each pair of the whole batch counts
        alike, however many were left out of which.
        """
        policy = answer_logps(model, inputs)
        with torch.no_grad(), torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.args.bf16):
            reference = answer_logps(self.reference, inputs)
        deltas = pair_deltas(policy, reference)
        is_pair = inputs["is_answer"].any(-1)[: len(deltas)]
        losses = pair_losses(deltas, self.stage.loss, self.stage.beta) * is_pair
        self._add(
            margin=self.stage.beta * deltas.detach().sum(),
            correct=((deltas > 0) & is_pair).sum(),
            kl=(policy.detach() - reference).sum(),
            trained_tokens=inputs["is_answer"].sum(),
            tokens=inputs["attention_mask"].sum() if is_pair.any() else 0,
        )
        loss = losses.sum() * self.args.world_size / num_items_in_batch
        return (loss, {}) if return_outputs else loss

    def draw_again(self) -> Batch:
        """Answers of the policy as it now is to the prompts of the first step, by the same random numbers."""
        self.drawer.generator.take(self.model, self.state.global_step)
        return self.drawer.drawn(0)

    def everyones(self, batch: Batch) -> Batch:
        """A batch with the draws of all processes, in the order of training."""
        if self.args.world_size == 1:
            return batch
        draws = sorted(gather_object(list(batch.draws)), key=lambda draw: draw.place)
        return Batch(batch.step, batch.version, tuple(draws))

    # What is told of it

    def _count(self, batch: Batch, pairs: Sequence[Pair | str]) -> None:
        answers = [answer for draw in batch.draws for answer in draw.answers]
        found, penalty = [pair for pair in pairs if isinstance(pair, Pair)], self.stage.missing_eos_penalty
        self._add(
            batches=1,
            staleness=self.state.global_step - batch.version,
            prompts=len(pairs),
            ties=pairs.count("tie"),
            identical=pairs.count("identical"),
            pairs=len(found),
            answers=len(answers),
            answer_tokens=sum(len(answer.ids) for answer in answers),
            ended=sum(answer.ended for answer in answers),
            score=sum(answer.score for answer in answers),
            reward=sum(reward(answer, penalty) for answer in answers),
            chosen=sum(reward(pair.chosen, penalty) for pair in found),
            rejected=sum(reward(pair.rejected, penalty) for pair in found),
            margin=0,
            correct=0,
            kl=0,
            trained_tokens=0,
            tokens=0,
        )

    def _add(self, **values: Any) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As transformers logs, with what was drawn since the last line; a step without a pair has no loss."""
        if "loss" in logs and self._sums:
            names = sorted(self._sums)
            sums = self._all(torch.tensor([self._sums[name] for name in names], dtype=torch.float64))
            figures = curve_line(dict(zip(names, sums.tolist(), strict=True)))
            self._sums = {}
            logs |= figures
            if not figures["pairs"]:
                logs["loss"] = None  # type: ignore[assignment]
        super().log(logs, start_time)

    def _all(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.args.world_size == 1:
            return values
        summed: torch.Tensor = self.accelerator.reduce(values.to(self.args.device), reduction="sum").cpu()
        return summed

    # What a checkpoint holds beside weights

    def extra_state(self) -> Mapping[str, Any]:
        """The batch that is drawn ahead, the first one, and a reference that was refreshed."""
        state: dict[str, Any] = {"totals": self.totals, "n_processes": self.args.world_size}
        state["places"] = self.places(0)
        for name, batch in (("pending", self.drawer.pending()), ("start", self.start)):
            if batch:
                values = batch.state()
                state |= {f"{name}_ids": values.pop("ids"), name: values}
        if self.refreshed:
            state |= {f"reference.{name}": weight for name, weight in self.refreshed.weights().items()}
        return state

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it is of another number of processes.
        """
        if state.get("n_processes") == self.args.world_size and state["places"] != self.places(0):
            raise RunError(
                f"{self.stage.name}: the checkpoint is of another `micro_batch`, by which {self.args.world_size} "
                "processes shared out answers that were drawn ahead: go on with that one, or remove "
                f"{self.args.output_dir} to begin the stage anew"
            )
        if state.get("n_processes") != self.args.world_size:
            raise RunError(
                f"{self.stage.name}: the checkpoint is not of {self.args.world_size} processes, and answers drawn "
                f"ahead lie in it by process: go on with as many as before, or remove {self.args.output_dir} to "
                "begin the stage anew"
            )
        self.totals = state["totals"]
        found = {
            name: Batch.of({**state[name], "ids": state[f"{name}_ids"]})
            for name in ("pending", "start")
            if name in state
        }
        self.start = found.get("start")
        self.drawer.resume(found.get("pending"))
        if self.refreshed:
            reference = {name.removeprefix("reference."): one for name, one in state.items() if "reference." in name}
            self.refreshed.load(reference)


def curve_line(sums: Mapping[str, float]) -> dict[str, Any]:
    """Figures of a step from sums over its prompts, answers and pairs; those of pairs are left out without one."""
    line: dict[str, Any] = {
        "reward_mean": sums["reward"] / sums["answers"],
        "score_mean": sums["score"] / sums["answers"],
        "answer_length": sums["answer_tokens"] / sums["answers"],
        "ended_frac": sums["ended"] / sums["answers"],
        "tie_frac": (sums["ties"] + sums["identical"]) / sums["prompts"],
        "staleness": sums["staleness"] / sums["batches"],
    }
    if sums["pairs"]:
        line |= {
            "reward_chosen": sums["chosen"] / sums["pairs"],
            "reward_rejected": sums["rejected"] / sums["pairs"],
            "kl": sums["kl"] / sums["trained_tokens"],
            "margin": sums["margin"] / sums["pairs"],
            "accuracy": sums["correct"] / sums["pairs"],
        }
    counts = ("prompts", "pairs", "ties", "identical", "answers", "answer_tokens", "tokens", "trained_tokens")
    return line | {name: int(sums[name]) for name in counts}


def no_pairs(stage: OnlineDpo, n_steps: int, n_identical: int, n_ties: int) -> str:
    """What is said where nothing can be learnt from what is drawn."""
    return (
        f"{stage.name}: in {n_steps} steps no prompt had two answers of different reward: all answers were "
        f"identical {n_identical:,} times, and all rewards equal {n_ties:,} times. Raise `temperature` (it is "
        f"{stage.temperature:g}), `top_p` ({stage.top_p:g}) or `n` ({stage.n}), so that answers differ; where they "
        "do and rewards do not, look at the reward model"
    )


# Formulas


def answer_logps(model: Any, inputs: Inputs) -> torch.Tensor:
    """Log-probabilities of the tokens of answers, 0 elsewhere: (2P, A), A from the first token of any answer on."""
    ids, is_answer = inputs["input_ids"], inputs["is_answer"]
    first = int(is_answer.int().argmax(-1).min().clamp(min=1))
    n_kept = ids.shape[1] - first + 1
    logits = model(
        input_ids=ids, attention_mask=inputs["attention_mask"], use_cache=False, logits_to_keep=n_kept
    ).logits[:, -n_kept:-1]
    logits = logits.float()
    chosen = logits.gather(-1, ids[:, first:, None])[..., 0]
    sums = torch.stack([row.logsumexp(-1) for row in logits])  # row by row, since a copy of all of them is large
    return (chosen - sums) * is_answer[:, first:]


def pair_deltas(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(P,) of the sum of log pi/ref over the chosen answer, less that over the rejected one.

    Args:
        policy: (2P, A), log-probabilities of tokens, chosen answers first.
        reference: the same of the reference.
    """
    chosen, rejected = policy.sum(-1).chunk(2)
    chosen_reference, rejected_reference = reference.sum(-1).chunk(2)
    return (chosen - rejected) - (chosen_reference - rejected_reference)


def pair_losses(deltas: torch.Tensor, kind: str, beta: float) -> torch.Tensor:
    """(P,) losses: `sigmoid` (Rafailov et al. 2023, 2305.18290) or `ipo` (Azar et al. 2023, 2310.12036)."""
    return -logsigmoid(beta * deltas) if kind == "sigmoid" else (deltas - 1 / (2 * beta)) ** 2
