"""How well the shipped `toxicity`, `adult` and `gambling` find what they look for, beside lists of words and phrases.

    python benchmarks/harm.py [--data ../shared/data] [--lists LISTS] [--without-view MODELS] [--write]

How to install LISTS: benchmarks/harm_lists.py. MODELS is a folder of models of the recipes `adult` and `gambling`
with `--set model.view=null`.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import harm_data
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from harm_lists import System, list_systems, model_system, word_systems
from harm_random import random_thresholds
from harm_sets import KINDS, MAX_CHARS, N_ORDINARY, Labelled, labelled_sets, ordinary_texts, random_texts, tuning_sets
from harm_sets import whole_sets as advertising_sets
from harm_spellings import advertising_table, swearing_table

from classifiers.evaluate import auc, best_f1
from classifiers.scorer import SHIPPED, Scorer
from classifiers.spelling import plain_spelling

OUT = Path(__file__).parent / "results" / "harm.md"
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Limits = dict[str, dict[str, float]]
"""From which score on a text is flagged, by kind and language."""

HEAD = (harm_data.LABELS / "about.md").read_text("utf-8").strip()
ORDINARY_TEXTS = (
    "Texts in neither half that a model learnt from, at most"
    f" {N_ORDINARY:,} of each file, cut to {MAX_CHARS:,} characters. They have no labels; some comments are in truth"
    " what is looked for. Models at their tuned thresholds, in brackets at .5."
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--lists", type=Path, help="where the lists of others are installed")
    arguments.add_argument("--without-view", type=Path, help="a folder of models that read texts as they are")
    arguments.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = arguments.parse_args()
    report = "\n\n".join(parts(options.data, options.lists, options.without_view)) + "\n"
    print(report)
    if options.write:
        OUT.write_text(report, "utf-8")


def parts(data: Path, lists: Path | None, without_view: Path | None) -> list[str]:
    """The paragraphs of the page."""
    models = {kind: model_system(kind) for kind in KINDS}
    others, words = list_systems(lists), word_systems(lists)
    limits = {kind: tuned(models[kind], kind, data) for kind in KINDS}
    found = [HEAD, "## Thresholds", threshold_table(limits, models, data)]
    for kind in KINDS:
        mine = [*others, *(words if kind == "toxicity" else [])]
        found += [
            f"## `{kind}`: what is found, odd halves",
            quality_table(models[kind], mine, limits[kind], kind, data),
        ]
    return [
        *found,
        "## `adult` and `gambling` at .5 on both halves",
        "No threshold was tuned for these, so that twice as many texts count.",
        whole_table(models, data),
        "## `toxicity` on texts as they come",
        random_table(models["toxicity"], others + words, limits["toxicity"], data),
        "## Ordinary texts that are flagged",
        ORDINARY_TEXTS,
        ordinary_table(models, others, limits, data),
        "## Swear words that are hidden",
        "Recall of Korean texts, toxic and of the odd half or the test part, that hold a swear word, when each of"
        " these is written in another way; thresholds as above.",
        swearing_table(*_korean([models["toxicity"], *others, *words], limits["toxicity"]), data),
        "## Advertisements whose words are hidden",
        "Recall at .5 of composed and quoted advertisements, both halves, Korean and English, that hold a word of"
        " `classifiers/lexicon/hidden.txt` or a few Latin ones, with each of these spelled so. Those in italics"
        " the view does not undo, or not wholly. `without the view`: a model of the same recipe and data that reads"
        " texts as they are; it met hidden words in training as well.",
        advertising_table(*_advertising(models, others, without_view)),
        "## Speed",
        speed_table(data),
    ]


def tuned(model: System, kind: str, data: Path) -> dict[str, float]:
    """The threshold of the best F1 on the even halves, by language, to two digits."""
    sets, found = tuning_sets(kind, data), {}
    for language in model.languages:
        mine = [one for one in sets if one.language == language]
        labels = np.concatenate([one.labels for one in mine])
        scores = np.concatenate([model.score(one.texts) for one in mine])
        found[language] = round(best_f1(labels, scores)[1], 2)
    return found


def threshold_table(limits: Limits, models: dict[str, System], data: Path) -> str:
    lines = [
        "| score | language | even half: texts, positive | threshold | F1 on the even half |",
        "|---|---|---|---|---|",
    ]
    for kind, mine in limits.items():
        for language, limit in mine.items():
            sets = [one for one in tuning_sets(kind, data) if one.language == language]
            labels = np.concatenate([one.labels for one in sets])
            scores = np.concatenate([models[kind].score(one.texts) for one in sets])
            f1 = figures(labels, scores, scores >= limit)[3]
            lines.append(f"| `{kind}` | {language} | {len(labels)}, {labels.sum()} | {limit:.2f} | {f1:.3f} |")
    return "\n".join(lines)


def quality_table(model: System, others: list[System], limits: dict[str, float], kind: str, data: Path) -> str:
    lines = ["| set | texts | positive | system | AUC | P | R | F1 |", "|---|---|---|---|---|---|---|---|"]
    for tested in labelled_sets(kind, data):
        scores = model.score(tested.texts)
        limit = limits[tested.language]
        lines.append(_line(tested, f"{model.name} at {limit:.2f}", scores, scores >= limit))
        lines.append(_line(tested, f"{model.name} at .5", scores, scores >= 0.5))
        for system in others:
            if tested.language in system.languages:
                scores = system.score(tested.texts)
                lines.append(_line(tested, system.name, scores, scores >= (system.threshold or 0)))
    return "\n".join(lines)


def _line(tested: Labelled, name: str, scores: Numbers, chosen: Flags) -> str:
    cells = " | ".join(f"{value:.3f}" for value in figures(tested.labels, scores, chosen))
    return f"| {tested.name}, {tested.language} | {len(tested.texts):,} | {tested.n_positive} | {name} | {cells} |"


def figures(labels: Flags, scores: Numbers, chosen: Flags) -> list[float]:
    """AUC, precision, recall and F1; nothing chosen has a precision of 0."""
    hits = int((labels & chosen).sum())
    precision, recall = hits / max(int(chosen.sum()), 1), hits / max(int(labels.sum()), 1)
    return [auc(labels, scores), precision, recall, 2 * hits / max(int(labels.sum() + chosen.sum()), 1)]


def whole_table(models: dict[str, System], data: Path) -> str:
    lines = ["| set | texts | positive | system | AUC | P | R | F1 |", "|---|---|---|---|---|---|---|---|"]
    for kind in ("adult", "gambling"):
        for tested in advertising_sets(kind, data):
            scores = models[kind].score(tested.texts)
            lines.append(_line(tested, models[kind].name, scores, scores >= 0.5))
    return "\n".join(lines)


def random_table(model: System, others: list[System], tuned: dict[str, float], data: Path) -> str:
    """Of random texts: what a threshold flags, and how much of it rightly."""
    limits = random_thresholds(data)
    said = (
        "Thresholds of the best F1 on random texts of the even half, scored out of fold by models of the same recipe,"
        f" since the shipped one was trained on them: {limits['ko']:.2f} (ko), {limits['en']:.2f} (en). Figures are"
        " of the odd half."
    )
    lines = [
        said,
        "",
        "| texts | positive | system | flagged | AUC | P | R | F1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for language in ("ko", "en"):
        tested = random_texts(data, language)
        scores = model.score(tested.texts)
        asked = {limits[language]: "tuned on random texts", 0.5: "", 0.9: ""}
        asked |= {tuned[language]: "tuned on the labelled sets"}
        for limit, what in sorted(asked.items()):
            name = f"{model.name} at {limit:.2f}" + (f", {what}" if what else "")
            lines.append(_share_line(tested, name, scores, scores >= limit))
        for system in others:
            if language in system.languages:
                scores = system.score(tested.texts)
                lines.append(_share_line(tested, system.name, scores, scores >= (system.threshold or 0)))
    return "\n".join(lines)


def _share_line(tested: Labelled, name: str, scores: Numbers, chosen: Flags) -> str:
    cells = " | ".join(f"{value:.3f}" for value in figures(tested.labels, scores, chosen))
    counts = f"{len(tested.texts)}, {tested.language} | {tested.n_positive}"
    return f"| {counts} | {name} | {100 * chosen.mean():.1f}% | {cells} |"


def ordinary_table(models: dict[str, System], others: list[System], limits: Limits, data: Path) -> str:
    names = [*(model.name for model in models.values()), *(system.name for system in others)]
    lines = ["| texts | n | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    for (name, language), texts in ordinary_texts(data).items():
        cells = [_two_shares(model.score(texts), limits[kind][language]) for kind, model in models.items()]
        for system in others:
            known = language in system.languages
            cells.append(f"{100 * (system.score(texts) >= (system.threshold or 0)).mean():.1f}%" if known else "")
        lines.append(f"| {name} | {len(texts):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _two_shares(scores: Numbers, limit: float) -> str:
    return f"{100 * (scores >= limit).mean():.2f}% ({100 * (scores >= 0.5).mean():.2f}%)"


def _korean(systems: list[System], limits: dict[str, float]) -> tuple[list[System], dict[str, float]]:
    mine = [system for system in systems if "ko" in system.languages]
    return mine, {one.name: limits["ko"] if one.threshold is None else one.threshold for one in mine}


def _advertising(
    models: dict[str, System], others: list[System], without_view: Path | None
) -> tuple[dict[str, Sequence[System]], Limits]:
    systems: dict[str, Sequence[System]] = {}
    for kind in ("adult", "gambling"):
        plain = [model_system(kind, without_view, "without the view")] if without_view else []
        systems[kind] = [models[kind], *plain, *others[-1:]]
    limits = {
        kind: {one.name: 0.5 if one.threshold is None else one.threshold for one in mine}
        for kind, mine in systems.items()
    }
    return systems, limits


def speed_table(data: Path) -> str:
    """MB of whole text per second of processor time, one core, median of three."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    works: dict[str, Callable[[pa.LargeStringArray], object]] = {"the view": plain_spelling}
    works |= {f"`{kind}`": Scorer(SHIPPED / kind).score for kind in KINDS}
    lines = ["One core, MB of whole text per second of processor time, median of three.", ""]
    lines += ["| file | bytes a document | " + " | ".join(works) + " |", "|" + "---|" * (len(works) + 2)]
    for name in ("ko_petitions", "ko_comments_kocohub", "en_docs_mixed", "en_noisy"):
        rows = pl.read_parquet(data / "text" / f"{name}.parquet", columns=["id", "text"]).sort("id").head(1_500)
        texts = pa.array(rows["text"].to_list(), pa.large_string())
        rates = [
            f"{texts.nbytes / 1e6 / sorted(_seconds(work, texts) for _ in range(3))[1]:.0f}"
            for work in works.values()
        ]
        lines.append(f"| {name} | {texts.nbytes / len(texts):,.0f} | " + " | ".join(rates) + " |")
    return "\n".join(lines)


def _seconds(work: Callable[[pa.LargeStringArray], object], texts: pa.LargeStringArray) -> float:
    work(texts.slice(0, 3))  # compiles
    start = time.process_time()
    work(texts)
    return time.process_time() - start


if __name__ == "__main__":
    main()
