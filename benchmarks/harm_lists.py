"""What others flag text with: lists of phrases, patterns, and a linear model; each gives a text a number.

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
Count = Callable[[Sequence[str]], Numbers]

HAERAE = [
    "www", "http", "...", "ㅋㅋㅋ", "약관", "is", "카지노", "토토", "\u3000", "■", "▲", "010", ".kr", "@", "마사지",
    "스웨디시", "대선",
]  # fmt: skip
"""HAERAE KOREAN-WEBTEXT drops documents with any of these (its card)."""
DPS = [
    "콜걸", "출장 안마", "출장 마사지", "출장 만남", "출장 서비스", "출장 샵", "조건 만남", "조건 카톡",
    "스포츠 토토", "토토 사이트", "사설 토토", "바카라", "카지노 사이트", "카지노 추천", "카지노 주소", "바다 이야기",
    "폰섹", "마사지 샵", "안전 놀이터", "먹튀 사이트",
]  # fmt: skip
"""EleutherAI/dps drops documents with any of 37 phrases: these 20, and 17 of them without the space."""


@dataclass(frozen=True)
class System:
    """Something that flags texts."""

    name: str
    languages: tuple[str, ...]
    score: Count
    """A number for each of n texts, shape (n,)."""
    threshold: float | None
    """From which on a text is flagged; None: tuned on the even half."""


def model_system(kind: str, folder: Path = SHIPPED, name: str | None = None) -> System:
    """A model of a folder of models, by default the shipped one."""
    scorer = Scorer(folder / kind)
    return System(name or f"**{kind}**", ("ko", "en"), lambda texts: _scores(scorer, texts), None)


def _scores(scorer: Scorer, texts: Sequence[str]) -> Numbers:
    found = scorer.score(pa.array(texts, pa.large_string())).score
    scores: Numbers = np.nan_to_num(found.to_numpy(zero_copy_only=False).astype(float))
    return scores


def list_systems(lists: Path | None) -> list[System]:
    """Phrases against advertising, and lists of bad words; those that are installed in `lists`."""
    dps = [*DPS, *(phrase.replace(" ", "") for phrase in DPS if " " in phrase)]
    found = [System("dps", ("ko",), _counter(dps), 1), System("HAERAE", ("ko",), _counter(HAERAE), 1)]
    if lists is None:
        return found
    kss = _module(lists / "kss" / "_modules" / "safety" / "utils.py")
    ko, en = (json.loads((lists / "naughty-words" / f"{name}.json").read_text("utf-8")) for name in ("ko", "en"))
    every = sorted({*DPS, *(phrase.replace(" ", "") for phrase in DPS), *kss.bad_words, *ko})
    return [
        *found,
        System("KSS is_unsafe", ("ko",), lambda texts: _kss(kss, texts), 1),
        System("LDNOOBW", ("ko", "en"), _both(_counter(ko), _words(en)), 1),
        System("all, folded, 2 hits", ("ko", "en"), _folded(_both(_counter(every), _words(en))), 2),
    ]


def word_systems(lists: Path | None) -> list[System]:
    """What looks for abuse alone."""
    if lists is None:
        return []
    return [
        System("korcen", ("ko",), lambda texts: _asked(lists, "korcen", texts), 1),
        System("better_profanity", ("en",), lambda texts: _asked(lists, "better_profanity", texts), 1),
        System("alt-profanity-check", ("en",), lambda texts: _asked(lists, "profanity_check", texts), 0.5),
    ]


def _counter(phrases: Sequence[str]) -> Count:
    """How many different phrases each text holds."""
    return lambda texts: np.array([sum(phrase in text for phrase in phrases) for text in texts], float)


def _words(words: Sequence[str]) -> Count:
    """How many different words of Latin letters each text holds, as whole words."""
    whole = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b")
    return lambda texts: np.array([len(set(whole.findall(text.lower()))) for text in texts], float)


def _both(one: Count, other: Count) -> Count:
    return lambda texts: one(texts) + other(texts)


def _folded(count: Count) -> Count:
    """The same over Onggi's view of texts, in which spellings that hide words are undone."""
    return lambda texts: count(plain_spelling(pa.array(texts, pa.large_string())).to_pylist())


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
