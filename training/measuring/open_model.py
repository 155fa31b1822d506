"""A model that is measured, with its tokenizer."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from training.trainers import load_model, load_tokenizer

UNBOUNDED = 1 << 40


class OpenModel:
    """A model that is measured; its weights are read when something has to be measured."""

    def __init__(self, folder: str, digest: str = "", precision: str = "auto") -> None:
        """Take note of a model.

        Args:
            folder: of the model.
            digest: of its files.
            precision: `float32`, `bfloat16`, or `auto` for the latter where a GPU has it.
        """
        self.folder, self.digest = Path(folder), digest
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        has_bf16 = self.device == "cuda" and torch.cuda.is_bf16_supported()
        self.precision = ("bfloat16" if has_bf16 else "float32") if precision == "auto" else precision

    @property
    def numbers(self) -> dict[str, str]:
        """What its numbers are computed on and in, which changes figures by rounding."""
        return {"device": self.device, "precision": self.precision}

    @cached_property
    def model(self) -> Any:
        """The model, on its device.

        Raises:
            RequestError: it cannot be read, or nobody knows its architecture.
        """
        model = load_model(str(self.folder))
        return model.to(self.device, getattr(torch, self.precision)).eval()

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer.

        Raises:
            RequestError: there is none.
        """
        return load_tokenizer(str(self.folder))

    @property
    def prefix(self) -> tuple[int, ...]:
        """What a text begins with: the token that begins texts, else the one that ends them, as the harness does it;
        nothing where there is neither, and then nothing foretells the first token of a text."""
        found = [getattr(self.tokenizer, name) for name in ("bos_token_id", "eos_token_id")]
        return next(((int(number),) for number in found if number is not None), ())

    def window(self, tokens: int = UNBOUNDED) -> int:
        """So many tokens at once, or the model's context where that is shorter."""
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return min(tokens, context) if context else tokens

    def ids(self, text: str) -> list[int]:
        """The ids of a text; special tokens that stand in it are text."""
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return [int(number) for number in found["input_ids"]]
