"""Prompts as the token ids that an evaluated model reads."""

from typing import Any

from manifests.errors import RequestError
from training.chat.rendering import end_ids, rendered_prompt
from training.evaluating.engine import Messages


class Rendered(str):
    """A conversation in a chat template, which writes special tokens itself: none are put before it."""


class Reader:
    """A model's tokenizer, and how much it reads at once."""

    def __init__(self, tokenizer: Any, window: int, generation_config: Any, folder: str) -> None:
        """Take note of them.

        Raises:
            RequestError: no token ends texts, so that answers never would and lm-eval cannot put anything before
                an empty prompt.
        """
        if tokenizer.eos_token_id is None:
            raise RequestError(f"{folder}: its tokenizer has no `eos_token`; set it in tokenizer_config.json")
        self.tokenizer, self.window, self._folder = tokenizer, window, folder
        self.ends = end_ids(tokenizer, generation_config)
        """Tokens at which an answer ends."""

    def ids(self, prompt: str) -> list[int]:
        """As lm-eval reads them: with the tokenizer's own special tokens, unless they are there already."""
        begin = self.tokenizer.bos_token
        is_whole = isinstance(prompt, Rendered) or bool(begin and prompt.startswith(begin))
        found = self.tokenizer(prompt, add_special_tokens=not is_whole, verbose=False)["input_ids"]
        return [int(number) for number in found]

    def before_answer(self, prompt: str, max_new_tokens: int) -> list[int]:
        """The ids of a prompt that leaves room for the answer, less its beginning where it is too long.

        Raises:
            RequestError: the window has no room for such an answer.
        """
        room = self.window - max_new_tokens
        if room < 1:
            raise RequestError(
                f"an answer of {max_new_tokens} tokens leaves no room for a prompt in the model's {self.window}; "
                "set a smaller `max_new_tokens`"
            )
        return (self.ids(prompt) or [int(self.tokenizer.eos_token_id)])[-room:]

    def rendered(self, messages: Messages) -> str:
        """See `Engine`."""
        if self.tokenizer.chat_template is None:
            raise RequestError(
                f"{self._folder}: the model has no chat template; leave `chat` out, or say `chat: false`"
            )
        return Rendered(rendered_prompt(self.tokenizer, messages))


class ReadingEngine:
    """What engines share: the model as lm-eval knows it, and how it reads prompts. See `Engine`."""

    _lm: Any
    _reader: Reader

    @property
    def lm(self) -> Any:
        """See `Engine`."""
        return self._lm

    @property
    def tokenizer(self) -> Any:
        """See `Engine`."""
        return self._reader.tokenizer

    @property
    def window(self) -> int:
        """See `Engine`."""
        return self._reader.window

    def n_tokens(self, prompt: str) -> int:
        """See `Engine`."""
        return len(self._reader.ids(prompt))

    def rendered(self, messages: Messages) -> str:
        """See `Engine`."""
        return self._reader.rendered(messages)
