"""What `benchmarks/mix.py` compares `onggi mix` with: one peer, in this process, over Parquet files.

    python benchmarks/mix_peers.py NAME TOKENIZER_JSON OUTPUT FILE...

`gigatoken-files` and `gigatoken-arrow` only compute ids; the former reads the files itself, the latter gets Arrow's
batches. `tokenizers` is the Hugging Face library, given the same batches. `datatrove` is its `DocumentTokenizer` and
its `DocumentTokenizerMerger`, which shuffle and write `.ds`.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROWS_AT_ONCE = 2000


def main() -> None:
    name, tokenizer, output, *files = sys.argv[1:]
    PEERS[name](tokenizer, output, files)


def batches(files: Sequence[str]) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=["text"], use_threads=False):
            yield batch.column(0).to_pylist()


def gigatoken_tokenizer(path: str) -> Any:
    import gigatoken

    return gigatoken.Tokenizer.from_json(Path(path).read_bytes())


def gigatoken_files(path: str, output: str, files: Sequence[str]) -> None:
    import gigatoken

    gigatoken_tokenizer(path).encode_files(gigatoken.ParquetFileSource(files, column="text"), parallel=False)


def gigatoken_arrow(path: str, output: str, files: Sequence[str]) -> None:
    tokenizer = gigatoken_tokenizer(path)
    for texts in batches(files):
        tokenizer.encode_batch(texts, parallel=False)


def tokenizers(path: str, output: str, files: Sequence[str]) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    for texts in batches(files):
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            encoding.ids  # noqa: B018  # a copy, which whoever wants ids has to make


def datatrove(path: str, output: str, files: Sequence[str]) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer, DocumentTokenizerMerger
    from datatrove.utils.logging import logger

    logger.remove()
    folder, paths = str(Path(files[0]).parent), f"{output}/paths.txt"
    Path(output).mkdir(parents=True)
    Path(paths).write_text("\n".join(os.path.relpath(file, folder) for file in files))
    reader = ParquetReader(folder, paths_file=paths, batch_size=ROWS_AT_ONCE)
    steps = [reader, DocumentTokenizer(f"{output}/tokens", path, eos_token=end_of_text(path), seed=1)]
    LocalPipelineExecutor(steps, logging_dir=f"{output}/logs1").run()
    merge = DocumentTokenizerMerger(f"{output}/tokens", f"{output}/merged", "mix", seed=1, progress=False)
    LocalPipelineExecutor([merge], logging_dir=f"{output}/logs2").run()


def end_of_text(path: str) -> str:
    from curation.tokens.ends import DOCUMENT_ENDS
    from curation.tokens.files import read_tokenizer_file

    special = read_tokenizer_file(Path(path), None).specials
    return next(token for token in DOCUMENT_ENDS if token in special)


PEERS = {
    "gigatoken-files": gigatoken_files,
    "gigatoken-arrow": gigatoken_arrow,
    "tokenizers": tokenizers,
    "datatrove": datatrove,
}

if __name__ == "__main__":
    main()
