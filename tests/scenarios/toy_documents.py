"""Documents that tell what something costs, and a teacher and judge for `onggi synth grounded-qa` that can read them.

The teacher reads every seventh document wrong and hedges in its first answers; every fifth time it hedges in the
better one, too. The judge gives 10 to what the document says, 9 where that is hedged, and 2 to all else. So it is
known how many come past each gate.
"""

import json
import random
import re
from typing import Any
from zlib import crc32

THINGS = ("jar", "bowl", "spoon", "lid", "cup", "dish", "pot", "tray")
COLOURS = ("brown", "black", "white", "grey", "blue", "green", "red", "yellow")
PLACES = ("kitchen", "market", "cellar", "garden", "workshop", "hall", "shed", "yard")
UNTOLD = "The document does not tell who made it."
_PRICE, _IN_BRACKETS = re.compile(r"costs (\d) coins"), re.compile(r"<<<\n(.*?)\n>>>", re.DOTALL)


def documents(n: int, seed: int) -> list[dict[str, str]]:
    """Rows with `id`, `text`, `language`, all different; of another seed they are others."""
    draw = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < n:
        thing, colour, place = draw.choice(THINGS), draw.choice(COLOURS), draw.choice(PLACES)
        texts[f"The {thing} in the {place} costs {draw.randint(1, 9)} coins. The {thing} is {colour}."] = None
    return [{"id": f"{seed}-{number}", "language": "en", "text": text} for number, text in enumerate(texts)]


def is_misread(document: str) -> bool:
    """Whether the teacher reads it wrong, so that the answer falls at the first gate."""
    return crc32(document.encode()) % 7 == 0


def stays_hedged(document: str) -> bool:
    """Whether the better answer is no better, so that it falls at the second gate."""
    return crc32(document.encode()) % 5 == 0


def say(body: dict[str, Any], _: int) -> str:
    """What the teacher says, or the judge, whom its system prompt tells apart."""
    system, shown = body["messages"][0]["content"], body["messages"][-1]["content"]
    document, *others = _IN_BRACKETS.findall(shown)
    [price] = _PRICE.findall(document)
    asks_maker = "Who made" in shown.replace(document, "")
    if "strict grader" in system:
        return json.dumps({"reason": "Held against the document.", "score": _score(others[-1], price, asks_maker)})
    if "a document does not answer" in system:
        return json.dumps({"questions": [f"Who made the {document.split()[1]}?"]})
    if "people who look things up" in system:
        return json.dumps({"questions": [f"How many coins does the {document.split()[1]} cost?"]})
    if "what has to be mended" in system:
        return "It should not hedge."
    if "write bad answers" in system:
        return "Mina made it." if asks_maker else f"It costs {int(price) % 9 + 1} coins."
    if asks_maker:
        return UNTOLD
    if "what a review of it found" in system:
        return f"It costs {'about ' * stays_hedged(document)}{price} coins."
    return f"It costs about {int(price) % 9 + 1 if is_misread(document) else price} coins."


def _score(answer: str, price: str, asks_maker: bool) -> int:
    if asks_maker:
        return 10 if answer == UNTOLD else 2
    if f" {price} coins" not in answer:
        return 2
    return 9 if "about" in answer else 10
