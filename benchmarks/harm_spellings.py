"""Words written so that lists of words do not find them, and how many of such texts are found all the same."""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import harm_data
import polars as pl
from harm_lists import System
from harm_sets import advertisements
from spam_texts import HARDER, SPELLINGS, spelled

SWEARS = [
    "시발", "씨발", "병신", "새끼", "지랄", "존나", "미친", "쓰레기", "꺼져", "기레기", "찌질", "개돼지", "대깨문",
    "쿵쾅", "문재앙", "김치녀", "한남", "역겹", "못생", "약쟁이", "돼지", "빨갱이", "좌빨", "틀딱", "일베", "아가리",
]  # fmt: skip
SWORN = re.compile("|".join(map(re.escape, SWEARS)))


def _of_words(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: SWORN.sub(lambda found: rewrite(found[0]), text)


def _parted(word: str) -> str:
    """As jamo of the keyboard: 시발 as ㅅㅣㅂㅏㄹ."""
    names = (unicodedata.name(jamo).split()[-1] for jamo in unicodedata.normalize("NFD", word))
    return "".join(unicodedata.lookup(f"HANGUL LETTER {name}") for name in names)


VARIANTS: list[tuple[str, str, Callable[[str], str]]] = [
    ("plain", "시발", lambda text: text),
    ("a point between syllables", "시.발", _of_words(".".join)),
    ("a space between syllables", "시 발", _of_words(" ".join)),
    ("a digit between syllables", "시1발", _of_words("1".join)),
    ("nothing to be seen between them", "시\\u200b발", _of_words("\u200b".join)),
    ("as jamo", "ㅅㅣㅂㅏㄹ", _of_words(_parted)),
    ("conjoining jamo (NFD)", "시발", _of_words(lambda word: unicodedata.normalize("NFD", word))),
]
"""Name, example and rewriting of each."""


def swearing_table(systems: Sequence[System], limits: dict[str, float], data: Path) -> str:
    """Recall of toxic Korean texts that hold a swear word, by how it is written; `limits` by system."""
    parts = (harm_data.human(data, "odd"), harm_data.judged(data, "test"), harm_data.curse("odd"))
    rows = pl.concat([part.select("text", pl.col("label").cast(pl.Int64), "language") for part in parts])
    toxic = rows.filter((pl.col("label") == 1) & (pl.col("language") == "ko"))["text"]
    texts = [text for text in toxic if SWORN.search(text)]
    lines = [f"{len(texts)} texts.", "", "| spelling | example | " + " | ".join(one.name for one in systems) + " |"]
    lines.append("|" + "---|" * (len(systems) + 2))
    for name, example, rewrite in VARIANTS:
        hidden = [rewrite(text) for text in texts]
        lines.append(f"| {name} | {example} | " + " | ".join(_recalls(systems, limits, hidden)) + " |")
    return "\n".join(lines)


def advertising_table(systems: dict[str, Sequence[System]], limits: dict[str, dict[str, float]]) -> str:
    """Recall of advertisements that hold a word that can be hidden, by how it is written; by kind and system."""
    named = [(kind, one.name.strip("*")) for kind, mine in systems.items() for one in mine]
    lines = ["| spelling | " + " | ".join(name if name == kind else f"{kind}: {name}" for kind, name in named) + " |"]
    lines.append("|" + "---|" * (len(named) + 1))
    for how in [*SPELLINGS, *HARDER]:
        cells = []
        for kind, mine in systems.items():
            hidden = [spelled(text, how, random.Random(k)) for k, text in enumerate(_changeable(kind))]
            cells += _recalls(mine, limits[kind], hidden)
        lines.append(f"| {how if how in SPELLINGS else f'*{how}*'} | " + " | ".join(cells) + " |")
    counts = ", ".join(f"{len(_changeable(kind))} of `{kind}`" for kind in systems)
    return "\n".join([f"{counts}.", "", *lines])


def _changeable(kind: str) -> list[str]:
    """Advertisements that hold a word that `spelled` hides."""
    return [text for text in advertisements(kind) if spelled(text, "dots", random.Random(1)) != text]


def _recalls(systems: Sequence[System], limits: dict[str, float], texts: list[str]) -> list[str]:
    return [f"{(one.score(texts) >= limits[one.name]).mean():.2f}" for one in systems]
