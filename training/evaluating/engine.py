"""Who computes for an evaluation: a model behind lm-eval's interface, that also writes answers on its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Told = Callable[[int, int], None]
"""Is told how many are done, of how many."""


def shifted(told: Told | None, n_before: int, n_all: int) -> Told | None:
    """Tells of a batch as a part of all."""
    return None if told is None else lambda n_done, _: told(n_before + n_done, n_all)


Messages = Sequence[Mapping[str, str]]
"""A conversation: `role` and `content`."""


@dataclass(frozen=True)
class Said:
    """What a model wrote."""

    text: str
    """Without what stopped it."""
    n_tokens: int
    ended: bool
    """Whether it ended by itself, or at a stop, rather than at the greatest length."""


class Engine(Protocol):
    """A model that is evaluated: in this process, or behind a server that this process started."""

    @property
    def lm(self) -> Any:
        """The model as lm-eval knows it (`lm_eval.api.model.LM`)."""

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, of transformers."""

    @property
    def window(self) -> int:
        """Tokens that prompt and answer may have together."""

    def n_tokens(self, prompt: str) -> int:
        """How many tokens the model reads of a prompt, with what it puts before texts."""

    def rendered(self, messages: Messages) -> str:
        """A conversation in the model's chat template, up to where the answer begins.

        Raises:
            RequestError: the model has no chat template.
        """

    def write(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        """An answer to each prompt (a text, or a rendered conversation), in their order.

        At a temperature each prompt is drawn with a seed of its own, made from `seed` and its place, so that neither
        the batch nor the order changes what is written. A prompt that leaves no room for the answer loses its
        beginning.
        """
