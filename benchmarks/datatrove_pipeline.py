"""How fast datatrove curates: its own steps, in one process, from a sample file to its output. Prints JSON.

Runs in an environment of its own, because datatrove's Kiwi tokenizer needs kiwipiepy below 0.22 (no compiler needed):

    python -m venv ../venvs/datatrove
    ../venvs/datatrove/bin/pip install -r benchmarks/requirements-datatrove.txt
    ../venvs/datatrove/bin/python benchmarks/datatrove_pipeline.py --language en --input sample.parquet --out /tmp/dt

English: the steps of datatrove's examples/fineweb.py after extraction (language, Gopher repetition, Gopher quality,
C4 without its terminal punctuation rule, FineWeb quality) on spaCy words, as it ships. Korean: the filters of
fineweb-2-pipeline.py with configs/kor_Hang.yml, on Kiwi words, as it ships. Language is lid.176 in both, from a local
file. The word tokenizer is loaded before the clock starts; `load_s` says how long that took.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.lid import FT176LID
from datatrove.utils.logging import logger
from datatrove.utils.text import split_into_words
from datatrove.utils.typeshelper import Languages
from korean_oracle import LANGUAGE, make_filters

LID176 = Path(__file__).resolve().parent.parent / "classifiers/models/lid.176.ftz"
WORDS_OF = {"en": Languages.english, "ko": LANGUAGE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", choices=["en", "ko"], required=True)
    parser.add_argument("--input", type=Path, required=True, help="Parquet with the columns `id` and `text`")
    parser.add_argument("--out", type=Path, required=True, help="folder for the kept documents")
    parser.add_argument("--lid-model", type=Path, default=LID176)
    args = parser.parse_args()
    logger.remove()
    load_s = warm_up(args.language)
    filters = make_steps(args.language, args.lid_model.resolve())
    result = {"language": args.language, "load_s": round(load_s, 2), **run(args.input.resolve(), args.out, filters)}
    json.dump(result, sys.stdout)
    print()


def make_steps(language: str, lid_model: Path) -> list[BaseFilter]:
    FT176LID.MODEL_URL = str(lid_model)
    language_filter = LanguageFilter([language])
    if language == "ko":
        return [language_filter, *make_filters().values()]
    return [
        language_filter,
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


def warm_up(language: str) -> float:
    """Load the word tokenizer, which datatrove keeps for the whole process; gives the seconds that it took."""
    start = time.perf_counter()
    split_into_words("책을 읽었다." if language == "ko" else "I read it.", WORDS_OF[language])
    return time.perf_counter() - start


def run(path: Path, out: Path, filters: list[BaseFilter]) -> dict[str, float | int]:
    texts = pq.read_table(path, columns=["text"])["text"]
    size_mb = sum(len(text.encode()) for text in texts.to_pylist()) / 1e6
    steps: list[PipelineStep] = [
        ParquetReader(str(path.parent), glob_pattern=path.name),
        *filters,
        ParquetWriter(str(out), compression="zstd"),
    ]
    with tempfile.TemporaryDirectory() as logs:
        executor = LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=logs)
        wall, cpu = time.perf_counter(), time.process_time()
        executor.run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n_kept = sum(pq.read_metadata(file).num_rows for file in out.rglob("*.parquet"))
    speeds = {"mb_per_s": round(size_mb / wall, 4), "mb_per_cpu_s": round(size_mb / cpu, 4)}
    return {"n_docs": len(texts), "n_kept": n_kept, "mb": round(size_mb, 3), "wall_s": round(wall, 2), **speeds}


if __name__ == "__main__":
    main()
