"""Whether `onggi mix --search` finds the source that helps and the one that does not, on real text.

    python -m benchmarks.mixture_search OUT --text /path/to/data/text [--seeds 3] [--workers 2] [--fast] [--write]

The target is half of the Korean Wikipedia paragraphs of the development corpora. Sources: the other half of them
(planted: the target's own distribution), petitions, film reviews and documentation in Korean, books in English, and
random letters in words of random length (planted: nothing can be learned of it). All are cut to about the same size.
The useful source is to get the largest weight, the useless one less than 5%; and a model of the mixture that was
found is to have less loss than one of the sources as they are, and of equal parts. Each seed draws other mixtures,
other first weights of the models, and another order.
"""

import argparse
import random
import shutil
import time
from pathlib import Path

import orjson
import polars as pl
import yaml

from curation.mixture.survey import prepare
from curation.tokens.train import Recipe, train_tokenizer
from manifests.engine import Workers, silent
from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from manifests.store import Folder
from training.searching.results import SearchResults
from training.searching.search import search
from training.searching.words import check_named

WIKI = "ko_wiki_korquad"
REAL = {
    "petitions": "ko_petitions",
    "reviews": "ko_reviews_nsmc",
    "docs": "ko_docs_mixed",
    "books": "en_books_misc",
}
USEFUL, USELESS = "wiki", "noise"
SOURCE_BYTES, PIECE_BYTES = 500_000, 2000
VOCABULARY = 2048
MODEL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = {
    "full": {"proxies": 28, "model": MODEL | {"sequence_length": 128, "batch": 8, "tokens": 60_000}},
    "fast": {"proxies": 16, "model": MODEL | {"sequence_length": 64, "batch": 8, "tokens": 24_000}},
}
USELESS_MAX = 0.05
RESULTS = Path(__file__).parent / "results" / "mixture_search.md"


def write_sources(folder: Path, text: Path) -> None:
    """The sources and the target as JSONL."""
    folder.mkdir(parents=True, exist_ok=True)
    wiki = pl.read_parquet(text / f"{WIKI}.parquet")["text"].to_list()
    random.Random(0).shuffle(wiki)
    _jsonl(folder / "target.jsonl", wiki[::2])
    _jsonl(folder / f"{USEFUL}.jsonl", _cut(wiki[1::2]))
    for name, file in REAL.items():
        texts = pl.read_parquet(text / f"{file}.parquet")["text"].to_list()
        random.Random(1).shuffle(texts)
        _jsonl(folder / f"{name}.jsonl", _cut(texts))
    _jsonl(folder / f"{USELESS}.jsonl", noise(SOURCE_BYTES // PIECE_BYTES))


def noise(n: int) -> list[str]:
    """Texts of random letters."""
    chance = random.Random(2)
    letters = "abcdefghijklmnopqrstuvwxyz"

    def word() -> str:
        return "".join(chance.choices(letters, k=chance.randint(2, 9)))

    return [" ".join(word() for _ in range(PIECE_BYTES // 6)) for _ in range(n)]


def _cut(texts: list[str]) -> list[str]:
    """Pieces of the first texts, about as many bytes as every source has."""
    found, n_bytes = [], 0
    for one in texts:
        piece = one.encode()[:PIECE_BYTES].decode("utf-8", "ignore")
        found.append(piece)
        n_bytes += len(piece.encode())
        if n_bytes >= SOURCE_BYTES:
            break
    return found


def _jsonl(path: Path, texts: list[str]) -> None:
    path.write_bytes(b"".join(orjson.dumps({"text": one}) + b"\n" for one in texts))


def make_tokenizer(folder: Path, data: Path) -> None:
    """One that learned all real sources."""
    recipe = Recipe(VOCABULARY, 0.5, 1_000_000, "single", ("<|end_of_text|>",), "text")
    paths = [str(data / f"{name}.jsonl") for name in (USEFUL, *REAL)]
    train_tokenizer(paths, Folder(str(folder)), recipe, silent)


def run(folder: Path, size: str, seed: int, n_workers: int) -> SearchResults:
    """Search with one seed; the tokenised documents are shared by all of them."""
    names = [USEFUL, *REAL, USELESS]
    manifest = {
        "kind": "mixture",
        "name": f"seed-{seed}",
        "tokenizer": {"path": "tokenizer/tokenizer.json", "eod": "<|end_of_text|>"},
        "sequence_length": 512,
        "sources": [{"name": name, "path": f"data/{name}.jsonl", "category": name} for name in names],
        "search": SIZES[size] | {"seed": seed, "targets": [{"name": "wiki", "path": "data/target.jsonl"}]},
        "output": {"path": f"seed-{seed}", "store": "store"},
    }
    path = folder / f"seed-{seed}.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return search(prepare(load_kind(MixtureManifest, str(path)), str(folder), None, Workers(n_workers)))


def passes(found: SearchResults) -> bool:
    """Whether the useful source has the largest weight, the useless one next to none, and the check agrees."""
    weights, best = found.weights, check_named(found, "best").real_mean
    others = [check_named(found, name).real_mean for name in ("natural", "uniform")]
    return (
        max(weights, key=lambda name: weights[name]) == USEFUL
        and weights[USELESS] < USELESS_MAX
        and best < min(others)
    )


def table(results: list[SearchResults], seconds: list[float]) -> str:
    """Rows of the result, as Markdown."""
    names = [source.name for source in results[0].sources]
    lines = [
        "| seed | "
        + " | ".join(names)
        + " | regression, R², Spearman | best: foretold, real | natural | equal | minutes |",
        "|---" * (len(names) + 6) + "|",
    ]
    for found, took in zip(results, seconds, strict=True):
        (target,) = found.targets
        score = next(one for one in target.scores if one.name == target.regression)
        best, natural, uniform = (check_named(found, name) for name in ("best", "natural", "uniform"))
        cells = [f"{100 * of.weight:.1f}% ({100 * of.low:.0f}–{100 * of.high:.0f})" for of in found.sources]
        cells += [f"{score.name}, {score.r2:.3f}, {score.spearman:.3f}"]
        cells += [f"{best.predicted_mean:.3f}, {best.real_mean:.3f}"]
        cells += [f"{natural.real_mean:.3f}", f"{uniform.real_mean:.3f}", f"{took / 60:.1f}"]
        lines.append(f"| {found.seed} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--text", type=Path, required=True, help="folder with the development corpora's Parquet files"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fast", action="store_true", help="few and smaller models: whether it runs")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/mixture_search.md")
    args = parser.parse_args()
    size = "fast" if args.fast else "full"
    shutil.rmtree(args.out / "data", ignore_errors=True)
    write_sources(args.out / "data", args.text)
    if not (args.out / "tokenizer").exists():
        make_tokenizer(args.out / "tokenizer", args.out / "data")
    results, seconds = [], []
    for seed in range(args.seeds):
        started = time.perf_counter()
        results.append(run(args.out, size, seed, args.workers))
        seconds.append(time.perf_counter() - started)
        print(table(results[-1:], seconds[-1:]), "ok" if passes(results[-1]) else "FAILS", sep="\n", flush=True)
    if args.write:
        RESULTS.write_text(page(results, seconds, size, args.workers))
    if not all(map(passes, results)):
        raise SystemExit("a seed fails")


def page(results: list[SearchResults], seconds: list[float], size: str, n_workers: int) -> str:
    """The file of results."""
    first = results[0]
    return f"""# Weights of a mixture, found by small models

Made by `benchmarks/mixture_search.py --seeds {len(results)} --workers {n_workers} --write`, {size} size:
{first.n_proxies} models of {first.n_parameters:,} weights on {first.n_proxy_tokens:,} tokens each
({first.tokens_per_second:,.0f} tokens a second and process). Bits per byte of the target; intervals at 95%.

{table(results, seconds)}

Asked of each seed: `{USEFUL}` (the target's own distribution) has the largest weight, `{USELESS}` (random letters)
less than {USELESS_MAX:.0%}, and a model of the mixture that was found has less loss than those of the sources as they
are and of equal parts. {sum(map(passes, results))} of {len(results)} do.
"""


if __name__ == "__main__":
    main()
