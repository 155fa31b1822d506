"""How fast `onggi score` is on one core, beside fastText's own `predict` and datatrove's fastText filter.

    python benchmarks/score.py [--model models/edu] [--mb 300] [--runs 3] [--write]

All score the same documents of `data/text`, Korean and English, with the same model, in the same run, in turn, bound
to one core: the library in a Python loop (line breaks as spaces, all labels), `FastTextClassifierFilter` as it
annotates documents (all labels into the metadata), `Scorer.score` in this process, and `onggi score` as a process of
its own from start to end, which reads Parquet and writes it with two more columns. Speeds are of the best run;
processor time is what others on a shared machine change least. Without --model one is trained here on the judged
windows of `data/edu`: dim 16, word pairs, all else as fastText has it.

The `edu` model that ships is of another kind, which the peers cannot run; its speed stands beside theirs. Of a model
per language (the card `languages`), as it is too, the peers get the right model of each document for nothing, while
Onggi identifies languages, unless --known-language gives it the column too.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sample_text import SEED, markdown, publish, texts_of

from classifiers.cards import FastTextCard, LanguagesCard, read_card, write_card
from classifiers.fasttext_train import FastTextSettings, train_fasttext
from classifiers.scorer import SHIPPED, Scorer

ROOT = Path(__file__).resolve().parent.parent
ROWS_AT_ONCE = 4096
"""Texts that are given to the scorer at once; the command does the same."""
FILE_MB = 32
"""Text in a file of the command's input."""
SETTINGS = FastTextSettings(dim=16, word_ngrams=2)


@dataclass(frozen=True)
class Corpus:
    """Documents and their languages by the folder that they come from."""

    texts: pa.LargeStringArray
    languages: pa.Array

    @property
    def mb(self) -> float:
        """Megabytes of text."""
        return pc.sum(pc.binary_length(self.texts)).as_py() / 1e6


@dataclass(frozen=True)
class Time:
    """Seconds of one run."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--model", type=Path, help="folder of a classifier; without it one is trained")
    parser.add_argument("--mb", type=float, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--known-language", action="store_true", help="give the scorer the column `language`")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    corpus = read_corpus(options.data, options.mb)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or train(options.data, Path(folder) / "edu")
        report = measure(model, corpus, Path(folder), options.runs, options.known_language)
    if options.write:
        publish("score", report)
    else:
        print(report)


def read_corpus(data: Path, size_mb: float) -> Corpus:
    """Whole documents of both languages, shuffled by seed; all of them again as often as it takes."""
    documents = [(text, language) for language in ("ko", "en") for _, text in texts_of(data, language)]
    random.Random(SEED).shuffle(documents)
    chosen, n_bytes = [], 0.0
    while n_bytes < size_mb * 1e6:
        chosen.append(documents[len(chosen) % len(documents)])
        n_bytes += len(chosen[-1][0].encode())
    texts, languages = zip(*chosen, strict=True)
    return Corpus(pa.array(texts, pa.large_string()), pa.array(languages, pa.string()))


def train(data: Path, folder: Path) -> Path:
    rows = pq.read_table(data / "edu/judged.parquet").filter(pc.field("train"))
    labels = [str(round(score)) for score in rows["score"].to_pylist()]
    texts = rows["text"].combine_chunks().cast(pa.large_string())
    train_fasttext(texts, labels, folder / "model.bin", SETTINGS)
    write_card(folder, FastTextCard(model="model.bin", values={label: float(label) for label in set(labels)}))
    return folder


def measure(model: Path, corpus: Corpus, folder: Path, n_runs: int, known_language: bool) -> str:
    inputs = write_inputs(corpus, folder / "in", known_language)
    scorer, peers = Scorer(model), Peers(model, corpus, folder / "cache")
    shipped = Scorer(SHIPPED / "edu")
    for one in (scorer, shipped):
        one.score(corpus.texts.slice(0, 100))  # compiles
    languages = corpus.languages if known_language else None
    contenders: dict[str, Callable[[], Time]] = {
        "fastText `predict`, Python loop": lambda: timed(peers.library),
        "datatrove `FastTextClassifierFilter`": lambda: timed(peers.datatrove),
        "`Scorer.score`": lambda: timed(lambda: score(scorer, corpus.texts, languages)),
        "`onggi score`, start to end": lambda: run_command(model, inputs, folder),
        "`Scorer.score`, shipped `edu`": lambda: timed(lambda: score(shipped, corpus.texts, languages)),
        "`onggi score edu`, start to end": lambda: run_command(SHIPPED / "edu", inputs, folder),
    }
    times: dict[str, list[Time]] = {name: [] for name in contenders}
    for _ in range(n_runs):  # in turn, since the speed of a shared machine drifts
        for name, contender in contenders.items():
            times[name].append(contender())
            print(f"{name}: {times[name][-1]}", file=sys.stderr, flush=True)
    return "\n".join(
        [
            "# Scores of a fastText classifier, one core\n",
            f"Made by `benchmarks/score.py`: {len(corpus.texts):,} documents, {corpus.mb:.0f} MB of text, "
            f"{peers.described}; best of {n_runs}. Other work on the machine shows in wall time.\n",
            table(times, corpus.mb),
            f"Largest difference between the library's scores and Onggi's: {peers.difference(scorer):.0e}.\n",
            "Where the time of `onggi score` goes, seconds of processor time:\n",
            parts_table(model, inputs, folder, min(time.processor for time in times["`Scorer.score`"])),
        ]
    )


def table(times: dict[str, list[Time]], size_mb: float) -> str:
    best = {name: (min(t.wall for t in runs), min(t.processor for t in runs)) for name, runs in times.items()}
    library, filter_ = list(best.values())[:2]
    rows = [
        [
            name,
            f"{size_mb / wall:.1f}",
            f"{size_mb / processor:.1f}",
            f"{library[1] / processor:.2f}",
            f"{filter_[1] / processor:.2f}",
        ]
        for name, (wall, processor) in best.items()
    ]
    header = ["", "MB/s of wall time", "MB/s of processor time", "times fastText", "times datatrove"]
    return markdown(header, rows)


def timed(work: Callable[[], object]) -> Time:
    start = time.perf_counter(), time.process_time()
    work()
    return Time(time.perf_counter() - start[0], time.process_time() - start[1])


# Onggi


def score(scorer: Scorer, texts: pa.LargeStringArray, languages: pa.Array | None) -> list[pa.Array]:
    found = []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        known = languages.slice(start, ROWS_AT_ONCE) if languages is not None else None
        found.append(scorer.score(texts.slice(start, ROWS_AT_ONCE), known).score)
    return found


def write_inputs(corpus: Corpus, folder: Path, known_language: bool) -> Path:
    """The documents as Parquet files of FILE_MB, compressed as corpora are."""
    folder.mkdir()
    columns = {"text": corpus.texts} | ({"language": corpus.languages} if known_language else {})
    rows = pa.table(columns)
    n_files = max(round(corpus.mb / FILE_MB), 1)
    per_file = -(-len(rows) // n_files)
    for number in range(n_files):
        part = rows.slice(number * per_file, per_file)
        pq.write_table(part, folder / f"{number:03d}.parquet", compression="zstd", row_group_size=ROWS_AT_ONCE)
    return folder


def run_command(model: Path, inputs: Path, folder: Path) -> Time:
    """`onggi score` as a process, which inherits the one core; its output is removed again."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        source = str(inputs / "*.parquet")
        command = [sys.executable, "-m", "onggi", "score", f"edu={model.resolve()}", source, output]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Time(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def parts_table(model: Path, inputs: Path, folder: Path, scoring_s: float) -> str:
    """Of what the command does: start and model (on one document), Parquet in and out, scores."""
    one = folder / "one"
    one.mkdir()
    pq.write_table(pq.read_table(next(inputs.glob("*.parquet"))).slice(0, 1), one / "one.parquet")
    starting = min(run_command(model, one, folder).processor for _ in range(2))
    parquet = min(timed(lambda: copy_parquet(inputs, folder / "copy")).processor for _ in range(2))
    return markdown(
        ["start, model, one document", "Parquet read and written", "scores"],
        [[f"{starting:.2f}", f"{parquet:.2f}", f"{scoring_s:.2f}"]],
    )


def copy_parquet(inputs: Path, output: Path) -> None:
    """Read and write the files as the command does, without scores."""
    output.mkdir(exist_ok=True)
    for path in sorted(inputs.glob("*.parquet")):
        source = pq.ParquetFile(path)
        with pq.ParquetWriter(output / path.name, source.schema_arrow, compression="zstd") as writer:
            for batch in source.iter_batches(batch_size=ROWS_AT_ONCE):
                writer.write_batch(batch)


# the peers


class Peers:
    """fastText and datatrove with the same model, or with the model of each document's language."""

    def __init__(self, model: Path, corpus: Corpus, cache: Path) -> None:
        os.environ["HF_ASSETS_CACHE"] = str(cache)  # datatrove finds a model by its path, though it was trained anew
        from datatrove.data import Document
        from datatrove.pipeline.filters import FastTextClassifierFilter
        from fasttext.FastText import _FastText

        self._files = fasttext_files(model)
        texts, languages = corpus.texts.to_pylist(), corpus.languages.to_pylist()
        which = ["" if "" in self._files else language for language in languages]
        self._texts = [
            (text, language) for text, language in zip(texts, which, strict=True) if language in self._files
        ]
        self._arrow = pa.array([text for text, _ in self._texts], pa.large_string())
        self._languages = pa.array([language for _, language in self._texts], pa.string())
        self._models = {language: _FastText(str(path)) for language, (path, _) in self._files.items()}
        self._filters = {  # "" for line breaks would join words; without labels datatrove 0.10.1 fails
            language: FastTextClassifierFilter(str(path), keep_labels=(label, 0.0), newline_replacement=" ")
            for language, (path, card) in self._files.items()
            for label in list(card.values or [str(card.positive)])[:1]
        }
        for language, filter_ in self._filters.items():
            filter_.filter(Document(text="loads its model", id=language))

    @property
    def described(self) -> str:
        """The files that it reads."""
        names = [f"{path.name} of {path.stat().st_size / 1e6:.1f} MB" for path, _ in self._files.values()]
        return f"model{'s' if len(names) > 1 else ''} {', '.join(names)}"

    def library(self) -> None:
        """Predict with the library."""
        for text, language in self._texts:
            self._models[language].predict(text.replace("\n", " "), k=-1)

    def datatrove(self) -> None:
        """Annotate documents, all of which are kept."""
        from datatrove.data import Document

        for text, language in self._texts:
            self._filters[language].filter(Document(text=text, id=""))

    def difference(self, scorer: Scorer, n_docs: int = 2000) -> float:
        """Largest difference of the score, over the first documents that have one."""
        ours = scorer.score(self._arrow.slice(0, n_docs), self._languages.slice(0, n_docs)).score.to_pylist()
        theirs = [self._score(text, language) for text, language in self._texts[:n_docs]]
        return max(abs(one - other) for one, other in zip(ours, theirs, strict=True) if one is not None)

    def _score(self, text: str, language: str) -> float:
        labels, probabilities = self._models[language].predict(plain(text), k=-1)
        card = self._files[language][1]
        values = card.values or {str(card.positive): 1.0}
        names: Sequence[str] = [label.removeprefix("__label__") for label in labels]
        return float(
            sum(values.get(name, 0.0) * p for name, p in zip(names, np.minimum(probabilities, 1), strict=True))
        )


def plain(text: str) -> str:
    """The text with all controls as spaces, which is how Onggi reads it."""
    return "".join(" " if ord(letter) < 32 else letter for letter in text)


def fasttext_files(model: Path) -> dict[str, tuple[Path, FastTextCard]]:
    """The fastText file of each language, "" for all, and its card."""
    match read_card(model):
        case FastTextCard() as card:
            return {"": (model / card.model, card)}
        case LanguagesCard() as card:
            return {
                language: found
                for language, name in card.models.items()
                for found in fasttext_files(model / name).values()
            }
    raise SystemExit(f"{model}: no fastText model, so the peers cannot be given the same")


if __name__ == "__main__":
    main()
