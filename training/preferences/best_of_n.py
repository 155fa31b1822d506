"""Which of several reward models picks the best answers (Kanana, section 3): accuracy on pairs does not say it.

The policy draws n answers to each prompt; each reward model picks one of them, and a judge of its own scores the
pick: the gold answer, or a reward model that is trusted. Beside them stand a random pick (the mean of all n) and the
best of all n, which no reward model can beat.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests.engine import Progress
from manifests.errors import RequestError, RunError
from manifests.schema_training_preferences import BestOfN
from synth.verify import Case, expected_of, verify_all
from training.chat.prompts import Asked, read_prompts
from training.chat.rendering import as_text, prompt_ids
from training.chat.rows import Left
from training.inputs import MODEL_FILES
from training.jobs import Cell, Job, Made, Table
from training.online.sampling import Drawn, draw_ids
from training.preferences.reward_model import RewardModel, check_is_reward_model
from training.trainers import load_model, load_tokenizer
from training.trainers import replace as put_in_place

FLOATS = NDArray[np.float64]
ANSWERS = "answers"
ANSWERS_AT_ONCE = 32


@dataclass(frozen=True)
class Picked:
    """What a reward model picked, judged."""

    name: str
    score: float
    """Mean of the judged scores of its picks."""
    error: float
    """Standard error of that mean over prompts."""
    best_frac: float
    """Share of the prompts at which its pick is as good as the best of all n."""
    accuracy: float | None = None
    """On held-out pairs, where it can be told."""


def prepare(job: Job, choice: BestOfN, left: Left) -> list[Asked]:
    """The prompts; candidates and judge are looked at, so that what cannot be chosen by is told before the training.

    Raises:
        RequestError: there are no prompts, or a candidate or the judge is no reward model.
    """
    with_gold = choice.judge == ANSWERS
    for name in [*choice.candidates, *([] if with_gold else [choice.judge])]:
        check_is_reward_model(job.models[name])
    at, of_choice = "best_of_n.prompts", Left()
    asked = read_prompts(choice.prompts, job.manifest_base, at, of_choice, limit=choice.limit, needs_answer=with_gold)
    if not asked:
        raise RequestError(f"{at}: {choice.prompts} has no prompt")
    for reason, count in of_choice.counts.items():
        left.count(f"best_of_n.{reason}", count, of_choice.examples.get(reason))
    return asked


def choose_best(
    made: Made,
    job: Job,
    choice: BestOfN,
    asked: Sequence[Asked],
    progress: Progress,
    accuracy_of: Callable[[RewardModel], float | None],
) -> None:
    """Choose between the stage's own model and the candidates; the best becomes what the stage makes.

    Args:
        made: gets the table.
        job: of the stage, whose own model lies in `model/`.
        choice: of the manifest.
        asked: the prompts.
        progress: is told how far it is.
        accuracy_of: accuracy of a model on held-out pairs, if it can be told: for the table.

    Raises:
        RequestError: a candidate or the judge cannot be read.
        RunError: a reward is no number, so that nothing can be picked by it.
    """
    folders = {job.stage.name: str(job.model_path)} | {name: job.models[name] for name in choice.candidates}
    answers = _drawn(job, choice, asked, progress)
    judge = None if choice.judge == ANSWERS else RewardModel(job.models[choice.judge])
    judged = judge_answers(asked, answers) if judge is None else rewards_of_answers(judge, asked, answers)
    rewards, accuracies = dict[str, FLOATS](), dict[str, float | None]()
    for number, (name, folder) in enumerate(folders.items()):
        progress(f"{job.stage.name}: best of {choice.n}", number, len(folders), name)
        model = RewardModel(folder)
        rewards[name], accuracies[name] = rewards_of_answers(model, asked, answers), accuracy_of(model)
        if not np.isfinite(rewards[name]).all():
            raise RunError(f"best_of_n: {folder}: a reward is no number: its weights or activations are not finite")
    picked = [replace(one, accuracy=accuracies[one.name]) for one in compare(rewards, judged)]
    made.tables.insert(0, _table(picked, choice, judged))
    made.figures |= {f"best_of_n/{one.name}": one.score for one in picked}
    if picked[0].name != job.stage.name:
        _take(Path(folders[picked[0].name]), job)


def _drawn(job: Job, choice: BestOfN, asked: Sequence[Asked], progress: Progress) -> list[list[Drawn]]:
    """The policy's answers; the policy is what the stage went on from."""
    import torch

    progress(f"{job.stage.name}: answers", 0, len(asked), f"{choice.n} to each prompt")
    folder = job.models["model"]
    policy = load_model(folder).to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer(folder)
    return draw_ids(
        policy,
        tokenizer,
        [prompt_ids(tokenizer, one.prompt, one.tools) for one in asked],
        n=choice.n,
        temperature=choice.temperature,
        max_new_tokens=choice.max_new_tokens,
        seed=job.seed,
        batch=ANSWERS_AT_ONCE,
    )


def judge_answers(asked: Sequence[Asked], answers: Sequence[Sequence[Drawn]]) -> FLOATS:
    """(prompts, n): 1 where the final answer is the gold answer, else 0; see `synth.verify`."""
    cases = [
        Case(one.text, expected_of(prompt.answer or "", as_text(prompt.prompt)), "stop" if one.ended else "length")
        for prompt, some in zip(asked, answers, strict=True)
        for one in some
    ]
    right = [float(verdict.outcome == "right") for verdict in verify_all(cases)]
    return np.array(right).reshape(len(asked), -1)


def rewards_of_answers(model: RewardModel, asked: Sequence[Asked], answers: Sequence[Sequence[Drawn]]) -> FLOATS:
    """(prompts, n): rewards of all answers."""
    answered = [(prompt.prompt, one.text) for prompt, some in zip(asked, answers, strict=True) for one in some]
    tools = [prompt.tools for prompt, some in zip(asked, answers, strict=True) for _ in some]
    return np.array(model.score(answered, tools), np.float64).reshape(len(asked), -1)


def compare(rewards: Mapping[str, FLOATS], judged: FLOATS) -> list[Picked]:
    """What each model's picks are worth, best first; of equal ones the first.

    Args:
        rewards: of each model, (prompts, n); it picks the highest, the first of equal ones.
        judged: (prompts, n), what each answer is worth.
    """
    found = []
    for name, of_all in rewards.items():
        picks = np.take_along_axis(judged, of_all.argmax(1)[:, None], 1)[:, 0]
        found.append(
            Picked(name, float(picks.mean()), _standard_error(picks), float((picks >= judged.max(1)).mean()))
        )
    return sorted(found, key=lambda one: -one.score)


def _standard_error(values: FLOATS) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _table(picked: Sequence[Picked], choice: BestOfN, judged: FLOATS) -> Table:
    rows: list[list[Cell]] = [
        ["the best of all (oracle)", *_summed(judged.max(1)), 1.0, None],
        *(
            [one.name, _rounded(one.score), _rounded(one.error), _rounded(one.best_frac), _rounded(one.accuracy)]
            for one in picked
        ),
        ["a random one", *_summed(judged.mean(1)), _rounded(float((judged >= judged.max(1)[:, None]).mean())), None],
    ]
    judge = "final answers that are right" if choice.judge == ANSWERS else f"rewards of {choice.judge}"
    return Table(
        title=f"Best of {choice.n}",
        columns=["who picks", "mean score", "standard error", "as good as the best", "accuracy on held-out pairs"],
        rows=rows,
        note=(
            f"{len(judged)} prompts, {choice.n} answers each, judged by {judge}. The stage makes `{picked[0].name}`. "
            "Scores that lie within two standard errors of each other do not tell the models apart."
        ),
    )


def _summed(values: FLOATS) -> tuple[Cell, Cell]:
    return _rounded(float(values.mean())), _rounded(_standard_error(values))


def _rounded(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(value, 4)


def _take(folder: Path, job: Job) -> None:
    """Make another reward model what the stage makes: its own files, and no checkpoints that lie beside them."""
    partial = job.path / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)}):
        shutil.copy2(file, partial)
    put_in_place(partial, job.model_path)
