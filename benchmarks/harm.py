"""How well the shipped `toxicity` model finds insults, hate and threats, beside lists of words and a linear model.

    python benchmarks/harm.py [--data ../shared/data] [--lists LISTS] [--write]

Thresholds are tuned on the even half (xxh3 of the text) of what people labelled in kocohub (without `offensive`) and
t-davidson, which nothing was trained on. Figures: the odd half of these and of 2runo/Curse-detection-data (`curse`,
whose even half was trained on), the first rows of K-MHaS, and what a language model judged under docs/harm-rubric.md
and nothing was trained on.
How to install LISTS: benchmarks/harm_lists.py.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import harm_data
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from harm_lists import System, systems
from harm_spellings import VARIANTS, swearing

from classifiers.evaluate import auc, best_f1
from classifiers.scorer import SHIPPED, Scorer

OUT = Path(__file__).parent / "results" / "harm.md"
PROSE = (
    "ko_wiki_korquad", "ko_law", "ko_petitions", "ko_docs_mixed", "ko_books_misc", "ko_ms_cpp", "en_docs_mixed",
    "en_books_misc", "en_ms_cpp",
)  # fmt: skip
N_PROSE, MIN_CHARS, MAX_CHARS = 200, 100, 1000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Texts of one set and language."""

    name: str
    language: str
    texts: Sequence[str]
    labels: npt.NDArray[np.bool_]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--lists", type=Path, help="where the lists of others are installed")
    arguments.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = arguments.parse_args()
    asked = systems(options.lists)
    limits = {system.name: thresholds(system, options.data) for system in asked}
    said = [line.strip() for line in str(__doc__).strip().split("\n\n")[2].splitlines()]
    parts = [
        "# Toxicity",
        "Made by `benchmarks/harm.py`. " + " ".join(said),
        f"Thresholds of the model, of the best F1 on the even half: {_of_model(limits)}.",
        "## Labelled sets",
        "P, R and F1 at the threshold; AUC of lists is that of their counts. `hate` leaves out what kocohub calls"
        " offensive, which is sarcasm and rudeness; `hate, of all` counts it as not toxic, `any` as toxic.",
        quality_table(asked, limits, options.data),
        "## Prose that holds no abuse: share that is flagged",
        f"Documents of the odd half, at most {N_PROSE} of each source, of {MIN_CHARS} characters or more, cut to"
        f" {MAX_CHARS:,}. Petitions are angry but mostly civil. Nothing of them, of the books and of ms-cpp was"
        " trained on, of the others only the even half.",
        prose_table(asked, limits, options.data),
        "## Spellings that hide",
        "Recall of Korean texts, toxic and of the odd half or the test part, that hold a swear word, when each of"
        " these is written in another way.",
        spelling_table(asked, limits, options.data),
        "## Speed",
        speed_table(options.data),
    ]
    report = "\n\n".join(parts) + "\n"
    print(report)
    if options.write:
        OUT.write_text(report, "utf-8")


def labelled_sets(data: Path) -> list[Labelled]:
    """All sets that figures are given for."""
    human, judged = harm_data.human(data, "odd"), harm_data.judged(data, "test")
    ko, en = (human.filter(pl.col("language") == language) for language in ("ko", "en"))
    hate = pl.col("name") != "offensive"
    kmhas = pl.read_csv(harm_data.LABELS / "kmhas.tsv", separator="\t", quote_char=None)
    sets = [
        _labelled("kocohub: hate", "ko", ko.filter(hate), ko.filter(hate)["label"] == 1),
        _labelled("kocohub: hate, of all", "ko", ko, ko["label"] == 1),
        _labelled("kocohub: any", "ko", ko, ko["name"] != "none"),
        _labelled("K-MHaS", "ko", kmhas, kmhas["classes"] != "8"),
        _labelled("curse", "ko", harm_data.curse("odd"), harm_data.curse("odd")["label"] == 1),
        _labelled("t-davidson", "en", en, en["label"] == 1),
    ]
    for language in ("ko", "en"):
        mine = judged.filter(pl.col("language") == language)
        sets.append(_labelled(f"judged: {language}", language, mine, mine["label"] == 1))
    return sets


def _labelled(name: str, language: str, rows: pl.DataFrame, labels: pl.Series) -> Labelled:
    return Labelled(name, language, rows["text"].to_list(), labels.to_numpy().astype(bool))


def thresholds(system: System, data: Path) -> dict[str, float]:
    """From which score on a system flags a text, by language."""
    if system.threshold is not None:
        return dict.fromkeys(system.languages, system.threshold)
    found = {}
    for language in system.languages:
        rows = harm_data.human(data, "even").filter(pl.col("language") == language)
        rows = rows.filter((pl.col("language") == "en") | (pl.col("name") != "offensive"))
        scores = system.score(rows["text"].to_list())
        found[language] = best_f1(rows["label"].to_numpy().astype(bool), scores)[1]
    return found


def _of_model(limits: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"{limit:.2f} ({language})" for language, limit in limits["**toxicity**"].items())


def quality_table(asked: list[System], limits: dict[str, dict[str, float]], data: Path) -> str:
    lines = ["| set | texts | toxic | system | AUC | P | R | F1 |", "|---|---|---|---|---|---|---|---|"]
    for tested in labelled_sets(data):
        for system in asked:
            if tested.language in system.languages:
                scores = system.score(tested.texts)
                chosen = scores >= limits[system.name][tested.language]
                figures = " | ".join(f"{value:.3f}" for value in _figures(tested.labels, scores, chosen))
                n_toxic = int(tested.labels.sum())
                lines.append(f"| {tested.name} | {len(tested.texts)} | {n_toxic} | {system.name} | {figures} |")
    return "\n".join(lines)


def _figures(labels: npt.NDArray[np.bool_], scores: Numbers, chosen: npt.NDArray[np.bool_]) -> list[float]:
    """AUC, precision, recall and F1; nothing chosen has a precision of 0."""
    hits = int((labels & chosen).sum())
    precision, recall = hits / max(int(chosen.sum()), 1), hits / max(int(labels.sum()), 1)
    return [auc(labels, scores), precision, recall, 2 * hits / max(int(labels.sum() + chosen.sum()), 1)]


def prose_table(asked: list[System], limits: dict[str, dict[str, float]], data: Path) -> str:
    lines = ["| source | documents | " + " | ".join(system.name for system in asked) + " |"]
    lines.append("|" + "---|" * (len(asked) + 2))
    for name in PROSE:
        texts = prose(data, name)
        cells = []
        for system in asked:
            language = name[:2]
            known = language in system.languages
            flagged = system.score(texts) >= limits[system.name].get(language, 0) if known else None
            cells.append("" if flagged is None else f"{100 * flagged.mean():.1f}%")
        lines.append(f"| {name} | {len(texts)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def prose(data: Path, name: str) -> list[str]:
    """Documents of one source, of the half that nothing was trained on."""
    texts = pl.read_parquet(data / "text" / f"{name}.parquet", columns=["id", "text"]).sort("id")["text"]
    odd = [text for text in texts if len(text) >= MIN_CHARS and harm_data.is_odd(text)]
    return [text[:MAX_CHARS] for text in odd[:N_PROSE]]


def spelling_table(asked: list[System], limits: dict[str, dict[str, float]], data: Path) -> str:
    human, judged = harm_data.human(data, "odd"), harm_data.judged(data, "test")
    parts = (human, judged, harm_data.curse("odd"))
    toxic = pl.concat([part.select("text", pl.col("label").cast(pl.Int64), "language") for part in parts])
    texts = swearing(toxic.filter((pl.col("label") == 1) & (pl.col("language") == "ko"))["text"].to_list())
    korean = [system for system in asked if "ko" in system.languages]
    lines = ["| spelling | example | " + " | ".join(system.name for system in korean) + " |"]
    lines.append("|" + "---|" * (len(korean) + 2))
    for name, example, rewrite in VARIANTS:
        hidden = [rewrite(text) for text in texts]
        recall = [(system.score(hidden) >= limits[system.name]["ko"]).mean() for system in korean]
        lines.append(f"| {name} | {example} | " + " | ".join(f"{value:.2f}" for value in recall) + " |")
    return "\n".join([f"{len(texts)} texts.", "", *lines])


def speed_table(data: Path) -> str:
    """MB of whole text per second of processor time, one core, median of three."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scorer = Scorer(SHIPPED / "toxicity")
    lines = ["One core, MB of whole text per second of processor time, median of three.", ""]
    lines += ["| file | bytes a document | MB/s |", "|---|---|---|"]
    for name in ("ko_petitions", "ko_comments_kocohub", "en_docs_mixed", "en_noisy"):
        rows = pl.read_parquet(data / "text" / f"{name}.parquet", columns=["id", "text"]).sort("id").head(1_500)
        texts = pa.array(rows["text"].to_list(), pa.large_string())
        scorer.score(texts.slice(0, 3))  # compiles
        seconds = sorted(_seconds(scorer, texts) for _ in range(3))[1]
        lines.append(f"| {name} | {texts.nbytes / len(texts):,.0f} | {texts.nbytes / 1e6 / seconds:.1f} |")
    return "\n".join(lines)


def _seconds(scorer: Scorer, texts: pa.LargeStringArray) -> float:
    start = time.process_time()
    scorer.score(texts)
    return time.process_time() - start


if __name__ == "__main__":
    main()
