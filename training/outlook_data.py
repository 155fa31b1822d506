"""How many rows and tokens a stage will read, cheaply: footers of Parquet, lines of JSONL, records of mixtures.

Tokens of rows are estimated by the first of them. What a predicate leaves out is not known before the rows are read,
so figures of such data are the most that it can be.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from classifiers.rows import PARQUET, decoded, input_files, json_rows
from curation.mixture.record import MixtureRecord, read_mixture
from manifests.errors import RequestError, RunError
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast, Mntp
from manifests.schema_training_preferences import PairData
from manifests.schema_training_stages import ChatData, Cpt, MixtureUse, Replay
from manifests.store import Folder, resolve
from synth.outlook import n_tokens as tokens_by_characters
from training.chat.rows import data_files, source_of
from training.inputs import LOGPROBS

SAMPLE_ROWS = 200
"""Of each entry: rows by which tokens are estimated."""
COUNTED_BYTES = 256 << 20
"""Lines are counted up to here, and estimated by the share of the file beyond."""
CHUNK_BYTES = 1 << 20
TEMPLATE_TOKENS = 5
"""That a chat template puts around a message: two special tokens, the role, line breaks."""
TEXT_FIELDS = ("messages", "prompt", "completion", "chosen", "rejected", "tools", "system")
NOT_TEXT = ("role", "tool_call_id", "id", "type")

Tokens = Callable[[str], int]


@dataclass(frozen=True)
class Reads:
    """What a stage will read in one epoch."""

    n_rows: int
    """Sequences of a mixture, conversations, pairs or prompts."""
    n_tokens: int
    is_exact: bool = False


def tokens_of(model: Path) -> Tokens:
    """What counts the tokens of a text: the model's tokenizer where it can be loaded, else an estimate by letters."""
    path = model / "tokenizer.json"
    try:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
    except Exception:  # no package, no file, or one that it cannot read: the stage's own process says which
        return tokens_by_characters
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


# Mixtures


def mixture_reads(stage: Cpt | Distill | Mntp, base: str, vocab_size: int | None) -> Reads:
    """Sequences and tokens of a stage on mixtures, by their records.

    Raises:
        RequestError: there is no such mixture or stage of one, or its ids do not fit the model.
    """
    own = [use_reads(use, base, vocab_size, f"mixture[{k}]") for k, use in enumerate(stage.mixture)]
    n_rows, n_tokens = sum(of.n_rows for of in own), sum(of.n_tokens for of in own)
    if isinstance(stage, Cpt) and stage.replay:
        again = use_reads(stage.replay, base, vocab_size, "replay")
        replayed = n_tokens * stage.replay.share / (1 - stage.replay.share)
        n_rows += math.ceil(replayed * again.n_rows / max(again.n_tokens, 1))
        n_tokens += round(replayed)
    return Reads(n_rows, n_tokens, is_exact=True)


def use_reads(use: MixtureUse | Replay, base: str, vocab_size: int | None, at: str) -> Reads:
    """Sequences and tokens of a mixture or of a stage of one, by its record.

    Args:
        use: what is read of it.
        base: where relative paths start.
        vocab_size: of the model; None where it is not known.
        at: the field that names it.

    Raises:
        RequestError: there is no such mixture or stage of one, it holds no tokens, or its ids do not fit the model.
    """
    try:
        record = read_mixture(Folder(resolve(use.path, base)))
    except RequestError as error:
        raise RequestError(f"{at}.path: {error}") from None
    _check_ids(record, vocab_size, use.path, at)
    stages = [stage for stage in record.stages if use.stage in (None, stage.name)]
    if not stages:
        there = ", ".join(stage.name for stage in record.stages)
        raise RequestError(f"{at}.stage: {use.path} has no stage {use.stage!r}; valid: {there}")
    n_rows, n_tokens = sum(stage.n_sequences for stage in stages), sum(stage.n_tokens for stage in stages)
    if not n_tokens:
        raise RequestError(f"{at}: {use.path} holds no tokens; mix again with documents in it")
    wanted = (use.tokens if isinstance(use, MixtureUse) else None) or n_tokens
    return Reads(math.ceil(n_rows * wanted / n_tokens), wanted)


def _check_ids(record: MixtureRecord, vocab_size: int | None, path: str, at: str) -> None:
    if vocab_size is not None and record.tokenizer.vocab_size > vocab_size:
        raise RequestError(
            f"{at}: {path} was made with a tokenizer of {record.tokenizer.vocab_size:,} tokens, and the model has "
            f"embeddings for {vocab_size:,}: mix with the model's tokenizer, or extend the model "
            "(`onggi tokenizer resize`)"
        )


# Rows


def logprob_reads(path: str, base: str, max_length: int) -> Reads:
    """Answers with stored probabilities, and their tokens with those of their prompts.

    Raises:
        RequestError: there is no such table, or it cannot be read.
    """
    n_rows = n_tokens = 0
    try:
        for file in input_files(resolve(f"{path}/{LOGPROBS}", base)):
            with fsspec.open(file, "rb") as opened:
                for batch in _parquet(opened, file).iter_batches(columns=["prompt_ids", "output_ids"]):
                    lengths = pc.add(*(pc.list_value_length(column) for column in batch.columns))
                    n_rows += len(batch)
                    n_tokens += pc.sum(pc.min_element_wise(lengths, max_length)).as_py() or 0
    except (RequestError, pa.ArrowException) as error:
        raise RequestError(f"logprobs: {error}") from None
    return Reads(n_rows, n_tokens, is_exact=True)


def row_reads(
    data: Sequence[ChatData | PairData], base: str, table: str, tokens: Tokens, max_length: int
) -> tuple[Reads, list[str]]:
    """Rows of all entries of a stage's data and their tokens, and what is wrong with entries.

    Args:
        data: entries of the manifest.
        base: the manifest's folder.
        table: of a run of `onggi synth`: `messages` or `preference`.
        tokens: counts those of a text.
        max_length: longer rows count as this long; a pair is two.
    """
    problems, found = list[str](), list[Reads]()
    for number, entry in enumerate(data):
        try:
            found.append(_of_entry(entry, base, table, tokens, max_length, f"data[{number}]"))
        except (RequestError, RunError) as error:
            problems.append(str(error))
    n_rows, n_tokens = sum(of.n_rows for of in found), sum(of.n_tokens for of in found)
    if not n_rows and not problems:
        problems.append("data: no row is there")
    return Reads(n_rows, n_tokens), problems


def prompt_reads(path: str, base: str, at: str, tokens: Tokens, limit: int | None = None) -> Reads:
    """Prompts of a file, and their tokens.

    Raises:
        RequestError: there is no such file, or no row in it.
    """
    files = data_files(source_of(path, base, at))
    n_rows = count_rows(files)
    if not n_rows:
        raise RequestError(f"{at}: {path} holds no row")
    n_rows = min(n_rows, limit or n_rows)
    lengths = [tokens(_prompt_text(row)) + TEMPLATE_TOKENS for row in islice(first_rows(files), SAMPLE_ROWS)]
    return Reads(n_rows, round(n_rows * sum(lengths) / max(len(lengths), 1)))


def text_reads(stage: Contrast, base: str, tokens: Tokens) -> Reads:
    """Questions of a contrastive stage, and the tokens of those and of their texts.

    Raises:
        RequestError: there is no such file, or no row in it.
    """
    n_rows = n_tokens = 0
    for number, entry in enumerate(stage.data):
        files = data_files(source_of(entry.path, base, f"data[{number}]"))
        n = min(count_rows(files), entry.limit or 2**62)
        columns = [name for name in (entry.query, entry.positive, entry.negative) if name]
        lengths = [
            sum(min(tokens(text), stage.max_length) for name in columns for text in _texts(row.get(name)))
            for row in islice(first_rows(files), SAMPLE_ROWS)
        ]
        n_rows, n_tokens = n_rows + n, n_tokens + round(n * sum(lengths) / max(len(lengths), 1))
    if not n_rows:
        raise RequestError("data: no row is there")
    kept = 1 - stage.held_out
    return Reads(round(n_rows * kept), round(n_tokens * kept))


def _of_entry(entry: ChatData | PairData, base: str, table: str, tokens: Tokens, max_length: int, at: str) -> Reads:
    files = data_files(source_of(entry.path, base, at, table=table))
    n_rows = min(count_rows(files), entry.limit or 2**62)
    lengths = [_length(row, tokens, max_length) for row in islice(first_rows(files), SAMPLE_ROWS)]
    return Reads(n_rows, round(n_rows * sum(lengths) / max(len(lengths), 1)))


def _length(row: Mapping[str, Any], tokens: Tokens, max_length: int) -> int:
    """Tokens of a conversation; of a pair those of both answers, each after the prompt."""

    def count(*values: Any) -> int:
        return sum(tokens(text_of(value)) + TEMPLATE_TOKENS * n_messages(value) for value in values)

    if row.get("chosen") is not None:
        sides = (count(row.get("prompt"), row[side]) for side in ("chosen", "rejected") if row.get(side) is not None)
        return sum(min(length, max_length) for length in sides)
    if row.get("messages") is not None:
        return min(count(row["messages"], row.get("tools")), max_length)
    return min(count(row.get("prompt"), row.get("completion")), max_length)


def n_messages(value: Any) -> int:
    """Of a conversation; a text is one."""
    if isinstance(value, str):
        return 1
    return len(value) if isinstance(value, list) else 0


def _prompt_text(row: Mapping[str, Any]) -> str:
    """What is asked: `prompt`, or the messages before the last answer."""
    if row.get("prompt") is not None:
        return text_of(row["prompt"])
    messages = row.get("messages") or []
    return text_of(messages[:-1] if messages and messages[-1].get("role") == "assistant" else messages)


def text_of(value: Any) -> str:
    """All texts of a conversation, in their order."""
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        fields = [name for name in TEXT_FIELDS if name in value] or [name for name in value if name not in NOT_TEXT]
        for name in fields:
            yield from _texts(value[name])
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for item in value:
            yield from _texts(item)


def first_rows(files: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Rows of files, from the first on.

    Raises:
        RequestError: a file is no Parquet that can be read.
        RunError: a line is no JSON object.
    """
    for path in files:
        with fsspec.open(path, "rb") as file:
            is_parquet = file.read(4) == PARQUET
            file.seek(0)
            if not is_parquet:
                for _, _, rows in json_rows(file, path, CHUNK_BYTES):
                    yield from rows
                continue
            for batch in _parquet(file, path).iter_batches(batch_size=SAMPLE_ROWS):
                yield from batch.to_pylist()


def count_rows(files: Iterable[str]) -> int:
    """Rows of files: by the footers of Parquet, and the lines of JSONL, which of large files are estimated.

    Raises:
        RequestError: a file is no Parquet that can be read.
    """
    return sum(_count(path) for path in files)


def _count(path: str) -> int:
    with fsspec.open(path, "rb") as file:
        is_parquet = file.read(4) == PARQUET
        file.seek(0)
        if is_parquet:
            return int(_parquet(file, path).metadata.num_rows)
        size_bytes = int(file.seek(0, io.SEEK_END))
        file.seek(0)
        n_rows = n_bytes = 0
        with decoded(file) as lines:
            for line in lines:
                n_rows += bool(line.strip())
                n_bytes += len(line)
                if n_bytes > COUNTED_BYTES:
                    return round(n_rows * size_bytes / max(int(file.tell()), 1))
    return n_rows


def _parquet(file: Any, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error
