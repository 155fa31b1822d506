"""The recipes of ablations at toy size: what they are to find, laid out in a folder, and what is set in each.

    changes = TOYS["ablate-annealing"](folder, text)
    manifest = load_kind(AblationManifest, find_manifest("ablate-annealing"), changes)

Nothing of a recipe's steps, stages and arms is replaced but paths, sizes and how long is trained; arms are left out
where they would only cost time. Text is real (`text`: the development corpora), what is planted in it says so.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from benchmarks.toy_training import POLITE, assistant, sums, user
from tests.scenarios.toy_models import QUICK, Row, make_tokenizer, new_model, sft, trained
from tests.training.tiny import write_jsonl

Toy = Callable[[Path, Path], list[str]]
LENGTH = 64
"""Tokens of a sequence."""
EDUCATIONAL, OTHER, ENGLISH = ("ko_wiki_korquad", "ko_docs_mixed"), ("ko_petitions",), ("en_books_misc",)
"""Files of the development corpora: encyclopedic and instructive Korean, petitions, English books."""


def texts(text: Path, names: Sequence[str], language: str, n: int, longest: int = 1500) -> list[str]:
    """So many documents of each file, always the same ones."""
    found = list[str]()
    for name in names:
        frame = pl.read_parquet(text / f"{name}.parquet", columns=["text", "lang"]).filter(pl.col("lang") == language)
        length = pl.col("text").str.len_chars()
        found += frame.filter((length > 250) & (length < 6000))["text"].str.slice(0, longest).to_list()[: 4 * n : 4]
    random.Random(0).shuffle(found)
    return found


def gibberish(documents: Sequence[str], seed: int = 0) -> list[str]:
    """Pages that nobody reads: a line of each document over and over, its characters in any order."""
    draw = random.Random(seed)
    lines = ["".join(draw.sample(text, min(len(text), 60))).replace("\n", " ") for text in documents]
    return ["\n".join([line] * 12) for line in lines]


SPAM = ("카지노", "토토", "바카라", "슬롯", "가입코드", "무료", "꽁머니", "먹튀", "이벤트", "클릭")


def spam(n: int, seed: int = 0) -> list[str]:
    """Pages as they fill the web: some words and a code, line by line the same."""
    draw = random.Random(seed)
    return ["\n".join([f"{' '.join(draw.sample(SPAM, 6))} {draw.randrange(10**9):x}"] * 24) for _ in range(n)]


def write(path: Path, documents: Sequence[str]) -> Path:
    """Documents as Parquet or JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame({"text": list(documents)}).write_parquet(path)
        return path
    return write_jsonl(path, [{"text": one} for one in documents])


def small(step: str, stage: str, **values: Any) -> list[str]:
    """What makes a stage of a recipe small."""
    usual: Row = {"micro_batch": None, "recompute": False, **QUICK, **values}
    at = f"steps.{step}.manifest.stages.{stage}"
    return [f"{at}.{name}={orjson.dumps(value).decode()}" for name, value in usual.items()]


def setting(step: str, **values: Any) -> list[str]:
    """Fields of a step's manifest."""
    return [
        f"steps.{step}.manifest.{name.replace('__', '.')}={orjson.dumps(value).decode()}"
        for name, value in values.items()
    ]


def languages(folder: Path, text: Path, vocabulary: int = 1024) -> Path:
    """Held-out text of both languages in `validation`, the rest in `ko.parquet` and `en.parquet`; the tokenizer."""
    for language, names in (("ko", EDUCATIONAL), ("en", ENGLISH)):
        documents = texts(text, names, language, 100)
        write(folder / "validation" / language / "held_out.parquet", documents[:12])
        write(folder / f"{language}.parquet", documents[12:])
    learned = [write(folder / "learn.jsonl", [*texts(text, EDUCATIONAL, "ko", 40), *texts(text, ENGLISH, "en", 40)])]
    return make_tokenizer(folder / "tokenizer", learned, vocabulary)


def mixture(folder: Path, name: str, path: str, n_tokens: int) -> Path:
    """A token mixture of some documents."""
    from curation.mixture.pipeline import mix
    from curation.mixture.survey import prepare
    from manifests.schema_mixture import MixtureManifest

    manifest = {
        "kind": "mixture",
        "name": name,
        "tokenizer": "tokenizer",
        "sequence_length": LENGTH,
        "sources": [{"name": name, "path": path, "category": name, "epochs_max": 8}],
        "tokens": n_tokens,
        "output": name,
    }
    mix(prepare(MixtureManifest.model_validate(manifest), str(folder)), lambda *_: None)
    return folder / name


def cpt(mixture_path: Path, steps: int, **more: Any) -> Row:
    """A stage on a mixture."""
    return {"name": "cpt", "kind": "cpt", "mixture": str(mixture_path), "steps": steps, **QUICK, **more}


MIXED = {"tokenizer": "tokenizer", "sequence_length": LENGTH}
TRAINED = {"threads": 1, "evaluation": None}


def quality(folder: Path, text: Path) -> list[str]:
    """Eight of nine Korean pages are planted spam, the others petitions and texts like those that are held out."""
    tokenizer = languages(folder, text)
    good = pl.read_parquet(folder / "ko.parquet")["text"].to_list()
    other = texts(text, OTHER, "ko", 200)
    write(folder / "data/korean/pages.parquet", [*good, *other, *spam(8 * len([*good, *other]))])
    write(folder / "data/english/pages.parquet", pl.read_parquet(folder / "en.parquet")["text"].to_list())
    return [
        *setting("mix", **MIXED, stages__cpt__tokens=120_000),
        *setting("train", **TRAINED, base=new_model(tokenizer)),
        *small("train", "cpt", learning_rate=3e-3),
        "arms=[{name: raw, set: {mix.sources.korean: {name: korean, path: data/korean/*.parquet, category: korean}}},"
        "{name: filtered}, {name: edu, set: {mix.sources.korean.where: edu_score >= 2}}]",
    ]


def annealing(folder: Path, text: Path) -> list[str]:
    """A checkpoint that knows English; candidates of the language that is to be learnt, and of gibberish."""
    tokenizer = languages(folder, text)
    english = mixture(folder, "stage1", "en.parquet", 60_000)
    model = trained(folder / "base", new_model(tokenizer), [cpt(english, 60, learning_rate=3e-3)])
    (folder / "models").mkdir()
    (folder / "models/stage1").symlink_to(model)
    good = pl.read_parquet(folder / "ko.parquet")["text"].to_list()
    write(folder / "data/stage1/en.parquet", pl.read_parquet(folder / "en.parquet")["text"].to_list())
    write(folder / "data/candidates/web/good.parquet", good)
    write(folder / "data/candidates/bad/bad.parquet", gibberish([*good, *good]))
    return [
        *setting("mix", **MIXED, stages__anneal__tokens=30_000, sources__usual__epochs_max=4),
        *setting("train", **TRAINED),
        *small("train", "anneal", learning_rate=2e-3, schedule={"kind": "linear", "end": 0}),
        'steps.train.manifest.validation=[{name: ko, text: "validation/ko/*.parquet"}, '
        '{name: en, text: "validation/en/*.parquet"}]',
        "arms=[{name: usual, set: {mix.stages.anneal.weights: {usual: 100}}}, {name: web}, "
        '{name: bad, set: {mix.sources.candidate.path: "data/candidates/bad/*.parquet"}}]',
    ]


def write_chats(folder: Path, language: str, n: int, seed: int) -> Path:
    """Chats about sums in one language."""
    ours = [row for row in sums(2 * n, seed, 0.5) if row["asked"].startswith("What") == (language == "en")]
    rows = [{"messages": [user(row["asked"]), assistant(row["said"])]} for row in ours]
    return write_jsonl(folder / f"data/sft/{language}.jsonl", rows)


def merge(folder: Path, text: Path) -> list[str]:
    """A base, its sibling that was tuned on English chats, and Korean chats for the other one."""
    tokenizer = languages(folder, text)
    base = trained(folder / "base", new_model(tokenizer), [cpt(mixture(folder, "en", "en.parquet", 40_000), 40)])
    sibling = trained(folder / "sibling", base, [sft(write_chats(folder, "en", 200, 1), 40, learning_rate=2e-3)])
    write_chats(folder, "ko", 200, 0)
    for language in ("ko", "en"):
        rows = [row for row in sums(48, 7, 0.5) if row["asked"].startswith("What") == (language == "en")]
        write(folder / f"validation/{language}/held_out.parquet", [f"{row['asked']} {row['said']}" for row in rows])
    instruct = "models/Llama-3.1-8B-Instruct"
    (folder / "models").mkdir()
    (folder / instruct).symlink_to(sibling)
    return [
        *setting("train", threads=1, base=str(base)),
        *small("train", "sft", learning_rate=2e-3, steps=40, max_length=LENGTH, template="chatml"),
        "steps.train.manifest.stages.sft.data.0.path=data/sft/ko.jsonl",
        'steps.train.manifest.validation=[{name: ko, text: "validation/ko/*.parquet"}, '
        '{name: en, text: "validation/en/*.parquet"}]',
    ]


def dpo(folder: Path, text: Path) -> list[str]:
    """Chats about sums, of which some end politely; a polite end is preferred."""
    rows = sums(600, 0, 0.3)
    chats = write_jsonl(
        folder / "chats.jsonl", [{"messages": [user(row["asked"]), assistant(row["said"])]} for row in rows]
    )
    learned = write(folder / "learn.jsonl", [f"{row['asked']} {row['polite']} {POLITE['ko']}" for row in rows])
    tokenizer = make_tokenizer(folder / "tokenizer", [learned], 512)
    model = trained(folder / "base", new_model(tokenizer), [sft(chats, 120, learning_rate=3e-3)])
    (folder / "models").mkdir()
    (folder / "models/sft").symlink_to(model)
    pairs = [
        {"prompt": [user(row["asked"])], "chosen": [assistant(row["polite"])], "rejected": [assistant(row["plain"])]}
        for row in sums(400, 1, 0)
    ]
    write_jsonl(folder / "pairs.jsonl", pairs)
    for name, n, seed in (("data/prompts/sums.jsonl", 200, 2), ("validation/prompts.jsonl", 32, 3)):
        write_jsonl(folder / name, [{"messages": [user(row["asked"])]} for row in sums(n, seed, 0)])
    online = {"learning_rate": 4e-4, "steps": 24, "max_new_tokens": 20, "max_prompt_length": 48, "temperature": 1.0}
    return [
        *setting("train", threads=1, validation=[]),
        *small("train", "reward", learning_rate=1e-3, steps=30, max_length=LENGTH, held_out=0.1),
        *small("train", "dpo", learning_rate=2e-4, steps=20, max_length=LENGTH),
        *small("train", "both", **online),
        *small("train", "online", **online),
        "steps.train.manifest.stages.reward.data.0.path=pairs.jsonl",
        "steps.train.manifest.stages.dpo.data.0.path=pairs.jsonl",
        "steps.train.manifest.prompts={path: validation/prompts.jsonl, max_new_tokens: 20, temperature: 1.0}",
        "arms=[{name: offline, of: train.dpo}, {name: online, of: train.online}, {name: both}]",
    ]


def distill_data(folder: Path, text: Path) -> list[str]:
    """A teacher of both languages, a student that is new; the last stage is Korean alone."""
    tokenizer = languages(folder, text)
    both = [mixture(folder, language, f"{language}.parquet", 60_000) for language in ("ko", "en")]
    stages = [{**cpt(path, 60, learning_rate=3e-3), "name": f"cpt{number}"} for number, path in enumerate(both)]
    stages[1]["replay"] = {"path": str(both[0]), "share": 0.5}
    teacher = trained(folder / "teacher", new_model(tokenizer, hidden_size=96), stages)
    (folder / "models").mkdir()
    (folder / "models/kanana-8b").symlink_to(teacher)
    for name, language in (("stage2", "ko"), ("english", "en")):
        write(folder / f"data/{name}/a.parquet", pl.read_parquet(folder / f"{language}.parquet")["text"].to_list())
    return [
        *setting("mix", **MIXED, stages__distill__tokens=60_000),
        *setting("train", **TRAINED, base=new_model(tokenizer)),
        *small("train", "distilled", learning_rate=3e-3),
    ]


def depth(folder: Path, text: Path) -> list[str]:
    """A base of three layers that knows English, and Korean to go on with; four layers, stacked or new."""
    tokenizer = languages(folder, text)
    first = mixture(folder, "first", "en.parquet", 60_000)
    base = trained(folder / "base", new_model(tokenizer, num_hidden_layers=3), [cpt(first, 60, learning_rate=3e-3)])
    stages = {name: small("train", name, learning_rate=2e-3) for name in ("deeper", "scratch", "longer")}
    source = {"name": "korean", "path": str(folder / "ko.parquet"), "category": "korean", "epochs_max": 4}
    mixed = {"sources": [source], "stages": [{"name": "more", "tokens": "30K"}], "validation": {"frac": 0}}
    return [
        *(f"steps.mix.set.{name}={orjson.dumps(value).decode()}" for name, value in (MIXED | mixed).items()),
        f"steps.mix.set.tokenizer={folder / 'tokenizer'}",
        *setting("train", threads=1, base=str(base)),
        *(change for changes in stages.values() for change in changes),
        "steps.train.manifest.stages.longer.mixture.0.tokens=36K",
        "steps.train.manifest.stages.stacked.to=4",
    ]


def teacher(folder: Path, text: Path) -> list[str]:
    """Sums: a teacher that knows them, a smaller one that half knows them; of the data's answers half are wrong."""
    rows = sums(600, 0, 1.0)
    learned = write(folder / "learn.jsonl", [f"{row['asked']} {row['polite']}" for row in rows])
    tokenizer = make_tokenizer(folder / "tokenizer", [learned], 512)
    right = [{"messages": [user(row["asked"]), assistant(row["plain"])]} for row in rows]
    wrong = [
        {"messages": [user(row["asked"]), assistant(other["plain"] if number % 2 else row["plain"])]}
        for number, (row, other) in enumerate(zip(rows, rows[2:] + rows[:2], strict=True))
    ]
    chats = write_jsonl(folder / "right.jsonl", right)
    write_jsonl(folder / "data/sft/chats.jsonl", wrong)
    write_jsonl(folder / "data/answers/large.jsonl", right)
    (folder / "models").mkdir()
    for name, billions, width, steps in (("large", 405, 96, 250), ("small", 70, 48, 80)):
        stage = sft(chats, steps, learning_rate=3e-3)
        made = trained(folder / name, new_model(tokenizer, hidden_size=width), [stage])
        (folder / f"models/Llama-3.1-{billions}B-Instruct").symlink_to(made)
    held_out = [f"{row['asked']} {row['plain']}" for row in sums(64, 5, 0)]
    write(folder / "validation/sums.jsonl", held_out)
    return [
        *setting("train", threads=1, base=new_model(tokenizer)),
        *small("train", "student", learning_rate=3e-3, steps=80, max_length=LENGTH, template="chatml"),
        "steps.train.manifest.stages.student.data.0.path=data/sft/*.jsonl",
        "steps.train.manifest.validation=[{name: sums, text: validation/sums.jsonl}]",
        "arms.text.set={train.stages.student.ce_weight: 1, train.stages.student.data.0.path: data/answers/*.jsonl}",
    ]


TOYS: dict[str, Toy] = {
    "ablate-quality": quality,
    "ablate-annealing": annealing,
    "ablate-merge": merge,
    "ablate-dpo": dpo,
    "ablate-distill-data": distill_data,
    "ablate-depth": depth,
    "ablate-teacher": teacher,
}


def toy_changes(name: str, folder: Path, text: Path) -> list[str]:
    """Lay a toy out; what is set in its recipe.

    Args:
        name: of the recipe.
        folder: where to; relative paths of the recipe start here.
        text: folder of the development corpora's texts.
    """
    return TOYS[name](folder, text)
