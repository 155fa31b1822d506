"""Prompts of an exact length with a needle at a depth.

A prompt is put together from sentences whose tokens are counted one by one, and then counted as a whole, since tokens
may reach over the seams; what is off by that is taken into account, and it is put together again. It never has more
tokens than asked for. It has fewer by `TOLERANCE` at most: the last sentences are chosen to fill the room, and only
where none of those near fits, one is cut and says its end alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from manifests.errors import RunError
from training.evaluating.engine import Engine
from training.needles.haystack import Haystack, Language
from training.needles.needle import Hidden

TOLERANCE = 8
"""Tokens that a prompt may have fewer than asked for."""
N_AHEAD = 200
"""Sentences after the stretch among which those are looked for that fill the room."""
N_ROUNDS = 8
"""Times that a prompt is put together at most; two or three are enough for the tokenizers that are known."""


@dataclass(frozen=True)
class Words:
    """What stands around the text."""

    task: str
    question: str
    """Before the question."""
    answer: str
    """Before the answer, where there is no chat template."""
    briefly: dict[str, str]
    """How to answer, by the kind of the needle, where there is one."""


WORDS: dict[Language, Words] = {
    "ko": Words(
        "다음 글에는 비밀 하나가 숨어 있습니다. 기억해 두세요. 글이 끝나면 묻겠습니다.",
        "질문: ",
        "답: ",
        {"number": "번호만 답하세요.", "word": "그 말만 답하세요."},
    ),
    "en": Words(
        "A secret is hidden in the following text. Remember it: you will be asked for it after the text.",
        "Question: ",
        "Answer: ",
        {"number": "Answer with the number alone.", "word": "Answer with the word alone."},
    ),
}


class TooShortError(Exception):
    """A length leaves no room for instruction, needle and question."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__(f"instruction, needle and question alone have {n_tokens:,} tokens")
        self.n_tokens = n_tokens


@dataclass(frozen=True)
class Prompt:
    """A prompt as it is written to the model."""

    text: str
    n_tokens: int
    depth: float
    """Share of the text's tokens that stand before the needle."""


class Prompts:
    """Puts prompts of a language together for a model."""

    def __init__(self, engine: Engine, haystack: Haystack, chat: bool) -> None:
        """Take note of them.

        Args:
            engine: counts tokens, and renders the chat template.
            haystack: the text.
            chat: whether the model is asked in its chat template.
        """
        self._engine, self._chat = engine, chat
        self._sentences, self._words = haystack.sentences, WORDS[haystack.language]
        self._counts: dict[str, int] = {}
        self._n_stop = engine.n_tokens(".")

    def prompt(self, hidden: Hidden, n_tokens: int, depth: float, start: int) -> Prompt:
        """A prompt.

        Args:
            hidden: the needle.
            n_tokens: of the whole prompt.
            depth: share of the text that stands before the needle.
            start: the sentence that the text begins with; after the last one comes the first one.

        Raises:
            TooShortError: so few tokens hold no text at all.
            RunError: the tokenizer counts so strangely that no prompt fits.
        """
        n_least = self._engine.n_tokens(self._text([], 0, hidden))
        if n_least > n_tokens:
            raise TooShortError(n_least)
        best, budget = None, n_tokens - n_least
        for _ in range(N_ROUNDS):
            chosen = self._fitting(start, budget)
            made = self._made(chosen, depth, hidden)
            if made.n_tokens <= n_tokens and (best is None or made.n_tokens > best.n_tokens):
                best = made
            if n_tokens - TOLERANCE <= made.n_tokens <= n_tokens or (budget <= 0 and best):
                break
            n_off = n_tokens - made.n_tokens
            found = sum(map(self._count, chosen)) + n_off
            budget = max(min(found, budget - 1) if n_off < 0 else found, 0)
        if best is None:
            raise RunError(
                f"needle: no prompt of {n_tokens:,} tokens could be put together; the tokenizer's counts jump"
            )
        return best

    def _made(self, chosen: Sequence[str], depth: float, hidden: Hidden) -> Prompt:
        ends = [0, *accumulate(map(self._count, chosen))]
        place = min(range(len(ends)), key=lambda at: abs(ends[at] - depth * ends[-1]))
        text = self._text(chosen, place, hidden)
        return Prompt(text, self._engine.n_tokens(text), ends[place] / (ends[-1] or 1))

    def _text(self, chosen: Sequence[str], place: int, hidden: Hidden) -> str:
        """The prompt with the needle before the sentence of a place."""
        words = self._words
        haystack = "".join([*chosen[:place], " ", hidden.sentence, *chosen[place:]]).strip()
        asked = f"{words.task}\n\n{haystack}\n\n{words.question}{hidden.question}"
        if not self._chat:
            return f"{asked}\n{words.answer}{hidden.begun}"
        return self._engine.rendered([{"role": "user", "content": f"{asked} {words.briefly[hidden.kind]}"}])

    def _count(self, piece: str) -> int:
        """Tokens of a piece after a full stop."""
        if piece not in self._counts:
            self._counts[piece] = max(self._engine.n_tokens(f".{piece}") - self._n_stop, 1)
        return self._counts[piece]

    def _fitting(self, start: int, budget: int) -> list[str]:
        """Sentences from the one at `start` that have so many tokens by their own counts, or a few fewer."""
        n, chosen = len(self._sentences), list[str]()
        while (n_piece := self._count(self._sentences[start % n])) <= budget:
            chosen.append(self._sentences[start % n])
            start, budget = start + 1, budget - n_piece
        near = [self._sentences[(start + k) % n] for k in range(1, min(N_AHEAD, n))]
        while budget > TOLERANCE and (fitting := [piece for piece in near if 0 < self._count(piece) <= budget]):
            chosen.append(max(fitting, key=self._count))
            near.remove(chosen[-1])
            budget -= self._count(chosen[-1])
        if budget > TOLERANCE and (end := self._end(self._sentences[start % n], budget)):
            chosen.append(end)
        return chosen

    def _end(self, sentence: str, budget: int) -> str:
        """The end of a sentence that has so many tokens or a few fewer; cut before a word, else before a letter."""
        for cuts in (
            [at for at, char in enumerate(sentence) if char.isspace()],
            [at for at, char in enumerate(sentence) if char.isalpha()],
        ):
            low, high = 0, len(cuts)
            while low < high:
                middle = (low + high) // 2
                fits = self._count(f" {sentence[cuts[middle] :].strip()}") <= budget
                low, high = (low, middle) if fits else (middle + 1, high)
            end = f" {sentence[cuts[low] :].strip()}" if low < len(cuts) else ""
            if end and self._count(end) >= budget - TOLERANCE:
                return end
        return end
