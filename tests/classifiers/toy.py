"""A small corpus in two languages in which some documents explain, and a manifest to learn from it."""

import random
from pathlib import Path
from typing import Any

import polars as pl

EXPLAINS = {
    "ko": ["원리", "개념", "정의", "증명", "예제", "이유", "따라서", "설명", "단계", "이해"],
    "en": ["theorem", "because", "therefore", "example", "defined", "means", "step", "explains", "reason", "proof"],
}
CHATS = {
    "ko": ["할인", "쿠폰", "클릭", "무료", "배송", "대박", "ㅋㅋ", "추천", "구매", "이벤트"],
    "en": ["sale", "click", "free", "shipping", "lol", "buy", "now", "deal", "coupon", "wow"],
}
BOTH = {
    "ko": ["그리고", "우리는", "오늘", "많은", "것을", "다시", "보고", "또", "사람들과", "함께"],
    "en": ["and", "we", "see", "many", "things", "again", "today", "with", "people", "here"],
}


def document(rng: random.Random, language: str, score: int) -> str:
    """A text of about `score` in 5 explaining words."""
    words = [
        rng.choice(
            BOTH[language] if rng.random() < 0.4 else (EXPLAINS if rng.random() < score / 5 else CHATS)[language]
        )
        for _ in range(rng.randint(8, 40))
    ]
    return " ".join(words)


def corpus(n_docs: int, seed: int, positive_frac: float = 0.2) -> pl.DataFrame:
    """Documents with their labels, of four sources."""
    rng = random.Random(seed)
    rows = []
    for number in range(n_docs):
        language = rng.choice(["ko", "en"])
        score = rng.randint(3, 5) if rng.random() < positive_frac else rng.randint(0, 2)
        source = f"{language}-{'blog' if rng.random() < 0.5 else 'shop'}"
        rows.append((f"d{seed}-{number}", document(rng, language, score), float(score), source, language))
    return pl.DataFrame(rows, schema=["id", "text", "score", "source", "language"], orient="row")


COLUMNS = {"id": "id", "source": "source", "language": "language"}


def lay_out(folder: Path, n_pool: int = 600) -> dict[str, Any]:
    """Write seeds, gold and a pool whose labels are known; returns a manifest over them."""
    corpus(60, 1).write_parquet(folder / "seeds.parquet")
    corpus(200, 2).write_parquet(folder / "gold.parquet")
    pool = corpus(n_pool, 3)
    (folder / "pool").mkdir()
    pool[: n_pool // 2].drop("score").write_parquet(folder / "pool/a.parquet")
    pool[n_pool // 2 :].drop("score").write_ndjson(folder / "pool/b.jsonl")
    pool.write_parquet(folder / "known.parquet")
    return {
        "kind": "classifier",
        "name": "edu",
        "seeds": [{"path": "seeds.parquet", **COLUMNS}],
        "gold": [{"path": "gold.parquet", **COLUMNS}],
        "documents": [{"path": "pool", **COLUMNS}],
        "known_labels": {"path": "known.parquet"},
        "model": {"kind": "fasttext", "dim": 8, "epoch": 15, "lr": 0.5, "bucket": 1000, "word_ngrams": 1},
        "candidates": {"per_round": 40},
        "stop": {"rounds": 2, "patience": 2},
        "output": "out",
    }
