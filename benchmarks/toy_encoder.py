"""Encoders at toy size: a language model's mean, a causal encoder, and one that sees both ways, over three seeds.

    python -m benchmarks.toy_encoder OUT --text DIR --questions FILE [--seeds 0 1 2] [--fast]

A Llama of some six hundred thousand weights is trained from scratch on Korean and English text. Of it are made: an
encoder that goes on seeing backwards only (`contrast`), and one by LLM2Vec's way (`mntp`, then `contrast`), on the
same pairs in as many steps. Pairs are cut from real text: some words of a passage ask for it, and a petition's title
for the petition.

They are measured on what is of other sources. Korean: questions of KorQuAD 1.0's dev set (`--questions`) among its
passages, those with one passage of their article that holds the answer. English: titles of Microsoft's C++ pages
among their texts. Nothing of either is trained on.
"""

import argparse
import random
import re
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import polars as pl
import torch
import yaml

from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from manifests.schema_training import TrainingManifest

VOCABULARY, LENGTH, TEXT_LENGTH = 4096, 128, 64
END, PAD = "<|endoftext|>", "<|pad|>"
SOURCES = {
    "ko": ("ko_docs_mixed", "ko_books_misc", "ko_petitions"),
    "en": ("en_docs_mixed", "en_books_misc"),
}
PASSAGE_CHARS = {"ko": 160, "en": 320}
SIZES = {
    "full": {"chars": 1_200_000, "base": 100, "mntp": 60, "contrast": 500, "asked": 300, "rows": 3000},
    "fast": {"chars": 200_000, "base": 6, "mntp": 4, "contrast": 4, "asked": 30, "rows": 200},
}
"""Characters of text per language; steps; questions of each set; pairs per language."""
WHEN = ("before", "after")
ARMS = {
    "base, mean of tokens": ("causal", "before"),
    "causal, contrastive": ("causal", "after"),
    "MNTP, mean of tokens": ("encoder", "before"),
    "both ways, MNTP, contrastive": ("encoder", "after"),
}
"""Where each stands: the stage whose table has it, and when."""


# Data


def documents(folder: Path, language: str, n_chars: int) -> list[tuple[str, str]]:
    """Source and text of documents, up to so many characters."""
    names = SOURCES[language]
    frames = [pl.read_parquet(folder / f"{name}.parquet", columns=["text", "lang"]) for name in names]
    found = [
        (name, text)
        for name, frame in zip(names, frames, strict=True)
        for text in frame.filter(pl.col("lang") == language)["text"]
        if len(text) > 200
    ]
    random.Random(0).shuffle(found)
    taken, total = [], 0
    for name, text in found:
        taken.append((name, text[:6000]))
        total += len(taken[-1][1])
        if total > n_chars:
            break
    return taken


def pairs(documents: Sequence[tuple[str, str]], language: str, n_rows: int) -> list[dict[str, str]]:
    """Questions and their answers, cut from documents."""
    draw, rows = random.Random(1), list[dict[str, str]]()
    for name, text in documents:
        if name == "ko_petitions":
            title, _, body = text.partition("\n")
            if body.strip() and 8 <= len(title) <= 80:
                rows.append({"query": title, "positive": body.strip()[: PASSAGE_CHARS[language]]})
        rows += [_cut(passage, draw) for passage in passages(text, PASSAGE_CHARS[language])]
    draw.shuffle(rows)
    return rows[:n_rows]


def passages(text: str, n_chars: int) -> Iterator[list[str]]:
    """Words of prose that lie together, of about so many characters."""
    for paragraph in re.split(r"\n\s*\n", text):
        words = paragraph.split()
        if len(words) < 20 or paragraph[0] in "#|`>$-*<{ ":
            continue
        average = len(paragraph) / len(words)
        n_words = max(12, round(n_chars / average))
        yield from (words[start : start + n_words] for start in range(0, len(words) - 11, n_words))


def _cut(words: list[str], draw: random.Random) -> dict[str, str]:
    """Some words that lie together ask for the passage."""
    n_words = draw.randint(3, 8)
    start = draw.randrange(max(1, len(words) - n_words))
    return {"query": " ".join(words[start : start + n_words]), "positive": " ".join(words)}


def korquad(folder: Path, questions: Path, n_asked: int) -> tuple[list[tuple[str, int]], list[str]]:
    """Questions of which one passage of their article holds the answer, and all passages."""
    frame = pl.read_parquet(folder / "ko_wiki_korquad.parquet", columns=["text", "url"])
    corpus, of_title = frame["text"].to_list(), dict[str, list[int]]()
    for place, url in enumerate(frame["url"]):
        of_title.setdefault(_title(unquote(url.split("/wiki/")[-1].split("#")[0])), []).append(place)
    asked = []
    for line in questions.read_bytes().splitlines():
        row = orjson.loads(line)
        held = [place for place in of_title.get(_title(row["title"]), []) if row["answer"] in corpus[place]]
        if len(held) == 1:
            asked.append((row["question"], held[0]))
    return random.Random(0).sample(asked, n_asked), corpus


def _title(text: str) -> str:
    return text.replace("_", " ")


def cpp_pages(folder: Path, n_asked: int) -> tuple[list[tuple[str, int]], list[str]]:
    """Titles of pages, each once, and their first prose, which the title does not stand in."""
    found = dict[str, str]()
    for text in pl.read_parquet(folder / "en_ms_cpp.parquet", columns=["text"])["text"]:
        title, _, body = text.partition("\n")
        title = re.sub(r"<[^>]*>|[#`]", "", title).strip()
        prose = [line for line in body.splitlines() if len(line) > 60 and line[0] not in "#|`>$-*<["]
        if prose and 10 <= len(title) <= 80 and title not in prose[0]:
            found.setdefault(title, " ".join(prose)[:600])
    titles = random.Random(0).sample(sorted(found), min(len(found), 2 * n_asked))
    return [(title, place) for place, title in enumerate(titles[:n_asked])], [found[title] for title in titles]


def write_set(folder: Path, name: str, asked: Sequence[tuple[str, int]], corpus: Sequence[str]) -> dict[str, str]:
    """A set in BEIR's files; its entry in the manifest."""
    jsonl(folder / f"{name}_queries.jsonl", [{"id": f"q{n}", "text": text} for n, (text, _) in enumerate(asked)])
    jsonl(folder / f"{name}_corpus.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(corpus)])
    lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{place}\t1" for n, (_, place) in enumerate(asked))]
    (folder / f"{name}_qrels.tsv").write_text("\n".join(lines) + "\n")
    files = {"queries": "queries.jsonl", "corpus": "corpus.jsonl", "qrels": "qrels.tsv"}
    return {"name": name, **{field: f"data/{name}_{file}" for field, file in files.items()}}


def jsonl(path: Path, rows: Sequence[Any]) -> None:
    """A JSONL file."""
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


# Training


def write_tokenizer(folder: Path, data: Path) -> None:
    """A tokenizer that learned both languages."""
    from transformers import AutoTokenizer

    from curation.tokens.train import Recipe, train_tokenizer
    from manifests.engine import silent
    from manifests.store import Folder

    recipe = Recipe(VOCABULARY, 0.5, 2_000_000, "single", [END, PAD], "text")
    train_tokenizer([str(data / "text_ko.jsonl"), str(data / "text_en.jsonl")], Folder(str(folder)), recipe, silent)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token, tokenizer.pad_token = END, PAD
    tokenizer.save_pretrained(folder)


def mix(folder: Path) -> None:
    """A token mixture of both languages, of which a part is held out."""
    from curation.mixture.pipeline import mix as run_mix
    from curation.mixture.survey import prepare
    from manifests.engine import HERE, silent

    sources = [{"name": name, "path": f"data/text_{name}.jsonl", "category": name} for name in SOURCES]
    manifest = {
        "kind": "mixture",
        "name": "both",
        "tokenizer": {"path": "tokenizer/tokenizer.json", "eod": END},
        "sequence_length": LENGTH,
        "sources": sources,
        "validation": {"frac": 0.02},
        "output": "mixture",
    }
    (folder / "mixture.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    loaded = load_kind(MixtureManifest, str(folder / "mixture.yaml"))
    run_mix(prepare(loaded, str(folder), None, HERE), silent)


def write_data(folder: Path, text: Path, questions: Path, size: dict[str, int]) -> list[dict[str, str]]:
    """Texts, pairs and sets; the entries of the sets."""
    data = folder / "data"
    data.mkdir(parents=True)
    for language in SOURCES:
        found = documents(text, language, size["chars"])
        jsonl(data / f"text_{language}.jsonl", [{"text": one} for _, one in found])
        jsonl(data / f"pairs_{language}.jsonl", pairs(found, language, size["rows"]))
    return [
        write_set(data, "korquad", *korquad(text, questions, size["asked"])),
        write_set(data, "cpp", *cpp_pages(text, size["asked"])),
    ]


def manifest_of(sets: list[dict[str, str]], size: dict[str, int], seed: int) -> dict[str, Any]:
    """A base from scratch, and two encoders of it."""
    schedule = {"kind": "cosine", "warmup": 0.1, "end": 0.1}
    usual = {"schedule": schedule, "batch": 16, "mixture": "mixture", "learning_rate": 3e-3}
    sizes = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    data = [{"path": f"data/pairs_{name}.jsonl", "domain": name} for name in SOURCES]
    contrast = {
        "kind": "contrast",
        "data": data,
        "max_length": TEXT_LENGTH,
        "held_out": 0.03,
        "retrieval": sets,
        "steps": size["contrast"],
        "batch": 32,
        "learning_rate": 7e-4,
        "temperature": 0.1,
        "schedule": schedule,
    }
    return {
        "kind": "training",
        "name": "toy-encoder",
        "threads": 1,
        "seed": seed,
        "base": {"tokenizer": "tokenizer", "tie_word_embeddings": True, "max_position_embeddings": 512, **sizes},
        "stages": [
            {"name": "pretrained", "kind": "cpt", "steps": size["base"], **usual},
            {"name": "causal", "model": "pretrained", "bidirectional": False, **contrast},
            {"name": "mntp", "kind": "mntp", "model": "pretrained", "steps": size["mntp"], **usual},
            {"name": "encoder", "model": "mntp", **contrast},
        ],
        "output": f"run-{seed}",
    }


def trained(folder: Path, sets: list[dict[str, str]], size: dict[str, int], seed: int) -> dict[str, Any]:
    """Figures of each stage, and seconds."""
    from training import stages

    path = folder / f"toy-{seed}.yaml"
    path.write_text(yaml.safe_dump(manifest_of(sets, size, seed), sort_keys=False, allow_unicode=True))
    began = time.monotonic()
    stages.run = _in_this_process  # type: ignore[attr-defined]
    _, run = stages.train(load_kind(TrainingManifest, str(path)), str(folder))
    summary = orjson.loads(Path(run, "summary.json").read_bytes())
    figures = {stage["name"]: stage["made"]["figures"] | by_language(stage["made"]) for stage in summary["stages"]}
    found = {"seed": seed, "seconds": time.monotonic() - began, "figures": figures}
    (folder / f"figures-{seed}.json").write_bytes(orjson.dumps(found))
    return found


def by_language(made: dict[str, Any]) -> dict[str, float]:
    """nDCG@10 of the held-out pairs of each language, before and after."""
    tables = [table for table in made["tables"] if table["title"] == "Held-out questions"]
    rows = [row for table in tables for row in table["rows"] if row[0] in SOURCES]
    return {f"ndcg_held_{row[0]}_{when}": row[3 + place] for row in rows for place, when in enumerate(WHEN)}


def _in_this_process(job: Any, folder: Path, n_processes: int, progress: Any) -> bytes:
    """A stage without a process of its own, which would take longer to load torch than the stage takes."""
    from training.stage_kinds import runner

    folder.mkdir(parents=True, exist_ok=True)
    found: bytes = runner(job.stage.kind)(job, progress).model_dump_json().encode()
    (folder / "made.json").write_bytes(found)
    return found


# What came of it


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """nDCG@10 of each arm: mean of the seeds, lowest to highest."""
    lines = ["| encoder | KorQuAD | C++ pages | held-out pairs, Korean | English |", "|---|---|---|---|---|"]
    for arm, (stage, when) in ARMS.items():
        names = [f"ndcg_{name}" for name in ("korquad", "cpp", "held_ko", "held_en")]
        values = [[run["figures"][stage][f"{name}_{when}"] for run in runs] for name in names]
        cells = [f"{statistics.fmean(one):.3f} ({min(one):.3f} to {max(one):.3f})" for one in values]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="the folder with the development corpora")
    parser.add_argument("--questions", type=Path, required=True, help="KorQuAD's dev questions, JSONL")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fast", action="store_true", help="a few steps of each stage, to see that all fits")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(asked.out, ignore_errors=True)
    out, size = asked.out.absolute(), SIZES["fast" if asked.fast else "full"]
    sets = write_data(out, asked.text, asked.questions, size)
    write_tokenizer(out / "tokenizer", out / "data")
    mix(out)
    runs = [trained(out, sets, size, seed) for seed in asked.seeds]
    print("\n".join(table(runs)))
    print(orjson.dumps({"runs": runs}).decode())


if __name__ == "__main__":
    main()
