"""What others flag toxic text with: lists of words, patterns, and a linear model; each gives a text a number.

Install beside Onggi, never into its environment (they bring their own numpy):

    pip install --target LISTS korcen==1.0.3 better-profanity==0.7.0 alt-profanity-check==1.9.1 scikit-learn
    pip install --target LISTS --no-deps kss==6.0.6
    npm pack naughty-words@1.2.0 && tar xzf naughty-words-1.2.0.tgz && mv package LISTS/naughty-words
"""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from classifiers.scorer import SHIPPED, Scorer
from classifiers.spelling import plain_spelling

Numbers = npt.NDArray[np.float64]

HAERAE = [
    "www", "http", "...", "ㅋㅋㅋ", "약관", "is", "카지노", "토토", "\u3000", "■", "▲", "010", ".kr", "@", "마사지",
    "스웨디시", "대선",
]  # fmt: skip
"""HAERAE KOREAN-WEBTEXT drops documents with any of these (its card)."""
DPS = [
    "콜걸", "출장안마", "출장마사지", "출장만남", "출장서비스", "출장샵", "조건만남", "조건카톡", "스포츠토토",
    "토토사이트", "사설토토", "바카라", "카지노사이트", "카지노추천", "카지노주소", "바다이야기", "폰섹", "마사지샵",
    "안전놀이터", "먹튀사이트",
]  # fmt: skip
"""EleutherAI/dps drops documents with any of 37 phrases (korean_job.yaml): these, with and without spaces."""


@dataclass(frozen=True)
class System:
    """Something that flags texts."""

    name: str
    languages: tuple[str, ...]
    score: Callable[[Sequence[str]], Numbers]
    """A number for each of n texts, shape (n,)."""
    threshold: float | None
    """From which on a text is flagged; None: tuned on the even half."""


def systems(lists: Path | None) -> list[System]:
    """The shipped model, and what is installed in `lists`."""
    scorer = Scorer(SHIPPED / "toxicity")
    found = [
        System("**toxicity**", ("ko", "en"), lambda texts: _scores(scorer, texts), None),
        System("dps phrases", ("ko",), _counter(DPS, without_spaces=True), 1),
        System("HAERAE phrases", ("ko",), _counter(HAERAE), 1),
    ]
    return found + (_installed(lists) if lists else [])


def _scores(scorer: Scorer, texts: Sequence[str]) -> Numbers:
    found = scorer.score(pa.array(texts, pa.large_string())).score
    return np.nan_to_num(found.to_numpy(zero_copy_only=False).astype(float))


def _counter(phrases: Sequence[str], without_spaces: bool = False) -> Callable[[Sequence[str]], Numbers]:
    """How many different phrases each text holds."""

    def count(texts: Sequence[str]) -> Numbers:
        plain = [text.replace(" ", "") if without_spaces else text for text in texts]
        return np.array([sum(phrase in text for phrase in phrases) for text in plain], float)

    return count


def _folded(count: Callable[[Sequence[str]], Numbers]) -> Callable[[Sequence[str]], Numbers]:
    """The same over Onggi's view of texts, in which spellings that hide words are undone."""
    return lambda texts: count(plain_spelling(pa.array(texts, pa.large_string())).to_pylist())


def _installed(lists: Path) -> list[System]:
    kss = _module(lists / "kss" / "_modules" / "safety" / "utils.py")
    english = json.loads((lists / "naughty-words" / "en.json").read_text("utf-8"))
    whole = re.compile(r"\b(" + "|".join(map(re.escape, english)) + r")\b", re.IGNORECASE)
    korean = json.loads((lists / "naughty-words" / "ko.json").read_text("utf-8"))
    return [
        System("KSS is_unsafe", ("ko",), lambda texts: _kss(kss, texts), 1),
        System("KSS words, folded, 2 hits", ("ko",), _folded(_counter(list(kss.bad_words))), 2),
        System("LDNOOBW", ("ko",), _counter(korean), 1),
        System("LDNOOBW ", ("en",), lambda texts: np.array([len(set(whole.findall(t))) for t in texts], float), 1),
        System("korcen", ("ko",), lambda texts: _asked(lists, "korcen", texts), 1),
        System("better_profanity", ("en",), lambda texts: _asked(lists, "better_profanity", texts), 1),
        System("alt-profanity-check", ("en",), lambda texts: _asked(lists, "profanity_check", texts), 0.5),
    ]


def _module(path: Path) -> ModuleType:
    """A module by its file, without the package around it."""
    spec = importlib.util.spec_from_file_location("kss_safety", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _kss(kss: ModuleType, texts: Sequence[str]) -> Numbers:
    """1 where `kss.is_unsafe` finds something: its pattern, or a word in a text that holds none of its exceptions."""

    def is_said(word: str, text: str) -> bool:
        return word in text and not any(exception in text for exception in kss.exceptions.get(word, ()))

    unsafe = [bool(kss.pattern.search(text)) or any(is_said(word, text) for word in kss.bad_words) for text in texts]
    return np.array(unsafe, float)


ASK = {
    "korcen": "from korcen import korcen\nsay = [float(korcen.check(text)) for text in texts]",
    "better_profanity": "from better_profanity import profanity\n"
    "say = [float(profanity.contains_profanity(text)) for text in texts]",
    "profanity_check": "from profanity_check import predict_prob\nsay = [float(p) for p in predict_prob(texts)]",
}
"""What a process with the libraries of `lists` runs; these bring a numpy of their own."""


def _asked(lists: Path, library: str, texts: Sequence[str]) -> Numbers:
    code = f"import json, sys\ntexts = json.load(sys.stdin)\n{ASK[library]}\nprint('\\n' + json.dumps(say))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(lists.resolve())!r})\n{code}"]
    done = subprocess.run(command, input=json.dumps(list(texts)), capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout.strip().splitlines()[-1]), float)
