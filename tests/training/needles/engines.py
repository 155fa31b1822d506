"""Engines for tests of the grid: one that finds needles by a rule, and one around a model of transformers."""

import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from training.evaluating.engine import Messages, Said, Told

TOKEN = re.compile(r"\s*[^\W\d_]+|\s*[0-9]|\s*[^\w\s]|\s+|_")
"""A word with the space before it, a digit, a mark: no other seam changes what stands before or after it."""


class Counting:
    """Writes what a rule says, and counts tokens by `TOKEN`, or as it is told."""

    def __init__(
        self,
        answer: Callable[[str], str],
        window: int = 1 << 20,
        count: Callable[[str], int] = lambda text: len(TOKEN.findall(text)),
    ) -> None:
        self.answer, self.window, self.n_tokens = answer, window, count
        self.asked: list[str] = []
        self.stops: set[tuple[str, ...]] = set()
        self.lm: Any = None
        self.tokenizer: Any = SimpleNamespace(chat_template="as `rendered` writes it")

    def rendered(self, messages: Messages) -> str:
        turns = (f"<|{turn['role']}|>\n{turn['content']}<|end|>\n" for turn in messages)
        return f"{''.join(turns)}<|assistant|>\n"

    def write(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        assert temperature == 0
        said = list[Said]()
        for prompt in prompts:
            assert self.n_tokens(prompt) + max_new_tokens <= self.window
            self.asked.append(prompt)
            self.stops.add(tuple(stop))
            text = self.answer(prompt)
            said.append(Said(text, self.n_tokens(text), True))
            if told:
                told(len(said), len(prompts))
        return said


def last_tokens(prompt: str, n: int) -> str:
    """The end of a prompt, as a model sees it that sees n tokens."""
    return "".join(TOKEN.findall(prompt)[-n:])


class Greedy(Counting):
    """A causal model of transformers, prompt by prompt."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        super().__init__(self._goes_on, self.model.config.max_position_embeddings, lambda text: len(self._ids(text)))
        self.tokenizer = tokenizer

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def _goes_on(self, prompt: str) -> str:
        import torch

        ids = torch.tensor([self._ids(prompt)])
        with torch.no_grad():
            found = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False, pad_token_id=0
            )
        return str(self.tokenizer.decode(found[0, ids.shape[1] :]))
