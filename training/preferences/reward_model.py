"""Rewards of answers, by a model with a head of one number: what `training.preferences.reward` makes, or another.

The reward is read at the last token of the answered prompt. transformers finds that place by the padding token (the
last token that is another one), and vLLM takes the very last token. Both agree only if the padding token never ends
an answer: `padding_token` sees to that, where TRL would pad with the end-of-sequence token.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from manifests.errors import RequestError
from training.chat.rendering import Answer, Prompt, answered_ids
from training.preferences.padding import padding_token
from training.trainers import load_tokenizer

HEADS = ("score", "classifier", "v_head")
"""What models call the layer that makes the reward."""


class RewardModel:
    """A reward model in memory."""

    def __init__(self, folder: str | Path, *, precision: str = "auto", batch: int = 16, device: str | None = None):
        """Load a model.

        Args:
            folder: `config.json`, safetensors, the tokenizer and its chat template.
            precision: `auto` (bfloat16 on a GPU, else float32), or the name of a type of torch.
            batch: answers at once.
            device: where it runs; without it, on the GPU if there is one.

        Raises:
            RequestError: there is no such model, it has no head of one number, or its tokenizer is of another
                vocabulary.
        """
        self.folder, self.batch = str(folder), batch
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = _load(Path(folder), _dtype(precision, self.device)).to(self.device).eval()
        self.tokenizer = load_tokenizer(self.folder)
        check_vocabulary(self.folder, self.tokenizer, self.model)
        self.pad_id = padding_token(self.tokenizer)
        self.model.config.get_text_config().pad_token_id = self.pad_id

    def score(
        self, answered: Sequence[tuple[Prompt, Answer]], tools: Sequence[Sequence[Any]] | None = None
    ) -> list[float]:
        """The reward of each answer to its prompt, in their order; each is a text or messages.

        Args:
            answered: (prompt, answer).
            tools: of each, the functions that might be called; without it none.

        Raises:
            RequestError: the chat template refuses one.
        """
        pairs = zip(answered, tools or [()] * len(answered), strict=True)
        return self.score_ids([answered_ids(self.tokenizer, *one, tools=functions) for one, functions in pairs])

    def score_ids(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """The same of answered prompts that are token ids already, none of them empty."""
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))  # the least padding
        rewards = [0.0] * len(rows)
        for start in range(0, len(order), self.batch):
            some = order[start : start + self.batch]
            for number, reward in zip(some, self._rewards([rows[number] for number in some]), strict=True):
                rewards[number] = reward
        return rewards

    def _rewards(self, rows: Sequence[Sequence[int]]) -> list[float]:
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.pad_id] * (width - len(row))] for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        with torch.no_grad():
            rewards: list[float] = (
                self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, 0].tolist()
            )
        return rewards


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    name = precision if precision != "auto" else "bfloat16" if device.type == "cuda" else "float32"
    found: torch.dtype = getattr(torch, name)
    return found


def check_is_reward_model(folder: str | Path) -> None:
    """That a folder holds a model with a head of one number, by its configuration.

    Raises:
        RequestError: it does not.
    """
    if not Path(folder, "config.json").is_file():
        raise RequestError(f"{folder}: there is no model: no `config.json` in it")
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if config.num_labels != 1 or not any("Classification" in name for name in config.architectures or ()):
        found = f"{', '.join(config.architectures or ['nothing'])} of {config.num_labels} outputs"
        raise RequestError(
            f"{folder}: is no reward model (found {found}; expected ...ForSequenceClassification of 1): train one "
            "with a stage of kind `reward`"
        )


def _load(folder: Path, dtype: torch.dtype) -> Any:
    """The model; its head in float32, since a bfloat16 cannot tell 5.00 from 5.01."""
    check_is_reward_model(folder)
    model, said = AutoModelForSequenceClassification.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=dtype,
        output_loading_info=True,
    )
    if said["missing_keys"]:
        raise RequestError(f"{folder}: its weights lack {', '.join(sorted(said['missing_keys'])[:3])}")
    head = next(
        (getattr(model, name) for name in HEADS if isinstance(getattr(model, name, None), torch.nn.Linear)), None
    )
    if head is not None:
        head.float().register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return model


def check_vocabulary(folder: str, tokenizer: Any, model: Any) -> None:
    """That the model knows all tokens of its tokenizer.

    Raises:
        RequestError: it does not.
    """
    n_known, n_used = model.get_input_embeddings().num_embeddings, len(tokenizer)
    if n_used > n_known:
        raise RequestError(
            f"{folder}: its tokenizer has {n_used:,} tokens and the model {n_known:,}: put the tokenizer that it was "
            "trained with beside it"
        )
