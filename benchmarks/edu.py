"""The shipped `edu` model: trains it, and measures it on sites that it has not seen.

    python benchmarks/edu.py [--data ../shared/data] [--train classifiers/models/edu] [--write]

Leave-one-site-out: each window is scored by a model that saw no label of its site, in either language and under any
of its names. Windows that may only be evaluated on (publishers' pages, GUM) are scored by the model of all others. In
the strict variant, and for fastText, sites are held out in five groups, from the unlabelled text too.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from edu_data import UNSEEN, Judged, read_judged, read_unlabelled

from classifiers.cards import FastTextCard, LanguagesCard, write_card
from classifiers.evaluate import Metrics, best_f1, by_group, metrics
from classifiers.fasttext_train import FastTextSettings, train_fasttext
from classifiers.lsa import LsaSettings, train_lsa
from classifiers.scorer import Scorer

LANGUAGES = {"ko": "Korean", "en": "English"}
POSITIVE_FROM, THRESHOLD = 3.0, 2.5  # a score of 2.5 is an int_score of 3 (FineWeb-Edu's cut)
N_GROUPS, N_DIGITS = 5, 3
OUT = Path(__file__).parent / "results" / "edu.md"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--train", type=Path, default=None, help="folder to write the model to")
    arguments.add_argument("--quick", action="store_true", help="neither the strict variant nor fastText")
    arguments.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = arguments.parse_args()
    rows = {language: read_judged(options.data, language) for language in LANGUAGES}
    scores: dict[str, dict[str, np.ndarray]] = {language: {} for language in LANGUAGES}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.train or Path(scratch) / "edu"
        for language in LANGUAGES:
            scores[language]["**edu**"] = trained(rows[language], options.data, language, folder / language)
        write_card(folder, LanguagesCard(models={language: language for language in LANGUAGES}))
        afterwards = gathered_afterwards(folder)
    publish(rows, scores, afterwards, options.write)
    if not options.quick:
        for language in LANGUAGES:
            mine = rows[language]
            scores[language]["fastText"] = in_groups(mine, fasttext_scores)
            scores[language]["edu, strict"] = in_groups(mine, partial(strict, options.data, language))
        publish(rows, scores, afterwards, options.write)


def gathered_afterwards(folder: Path) -> str:
    """The model on windows of sources that were gathered when it was made already, and drawn in another way."""
    lines = [
        [
            "language",
            "windows",
            "sources",
            "judged",
            "scored",
            "Spearman",
            "AUC at 3",
            "F1 at 3",
            "precision",
            "recall",
        ]
    ]
    for language, name in LANGUAGES.items():
        rows = pl.read_parquet(UNSEEN).filter(pl.col("lang") == language)
        labels = rows["score"].to_numpy()
        scores = model_scores(folder / language, pa.array(rows["text"].to_list(), pa.large_string()))
        found = metrics(labels, scores, POSITIVE_FROM, THRESHOLD)
        means = [f"{labels.mean():.2f}", f"{scores.mean():.2f}"]
        lines.append([name, f"{len(rows):,}", str(rows["source"].n_unique()), *means, *numbers(found)])
    return table(lines)


def publish(rows: dict[str, Judged], scores: dict[str, dict[str, np.ndarray]], afterwards: str, write: bool) -> None:
    parts = ["# The `edu` model on sites not seen", str(__doc__).split("\n\n")[2].replace("\n", " ")]
    for language, name in LANGUAGES.items():
        mine, given = rows[language], scores[language]
        parts += [f"## {name}", overall(mine, given), f"### {name}, by site", sites(mine, given["**edu**"])]
    parts += ["## Sources gathered afterwards", afterwards]
    report = "\n\n".join([*parts, NOTES]) + "\n"
    print(report, flush=True)
    if write:
        OUT.write_text(report, "utf-8")


def trained(rows: Judged, data: Path, language: str, folder: Path) -> np.ndarray:
    """Scores where a site is left out; of windows that are never trained on, the model's."""
    mine = np.flatnonzero(rows.may_train)
    found = train_lsa(
        rows.texts.take(pa.array(mine)),
        rows.labels[mine],
        folder,
        LsaSettings(),
        [str(site) for site in rows.sites[mine]],
        read_unlabelled(data, language),
    )
    scores = model_scores(folder, rows.texts)
    scores[mine] = found.held_out
    return scores.round(N_DIGITS)


def model_scores(folder: Path, texts: pa.LargeStringArray) -> np.ndarray:
    scores = Scorer(folder).score(texts).score.fill_null(0.0)
    return np.array(scores.to_numpy(zero_copy_only=False))


def in_groups(rows: Judged, scored: Callable[[Judged, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Scores of each group of sites by a model of the others; sites are dealt out in the order of their names."""
    names = sorted(set(rows.sites))
    group = np.array([names.index(site) % N_GROUPS for site in rows.sites])
    scores = np.zeros(len(rows.labels))
    for number in range(N_GROUPS):
        held = group == number
        scores[held] = scored(rows, np.flatnonzero(~held & rows.may_train), np.flatnonzero(held))
    return scores.round(N_DIGITS)


def strict(data: Path, language: str, rows: Judged, known: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Scores of a model that saw neither labels nor text of the sites that are held out."""
    with tempfile.TemporaryDirectory() as folder:
        more = read_unlabelled(data, language, set(rows.sites[held]))
        names = [str(site) for site in rows.sites[known]]
        train_lsa(rows.texts.take(pa.array(known)), rows.labels[known], Path(folder), LsaSettings(), names, more)
        return model_scores(Path(folder), rows.texts.take(pa.array(held)))


def fasttext_scores(rows: Judged, known: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Scores of fastText as it is commonly trained: dim 64, pairs of words, expectation over whole labels."""
    labels = [str(int(label + 0.5)) for label in rows.labels[known]]
    settings = FastTextSettings(dim=64, word_ngrams=2, bucket=200_000, epoch=25, lr=0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_fasttext(rows.texts.take(pa.array(known)), labels, folder / "model.bin", settings)
        write_card(folder, FastTextCard(model="model.bin", values={label: float(label) for label in set(labels)}))
        return model_scores(folder, rows.texts.take(pa.array(held)))


def overall(rows: Judged, scores: dict[str, np.ndarray]) -> str:
    lines = [["windows", "model", "n", "Spearman", "AUC at 3", "F1 at 3", "precision", "recall", "best F1", "kappa"]]
    for name, mine in (("the 54 sources", ~rows.is_new), ("new sources", rows.is_new), ("all", rows.labels >= 0)):
        for model, given in scores.items():
            found = metrics(rows.labels[mine], given[mine], POSITIVE_FROM, THRESHOLD)
            best, _ = best_f1(rows.labels[mine] >= POSITIVE_FROM, given[mine])
            lines.append([name, model, f"{mine.sum():,}", *numbers(found), f"{best:.3f}", f"{found.kappa:.3f}"])
    return table(lines)


def numbers(found: Metrics) -> list[str]:
    values = (found.spearman, found.auc, found.f1, found.precision, found.recall)
    return ["" if np.isnan(value) else f"{value:.3f}" for value in values]


def sites(rows: Judged, scores: np.ndarray) -> str:
    """Every site of twenty windows or more, the worst (by the distance of the means) first."""
    lines = [["site", "n", "judged", "scored", "off by", "Spearman", "AUC at 3"]]
    found = by_group([str(site) for site in rows.sites], rows.labels, scores, POSITIVE_FROM, THRESHOLD)
    means = {name: (rows.labels[rows.sites == name].mean(), scores[rows.sites == name].mean()) for name in found}
    for name in sorted(found, key=lambda name: -abs(means[name][0] - means[name][1])):
        judged, scored = means[name]
        if found[name].n_docs >= 20:
            cells = [f"{judged:.2f}", f"{scored:.2f}", f"{scored - judged:+.2f}", *numbers(found[name])[:2]]
            lines.append([name, str(found[name].n_docs), *cells])
    return table(lines)


def table(lines: list[list[str]]) -> str:
    head, *rest = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])


NOTES = """## Notes

`F1 at 3`: windows judged 3 or more against `edu_int_score >= 3`, which is a score of 2.5 or more; how scores are bent
was fitted on the leave-one-site-out predictions that are measured here (five numbers per language), so that as many
windows reach 3 as were judged so; ranks, Spearman and AUC do not depend on it. fastText has its own scale and its
`best F1` is the fair column. For comparison only, on other data, by another judge and not by site:
devngho/ko_edu_classifier_v2 publishes an F1 at 3 of .72."""


if __name__ == "__main__":
    main()
