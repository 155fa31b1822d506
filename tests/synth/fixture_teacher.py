"""A teacher that is partly right on 1,000 real word problems, in known proportions, and says which is which.

What each sample is, is drawn by a hash and known by construction, without a look at the verifier: what it ends in is
the known answer, or it is not. `FixtureTeacher.say` answers requests; `FixtureTeacher.said` has the labels.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import orjson
import zstandard

from synth.tasks.task import ATTEMPTS_MAX, draw
from synth.teachers.answers import Answer
from tests.synth.fixture_words import CHINESE, WORDS, Words

Label = Literal["right", "unusual", "unreadable", "wrong", "cut", "language", "duplicate", "contaminated"]

PERCENT: dict[Label, int] = {
    "right": 48,
    "unusual": 12,
    "unreadable": 6,
    "wrong": 12,
    "cut": 8,
    "language": 6,
    "duplicate": 5,
    "contaminated": 3,
}
"""Of the samples of questions that are no benchmark's."""

N_QUESTIONS, N_BENCHMARK = 500, 15
"""Per language; so many of them are items of a benchmark, whose samples are all contaminated."""
N_SAMPLES = 2
"""Per question."""
ALIKE = 0.5
"""Questions are no more alike than this (Jaccard of their characters, five at a time): so their traces are not."""

SEEDS = {"en": ["gsm8k_train"], "ko": ["kor_mwp_train", "kor_single_eq_train", "kor_multiarith_train"]}
BENCHMARKS = {"en": "gsm8k_test", "ko": "kor_gsm8k_test"}


COPIED_CHARS_MIN = {"en": 150, "ko": 80}
"""Shorter traces are not copied: a few words more would make them another text."""

KEPT = ("right", "unusual", "duplicate")
"""What may be kept; of a trace and its copies, one."""

Key = tuple[str, int]
"""A question's id, and which of its samples."""


@dataclass(frozen=True)
class Question:
    """A word problem."""

    id: str
    text: str
    gold: str
    language: str
    rationale: str = ""
    """Of GSM8K."""
    is_benchmark: bool = False

    @property
    def value(self) -> Fraction:
        return Fraction(self.gold.replace(",", ""))

    @property
    def number(self) -> str:
        """The known answer as one writes it: `2.0` is 2."""
        return str(self.value.numerator) if self.value.denominator == 1 else self.gold


@dataclass(frozen=True)
class Said:
    """One sample, and what it is."""

    label: Label
    answer: Answer
    copy_of: Key | None = None
    """Of a duplicate: the question and the sample that it is a copy of. One of the two should stay."""


def read_questions(data: Path, language: str) -> list[Question]:
    """500 questions of a language, always the same ones.

    Args:
        data: folder of the development corpora.
        language: `en` or `ko`.
    """
    rows = [row for name in SEEDS[language] for row in _rows(data / "seeds" / f"{name}.jsonl.zst")]
    chosen: list[Question] = []
    shingles: list[frozenset[str]] = []
    for row in sorted(rows, key=lambda row: draw("fixture", row["id"])):
        pieces = _shingles(row["instruction"])
        if len(pieces) < 20 or any(len(pieces & one) > ALIKE * len(pieces | one) for one in shingles):
            continue
        chosen.append(_question(row, language))
        shingles.append(pieces)
        if len(chosen) == N_QUESTIONS - N_BENCHMARK:
            break
    return chosen + _benchmark_questions(data, language)


def _question(row: dict[str, Any], language: str) -> Question:
    rationale, _, gold = row["output"].rpartition("####")
    gold = row.get("answer") or gold
    rationale = re.sub(r"<<[^>]*>>", "", rationale).strip() if language == "en" else ""
    return Question(row["id"], row["instruction"].strip(), gold.strip(), language, rationale)


def _benchmark_questions(data: Path, language: str) -> list[Question]:
    """Those of the Korean benchmark are translations, and have the answers of the English one."""
    golds = {row["id"].split("/")[1]: row["answer"].rpartition("####")[2].strip() for row in _benchmark(data, "en")}
    rows = sorted(_benchmark(data, language), key=lambda row: draw("fixture", row["id"]))[:N_BENCHMARK]
    return [
        Question(row["id"], row["question"].strip(), golds[row["id"].split("/")[1]], language, is_benchmark=True)
        for row in rows
    ]


def _benchmark(data: Path, language: str) -> list[dict[str, Any]]:
    path = data / "benchmarks" / f"{BENCHMARKS[language]}.jsonl"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as raw, BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw)) as lines:
        return [orjson.loads(line) for line in lines]


def _shingles(text: str) -> frozenset[str]:
    plain = "".join(text.split())
    return frozenset(plain[at : at + 5] for at in range(len(plain) - 4))


@dataclass(frozen=True)
class Score:
    """Of what was kept in one language."""

    n_kept: int
    n_wanted: int
    false: list[Key]
    """Kept, and should not be."""
    missing: list[Key]
    """Not kept, nor a copy of it, and should be."""

    @property
    def precision(self) -> float:
        return 1 - len(self.false) / self.n_kept

    @property
    def recall(self) -> float:
        return 1 - len(self.missing) / self.n_wanted


class FixtureTeacher:
    """Answers to all questions."""

    def __init__(self, data: Path) -> None:
        """Says everything at once, which takes about a second per language."""
        self.questions = {one.id: one for language in ("en", "ko") for one in read_questions(data, language)}
        self.items = {
            language: [row["question"].strip() for row in _benchmark(data, language)] for language in BENCHMARKS
        }
        self.said: dict[Key, Said] = {}
        self._ids = {one.text: one.id for one in self.questions.values()}
        self._same = self._with_equal_answers()
        labels = {key: label for language in SEEDS for key, label in self._labels(language).items()}
        for key, label in labels.items():
            if label != "duplicate":
                self.said[key] = self._say(key, label)
        for key, label in labels.items():
            if label == "duplicate":
                self.said[key] = self._copy(key)

    def say(self, messages: Sequence[tuple[str, str]], seed: int) -> Answer:
        """The answer to a request of `reasoning`."""
        question = messages[-1][1].rsplit("\n\n", 1)[0]
        return self.said[self._ids[question], seed // ATTEMPTS_MAX].answer

    def as_choice(self, body: dict[str, Any], n_before: int = 0) -> dict[str, Any]:
        """The same for `tests.synth.chat_server.ChatServer`."""
        messages = [(message["role"], message["content"]) for message in body["messages"]]
        answer = self.say(messages, body["seed"])
        return {"message": {"content": answer.text}, "finish_reason": answer.finish_reason}

    def write_seeds(self, path: Path) -> None:
        """As rows with `id`, `question`, `answer`, `language`."""
        rows = [
            {"id": one.id, "question": one.text, "answer": one.gold, "language": one.language}
            for one in self.questions.values()
        ]
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)) + b"\n")

    def score(self, language: str, reasons: Mapping[Key, str | None]) -> "Score":
        """How well a set was kept.

        Args:
            language: the samples of which count.
            reasons: of every sample why it is not kept, as `verify:form`; None where it is.
        """
        keys = [key for key in self.said if self.questions[key[0]].language == language]
        kept = [key for key in keys if reasons[key] is None]
        units = Counter(self.said[key].copy_of or key for key in kept)
        wanted = [key for key in keys if self._is_wanted(key, reasons[key])]
        false = [key for key in kept if self.said[key].label not in KEPT or units[self.said[key].copy_of or key] > 1]
        return Score(len(kept), len(wanted), false, [key for key in wanted if not units[key]])

    def _is_wanted(self, key: Key, reason: str | None) -> bool:
        """What is right in an unusual form is wanted where the verifier reads it."""
        label = self.said[key].label
        return label == "right" or (label == "unusual" and reason != "verify:form")

    # What is said.

    def _labels(self, language: str) -> dict[Key, Label]:
        """In these very proportions, in the order of a hash."""
        mine = [one for one in self.questions.values() if one.language == language]
        keys = [(one.id, sample) for one in mine for sample in range(N_SAMPLES) if not one.is_benchmark]
        shuffled = sorted(keys, key=lambda key: draw("label", *key))
        ends = dict(zip(PERCENT, accumulate(PERCENT.values()), strict=True))
        found: dict[Key, Label] = {
            key: next(label for label, end in ends.items() if 100 * place < end * len(keys))
            for place, key in enumerate(shuffled)
        }
        known = [(one.id, sample) for one in mine for sample in range(N_SAMPLES) if one.is_benchmark]
        return found | dict.fromkeys(known, "contaminated")

    def _say(self, key: Key, label: Label) -> Said:
        question = self.questions[key[0]]
        body, words = _body(question, key[1]), WORDS[question.language]
        number, other = question.number, _other(question, key)
        if label == "right":
            return _stopped(label, body, _one(words.endings, *key).format(n=number))
        if label == "unusual":
            return _stopped(label, body, _one(words.said, *key).format(n=_unusual(question, key)))
        if label == "unreadable":
            return _stopped(label, body, _one(words.unreadable, *key).format(n=number, m=other))
        if label == "wrong":
            return _stopped(label, body, _wrong(words, number, other, key))
        if label == "cut":
            return _cut(key, body, _one(words.endings, *key).format(n=number))
        if label == "language":
            return Said(label, Answer(_in_another_language(question, key), "stop"))
        item = (
            ""
            if question.is_benchmark
            else words.benchmark.format(
                x=_one([one for one in self.items[question.language] if len(one) > 150], *key)
            )
        )
        return _stopped(label, f"{body}\n\n{item}".strip(), _one(words.endings, *key).format(n=number))

    def _copy(self, key: Key) -> Said:
        """Of the other sample of the question, or of a question with the same answer."""
        question = self.questions[key[0]]
        original = next((one for one in self._originals(key) if self._may_be_copied(one)), None)
        if original is None:
            return self._say(key, "right")
        words = WORDS[question.language]
        copy = f"{_one(words.copied, *key)} {self.said[original].answer.text}"
        return Said("duplicate", Answer(copy, "stop"), original)

    def _may_be_copied(self, key: Key) -> bool:
        said, language = self.said[key], self.questions[key[0]].language
        return said.label == "right" and len(said.answer.text) >= COPIED_CHARS_MIN[language]

    def _originals(self, key: Key) -> list[Key]:
        """Of its own question first, in every second case."""
        question = self.questions[key[0]]
        own = [(key[0], sample) for sample in range(N_SAMPLES) if (key[0], sample) in self.said]
        same = self._same[question.language, question.value]
        others = [(id_, sample) for id_ in same for sample in range(N_SAMPLES) if id_ != key[0]]
        others = sorted((one for one in others if one in self.said), key=lambda one: draw("copy", key, one))
        return own + others if draw("own", *key) % 2 else others + own

    def _with_equal_answers(self) -> dict[tuple[str, Fraction], list[str]]:
        same: dict[tuple[str, Fraction], list[str]] = {}
        for one in self.questions.values():
            if not one.is_benchmark:
                same.setdefault((one.language, one.value), []).append(one.id)
        return same


def _one(choices: Sequence[str], *key: object) -> str:
    return choices[draw("one of", len(choices), *key) % len(choices)]


def _stopped(label: Label, body: str, ending: str) -> Said:
    return Said(label, Answer(f"{body}\n\n{ending}", "stop"))


def _wrong(words: Words, number: str, other: str, key: Key) -> str:
    """Another number in an ordinary form; in every third case with the right one beside it."""
    if draw("tempting", *key) % 3 == 0:
        return _one(words.tempting, *key).format(n=number, m=other)
    return _one((*words.endings, *words.said), *key).format(n=other)


def _other(question: Question, key: Key) -> str:
    """A number that is not the answer."""
    value = question.value
    apart = Fraction(1 + draw("apart", *key) % 9)
    other = [value + apart, 2 * value + apart, value * 10 + apart][draw("how", *key) % 3]
    return str(other.numerator) if other.denominator == 1 else f"{float(other):.4f}"


def _unusual(question: Question, key: Key) -> str:
    words = WORDS[question.language]
    written = [form for write in words.unusual if (form := write(question.number)) is not None]
    return _one(written, *key)


def _body(question: Question, sample: int) -> str:
    """Steps along the question, in other words for each sample; the first one of GSM8K is its own rationale."""
    words = WORDS[question.language]
    if question.rationale and sample == 0:
        return f"{_one(words.openers, question.id)}\n{question.rationale}"
    lines = [_one(words.openers, question.id, sample)]
    for number, piece in enumerate(_pieces(question.text, sample)):
        lines.append(_one(words.steps, question.id, sample, number).format(x=piece))
        if draw("aside", question.id, sample, number) % 3:
            lines.append(_one(words.asides, question.id, sample, number))
    return "\n".join(lines)


def _pieces(text: str, sample: int) -> list[str]:
    """Of each sentence some words: those at its beginning, or at its end."""
    sentences = [one.split() for one in re.split(r"(?<=[.?!])\s+|\n+", text) if one.strip()]
    cut = [words[:5] if sample % 2 == 0 else words[-5:] for words in sentences]
    return [" ".join(words).strip(".?!,'\"“”‘’ ") for words in cut]


def _cut(key: Key, body: str, ending: str) -> Said:
    """By length, within the trace or just behind its answer; or it stops by itself in the middle of a sentence."""
    how = draw("cut", *key) % 3
    part = body[: max(20, len(body) * 2 // 3)].rstrip(" .!?")
    if how == 0:
        return Said("cut", Answer(part, "length"))
    return Said("cut", Answer(f"{body}\n\n{ending}", "length") if how == 1 else Answer(part, "stop"))


def _in_another_language(question: Question, key: Key) -> str:
    numbers = ", ".join(re.findall(r"\d+", question.text)[:6])
    if draw("Chinese", *key) % 3 == 0:
        return CHINESE.format(x=numbers, n=question.number)
    words = WORDS["en" if question.language == "ko" else "ko"]
    lines = [_one(words.openers, *key), *(_one(words.asides, *key, place) for place in range(4))]
    return "\n".join([*dict.fromkeys(lines), "", f"\\boxed{{{question.number}}}"])
