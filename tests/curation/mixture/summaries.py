"""A made-up mixture of two stages with a transition: what its summary would say."""

import numpy as np

from curation.mixture.summary import MixtureSummary, by_powers_of_two, course_bins

LENGTH = 2048
SOURCES = {
    "한국어 위키": ("ko_web", 0.7, 4_000_000),
    "<script>alert('s')</script>": ("ko_web", 0.3, 9_000_000),
    "en_web": ("en_web", 1.0, 60_000_000),
    "법령": ("law", 1.0, 1_500_000),
    "code": ("code", 1.0, 20_000_000),
    "math": ("math", 1.0, 5_000_000),
    "edu": ("edu", 1.0, 8_000_000),
}
"""Category, share in it, and tokens."""
FIRST = {"ko_web": 0.25, "en_web": 0.5, "law": 0.02, "code": 0.13, "math": 0.05, "edu": 0.05}
SECOND = {"ko_web": 0.3, "en_web": 0.15, "law": 0.05, "code": 0.1, "math": 0.15, "edu": 0.25}
N_FIRST, N_SECOND, N_TRANSITION = 7200, 2900, 1000
HOSTILE = "</p></style><script>alert(1)</script><img src=x onerror=alert(1)> \x1b[31m \u202e 한글 문서"


def asked_at(sequence: float) -> dict[str, float]:
    """The shares of categories at a sequence of the training."""
    on = min(max((sequence - N_FIRST) / N_TRANSITION, 0), 1)
    return {name: (1 - on) * FIRST[name] + on * SECOND[name] for name in FIRST}


def made_up(**changes: object) -> MixtureSummary:
    """The summary, with some of its fields changed."""
    n_sequences = N_FIRST + N_SECOND
    bins = course_bins(n_sequences)
    middles = (bins[1:] + bins[:-1]) / 2
    rng = np.random.default_rng(0)
    courses = [
        {
            "category": name,
            "asked_frac": (asked := [asked_at(at)[name] for at in middles]),
            "n_tokens": (np.diff(bins) * LENGTH * np.array(asked) * rng.normal(1, 0.01, len(asked)))
            .astype(int)
            .tolist(),
        }
        for name in FIRST
    ]
    stages = [
        stage("1단계", 0, N_FIRST, 14_745_000, 0),
        stage("anneal <2>", N_FIRST, N_SECOND, 5_939_000, N_TRANSITION * LENGTH),
    ]
    sources = [source(name, sum(taken_of(of, name)["n_tokens"] for of in stages)) for name in SOURCES]
    plain = {
        "name": "ko-en <b>20M</b>",
        "tokenizer": {
            "name": "tokenizers/qwen3", "digest": "5f2c" * 8, "engine": "gigatoken", "n_vocab": 151_669,
            "eod": "<|endoftext|>", "bos": "<s>",
        },
        "sequence_length": LENGTH,
        "n_tokens": sum(of["n_tokens"] for of in stages),
        "n_padding": 2_400,
        "n_sequences": n_sequences,
        "n_cross_sequences": 1_970,
        "cross_frac_asked": 0.2,
        "n_cut": 12,
        "stages": stages,
        "sources": sources,
        "course_edges": (bins * LENGTH).tolist(),
        "courses": courses,
        "languages": [
            {"language": "ko", "n_documents": 9_000, "n_tokens": 6_100_000, "n_bytes": 21_000_000},
            {"language": "en", "n_documents": 12_000, "n_tokens": 12_100_000, "n_bytes": 54_000_000},
            {"language": "other", "n_documents": 0, "n_tokens": 0, "n_bytes": 0},
        ],
        "spans_per_sequence": by_powers_of_two(rng.geometric(0.2, n_sequences)).tolist(),
        "tokens_per_document": by_powers_of_two(rng.lognormal(6, 1.3, 20_000).astype(int) + 1).tolist(),
        "overlaps": [
            {"source": "edu", "other": "en_web", "n_equal": 812, "frac": 0.0712, "n_near": 1_402},
            {"source": "en_web", "other": "edu", "n_equal": 790, "frac": 0.0091, "n_near": None},
            {"source": "code", "other": "en_web", "n_equal": 3, "frac": 0.0001, "n_near": 9},
        ],
        "licenses": [
            {"license": "CC-BY-SA-4.0", "n_documents": 9_100, "n_tokens": 8_000_000, "n_left_out": 0, "why": None},
            {"license": None, "n_documents": 4_000, "n_tokens": 900_000, "n_left_out": 0, "why": None},
            {
                "license": "CC-BY-NC-4.0<i>", "n_documents": 0, "n_tokens": 0, "n_left_out": 311,
                "why": "deny: *-NC-*",
            },
        ],
        "validation": [
            {"category": name, "n_documents": 40, "n_tokens": 40_100, "n_sequences": 20} for name in FIRST
        ],
        "samples": [
            {
                "sequence": 17, "stage": "1단계", "n_tokens": LENGTH, "is_cross": True, "n_spans": 9,
                "spans": [
                    {
                        "source": "한국어 위키", "id": "ef" * 16, "offset": 0, "n_tokens": 700,
                        "text": "옹기는 질그릇과 오지그릇을 통틀어 이르는 말이다. 숨을 쉬는 그릇으로 알려져 있다.",
                    },
                    {
                        "source": "en_web", "id": "01" * 16, "offset": 2048,
                        "n_tokens": 1348, "text": HOSTILE,
                    },
                ],
            },
            {"sequence": 8_000, "stage": "anneal <2>", "n_tokens": 5, "is_cross": False, "n_spans": 0, "spans": []},
        ],
    }  # fmt: skip
    return MixtureSummary.model_validate(plain | changes)


def stage(name: str, start: int, n_sequences: int, asked_tokens: int, transition_tokens: int) -> dict:
    n_tokens = n_sequences * LENGTH - 1_200
    mean = {
        category: float(np.mean([asked_at(start + k + 0.5)[category] for k in range(n_sequences)]))
        for category in FIRST
    }
    taken = []
    for source, (category, share, available) in SOURCES.items():
        n = round(n_tokens * mean[category] * share) + 173 * (source == "en_web")
        taken.append(
            {
                "category": category, "source": source, "asked_frac": mean[category] * share, "n_tokens": n,
                "n_documents": n // 700, "n_spans": n // 600, "epochs": n / available,
            }
        )  # fmt: skip
    return {
        "name": name, "asked_tokens": asked_tokens, "n_tokens": n_tokens, "n_sequences": n_sequences,
        "n_padding": 1_200, "transition_tokens": transition_tokens, "taken": taken,
    }  # fmt: skip


def taken_of(stage: dict, source: str) -> dict:
    return next(taken for taken in stage["taken"] if taken["source"] == source)


def source(name: str, n_tokens_taken: int) -> dict:
    category, _, available = SOURCES[name]
    return {
        "name": name, "category": category, "n_documents": available // 700, "n_tokens": available,
        "n_tokens_taken": n_tokens_taken, "n_documents_taken": min(available, n_tokens_taken) // 700,
        "epochs": n_tokens_taken / available, "epochs_max": 4 if name in ("법령", "edu") else 1,
        "n_held_out": 40, "n_left_out": 311 if name == "code" else 0,
    }  # fmt: skip
