"""Models as lm-eval knows them. Log-likelihoods and prompts are lm-eval's; answers are written by the engine, which
knows whether each ended, and stops each row of a batch by itself."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from manifests.errors import RequestError
from training.evaluating.engine import Said, Told
from training.evaluating.reading import Reader, Rendered

DEFAULT_ANSWER_TOKENS = 256
"""Longest answer, where a task of lm-eval says nothing of it: lm-eval's own."""
Request = tuple[tuple[str, str] | None, list[int], list[int]]
"""Texts of a prompt and what follows, and the ids of both."""


def answer_tokens(settings: dict[str, Any] | None) -> int:
    """The longest answer that settings of lm-eval allow."""
    return int(normalize_gen_kwargs(settings or {}, DEFAULT_ANSWER_TOKENS)["max_gen_toks"])


class Writer(Protocol):
    """What writes answers: see `Engine.write`."""

    def __call__(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        """See `Engine.write`."""


class Watch:
    """Counts what is done of what lm-eval asks, and keeps how each answer ended."""

    def __init__(self) -> None:
        self.told: Told | None = None
        self.seed = 0
        """Of answers at a temperature."""
        self.cut: set[str] = set()
        """Prompts whose answers did not end by themselves."""
        self._n_done = self._n_asked = 0

    def begin(self, told: Told | None, seed: int) -> None:
        """Another benchmark is asked."""
        self.told, self.seed, self.cut = told, seed, set()
        self._n_done = self._n_asked = 0

    def asks(self, n: int) -> None:
        """So many more are asked."""
        self._n_asked += n

    def add_partial(self, kind: str, request: Any, found: Any) -> None:
        """What lm-eval calls when one is done."""
        self.done(1)

    def done(self, n: int) -> None:
        """So many more are done."""
        self._n_done += n
        if self.told is not None:
            self.told(self._n_done, self._n_asked)


class Written(TemplateLM):  # type: ignore[misc]
    """A mixin before a model of lm-eval: answers come from the engine."""

    watch: Watch
    writer: Writer

    def engaged(self, writer: Writer) -> None:
        """Take who writes."""
        self.watch, self.writer = Watch(), writer
        self.set_cache_hook(self.watch)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """See lm-eval."""
        self.watch.asks(len(requests))
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """See lm-eval; requests with the same settings are written together."""
        self.watch.asks(len(requests))
        alike = dict[str, list[int]]()
        for place, request in enumerate(requests):
            alike.setdefault(repr(request.args[1]), []).append(place)
        answers = dict[int, str]()
        for places in alike.values():
            prompts = [requests[place].args[0] for place in places]
            said = self._written(prompts, requests[places[0]].args[1])
            answers |= {place: one.text for place, one in zip(places, said, strict=True)}
            self.watch.cut |= {prompt for prompt, one in zip(prompts, said, strict=True) if not one.ended}
        return [answers[place] for place in range(len(requests))]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """See lm-eval; templates write special tokens themselves."""
        return Rendered(super().apply_chat_template(chat_history, add_generation_prompt))

    def _written(self, prompts: Sequence[str], settings: dict[str, Any]) -> list[Said]:
        kwargs = dict(normalize_gen_kwargs(settings, DEFAULT_ANSWER_TOKENS))
        stop, n_tokens = kwargs.pop("until"), kwargs.pop("max_gen_toks")
        does_sample, temperature = kwargs.pop("do_sample", False), float(kwargs.pop("temperature", 0.0) or 0.0)
        if others := {name: value for name, value in kwargs.items() if value not in (None, 1, 1.0)}:
            raise RequestError(f"answers are drawn with {others}; valid: do_sample, temperature, until, max_gen_toks")
        before = 0

        def told(done: int, total: int) -> None:
            nonlocal before
            self.watch.done(done - before)
            before = done

        warmth = temperature if does_sample else 0.0
        return self.writer(prompts, n_tokens, stop, temperature=warmth, seed=self.watch.seed, told=told)


class LocalModel(Written, HFLM):  # type: ignore[misc]
    """A model in this process."""

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """See lm-eval."""
        self.watch.asks(len(requests))
        found: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=True)
        return found


Scorer = Callable[[Sequence[tuple[Sequence[int], int]], Callable[[int], None]], list[tuple[float, bool]]]
"""Of ids, the last of which are counted: the sum of their log-likelihoods, and whether each is the likeliest. The
second argument is told how many are done."""


class ServerModel(Written):
    """A model behind a server that tells the log-likelihood of a prompt's tokens."""

    backend = "causal"

    def __init__(self, reader: Reader, scorer: Scorer) -> None:
        super().__init__()
        self.tokenizer, self._reader, self._scorer = reader.tokenizer, reader, scorer
        self.max_length = reader.window - 1
        """Ids that are scored at once; the server always writes one more."""

    @property
    def eot_token_id(self) -> int:
        """See lm-eval."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """See lm-eval."""
        begin = self.tokenizer.bos_token_id
        return int(begin if begin is not None else self.tokenizer.eos_token_id)

    @property
    def tokenizer_name(self) -> str:
        """See lm-eval."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **more: Any) -> list[int]:
        """As `HFLM` does it."""
        options: dict[str, bool] = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        if add_special_tokens is None and string.startswith(self.tokenizer.decode(self.prefix_token_id)):
            options["add_special_tokens"] = False
        return list(self.tokenizer.encode(string, **options))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """As `HFLM` does it."""
        return Rendered(HFLM.apply_chat_template(self, chat_history, add_generation_prompt))

    chat_template_args: dict[str, Any] = {}  # noqa: RUF012  (read by `HFLM.apply_chat_template`)

    def _loglikelihood_tokens(self, requests: list[Request], **more: Any) -> list[tuple[float, bool]]:
        rows = [
            ((context + after)[-self.max_length :], min(len(after), self.max_length))
            for _, context, after in requests
        ]
        return self._scorer(rows, self.watch.done)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """See lm-eval: windows that do not overlap but for a token that the next one is foretold from."""
        found = list[float]()
        for (text,) in (request.args for request in requests):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length - 1,
                context_len=1,
            )
            rows: list[Request] = [(None, *make_disjoint_window(window)) for window in windows]
            self.watch.asks(len(rows))
            found.append(sum(value for value, _ in self._loglikelihood_tokens(rows)))
        return found
