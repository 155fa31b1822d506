"""Prompts that a policy answers in training, as the token ids that it reads."""

from typing import Any

from manifests.errors import RequestError
from training.chat.prompts import read_prompts
from training.chat.rendering import prompt_ids
from training.chat.rows import Left
from training.online.batches import Question


def read_questions(path: str, base: str, tokenizer: Any, max_length: int, left: Left) -> list[Question]:
    """The prompts of files, in their order.

    Args:
        path: Parquet or JSONL, a folder or a glob.
        base: where a relative path starts.
        tokenizer: the policy's.
        max_length: tokens; longer prompts are left out.
        left: prompts that are left out are counted here by reason.

    Raises:
        RequestError: there is no such file or column, or no prompt can be used.
        RunError: a line is no JSON object.
    """
    found = []
    for asked in read_prompts(path, base, "prompts", left):
        try:
            ids = prompt_ids(tokenizer, asked.prompt, asked.tools)
        except RequestError as error:
            left.count("refused_by_template", example=f"{asked.place}: {error}")
            continue
        if len(ids) > max_length:
            said = f"{asked.place}: has {len(ids):,} tokens; `max_prompt_length` is {max_length:,}"
            left.count("too_long", example=said)
        else:
            found.append(Question(asked.prompt, tuple(ids), asked.tools))
    if not found:
        first = next(iter(left.examples.values()), "there are no rows")
        raise RequestError(f"prompts: {path}: no prompt is left to train on; the first that was left out: {first}")
    return found
