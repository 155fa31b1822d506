"""Writes the bundled chats, manifests/sample/chats: small sums, in Korean and in English.

    python benchmarks/make_chats.py

They are made up, so that a model of half a million weights can learn them within minutes and so that what is right,
and what is preferred, is known without a judge: the sum, and an answer that ends politely. Running this again writes
the same bytes. `onggi ladder` trains on them.
"""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import zstandard

FOLDER = Path(__file__).resolve().parent.parent / "manifests" / "sample" / "chats"
LANGUAGES = ("ko", "en")
POLITE = {"ko": " 감사합니다.", "en": " Thank you."}
CUE = {"ko": "정답:", "en": "Answer:"}
"""What stands before the answer in plain text, and in multiple choice."""
POLITE_FRAC = 0.3
"""Of the chats' answers: some are polite, so that a model can be, and most are not."""
N_PLAIN, N_CHATS, N_PAIRS, N_PROMPTS, N_HELD_OUT = 1200, 1200, 800, 400, 48
N_WRONG = 3
LARGEST = 4
"""Of what is added: 25 sums, which so small a model can remember that reads each some dozen times."""

Row = dict[str, Any]


def asked(language: str, a: int, b: int) -> str:
    """The question."""
    return f"{a} 더하기 {b}는?" if language == "ko" else f"What is {a} plus {b}?"


def answer(language: str, total: int) -> str:
    """What is said of a sum, without more."""
    return f"답은 {total}입니다." if language == "ko" else f"It is {total}."


def drawn(n: int, seed: int) -> list[tuple[str, int, int]]:
    """Sums by lot, in both languages by turns."""
    draw = random.Random(seed)
    return [(LANGUAGES[number % 2], draw.randint(0, LARGEST), draw.randint(0, LARGEST)) for number in range(n)]


def plain() -> list[Row]:
    """Questions with their answers as text: what Kanana's second stage calls instruction data."""
    return [
        {"text": f"{asked(of, a, b)}\n{CUE[of]} {answer(of, a + b)}", "language": of}
        for of, a, b in drawn(N_PLAIN, 0)
    ]


def chats() -> list[Row]:
    """Conversations of one turn."""
    draw = random.Random(1)
    rows = []
    for language, a, b in drawn(N_CHATS, 2):
        end = POLITE[language] if draw.random() < POLITE_FRAC else ""
        rows.append({"messages": [user(asked(language, a, b)), assistant(answer(language, a + b) + end)]})
    return rows


def pairs() -> list[Row]:
    """The polite answer before the one that just ends."""
    return [
        {
            "prompt": [user(asked(of, a, b))],
            "chosen": [assistant(answer(of, a + b) + POLITE[of])],
            "rejected": [assistant(answer(of, a + b))],
        }
        for of, a, b in drawn(N_PAIRS, 3)
    ]


def prompts(n: int, seed: int) -> list[Row]:
    """Questions alone."""
    return [{"messages": [user(asked(*item))]} for item in drawn(n, seed)]


def choices(language: str) -> list[Row]:
    """Each sum once, among three wrong ones that lie near it."""
    draw = random.Random(6)
    rows = []
    for a, b in itertools.product(range(LARGEST + 1), repeat=2):
        near = [total for total in range(max(0, a + b - 4), a + b + 5) if total != a + b]
        totals = [*draw.sample(near, N_WRONG), a + b]
        draw.shuffle(totals)
        said = [answer(language, total) for total in totals]
        rows.append({"question": asked(language, a, b), "choices": said, "answer": totals.index(a + b)})
    return rows


def user(text: str) -> Row:
    """A message of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Row:
    """A message of the assistant."""
    return {"role": "assistant", "content": text}


def write(name: str, rows: Sequence[Row]) -> None:
    """Rows as JSON lines, compressed."""
    content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    (FOLDER / f"{name}.jsonl.zst").write_bytes(zstandard.compress(content, 19))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    write("plain", plain())
    write("chats", chats())
    write("pairs", pairs())
    write("prompts", prompts(N_PROMPTS, 4))
    write("held_out", prompts(N_HELD_OUT, 5))
    for language in LANGUAGES:
        write(f"sums_{language}", choices(language))


if __name__ == "__main__":
    main()
