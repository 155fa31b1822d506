"""Answers of a model to the prompts of a manifest, and their rewards."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from manifests.errors import RequestError, RunError
from manifests.schema_training_gates import Prompts
from training.chat.prompts import Asked, read_prompts
from training.chat.rendering import Prompt, as_text, prompt_ids
from training.chat.rows import Left
from training.measuring.open_model import OpenModel
from training.measuring.uncertainty import mean, mean_error
from training.online.sampling import draw_ids
from training.preferences.reward_model import RewardModel
from training.summary_models import Answer

AT_ONCE = 32
"""Answers that are drawn together."""


def prompts_of(settings: Prompts, base: str) -> list[Asked]:
    """The prompts of a manifest, always the same ones.

    Raises:
        RequestError: there are none, or one cannot be read; names the file and the field.
    """
    try:
        found = read_prompts(settings.path, base, "prompts", Left(), limit=settings.limit)
    except RunError as error:
        raise RequestError(f"prompts.path: {error}") from error
    if not found:
        raise RequestError(f"prompts.path: {settings.path}: holds no prompt; name a file with `prompt` or `messages`")
    return found


def answers(model: OpenModel, asked: Sequence[Asked], settings: Prompts, seed: int) -> list[Answer]:
    """An answer to each prompt, in their order, by the model's chat template; plain text goes on where it has none.

    Greedy, or drawn by random numbers that the seed and the prompt alone make (`training.online.sampling`).

    Raises:
        RequestError: the chat template refuses a prompt.
    """
    ids = [prompt_ids(model.tokenizer, _readable(model.tokenizer, one.prompt), one.tools) for one in asked]
    drawn = draw_ids(
        model.model,
        model.tokenizer,
        ids,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        seed=seed,
        batch=AT_ONCE,
    )
    return [
        Answer(prompt=as_text(one.prompt), answer=answer.text, n_tokens=len(answer.ids), ended=answer.ended)
        for one, (answer,) in zip(asked, drawn, strict=True)
    ]


def rewards(model: RewardModel, asked: Sequence[Asked], answered: Sequence[Answer]) -> list[float]:
    """The reward of each answer to its prompt.

    Raises:
        RequestError: the reward model's chat template refuses a prompt.
    """
    pairs = zip(asked, answered, strict=True)
    read = [(_readable(model.tokenizer, one.prompt), answer.answer) for one, answer in pairs]
    return model.score(read, [one.tools for one in asked])


def _readable(tokenizer: Any, prompt: Prompt) -> Prompt:
    """Messages as text where the tokenizer has no chat template, as that of a base model."""
    return as_text(prompt) if tokenizer.chat_template is None else prompt


def answer_figures(answered: Sequence[Answer]) -> dict[str, float]:
    """Mean length in tokens, share of answers that ended by themselves, and mean and spread of rewards.

    The token that ends an answer is counted. Without rewards, or where one is no number, there are none.
    """
    lengths = [float(answer.n_tokens) for answer in answered]
    figures = {
        "mean_length": mean(lengths),
        "length_se": mean_error(lengths),
        "ended_frac": mean([float(answer.ended) for answer in answered]),
        "n_answers": len(answered),
    }
    scored = [answer.reward for answer in answered if answer.reward is not None and isfinite(answer.reward)]
    if len(scored) == len(answered):
        spread = mean([(reward - mean(scored)) ** 2 for reward in scored]) ** 0.5
        figures |= {"reward_mean": mean(scored), "reward_std": spread}
    return figures
