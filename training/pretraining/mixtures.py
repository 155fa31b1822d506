"""The mixtures of continued pre-training: opened, and held against the model, before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.mixture.record import TokenizerRecord
from curation.tokens.files import read_tokenizer_file
from curation.tokens.tokenizer import Tokenizer, load_tokenizer, make_tokenizer
from manifests import schema_mixture
from manifests.errors import RequestError
from manifests.schema_training_stages import Cpt, MixtureUse, Replay
from manifests.store import resolve
from training.flops import read_config
from training.pretraining.order import I32, I64, Supply
from training.token_dataset import TokenDataset


@dataclass(frozen=True)
class Opened:
    """A mixture, or a stage of one, that is trained on."""

    field: str
    """Where the manifest names it: `mixture[0]`, `replay`."""
    use: MixtureUse | Replay
    dataset: TokenDataset
    supply: Supply

    @property
    def label(self) -> str:
        """What it is called in tables."""
        name = f"{self.use.path}: {self.use.stage}" if self.use.stage else self.use.path
        return f"{name} (replay)" if isinstance(self.use, Replay) else name


def open_mixtures(stage: Cpt, base: str, model: str) -> list[Opened]:
    """The mixtures of a stage in their order, the replayed one last.

    Args:
        stage: of the manifest.
        base: where relative paths start.
        model: folder of the model that is trained on them.

    Raises:
        RequestError: a mixture is missing, not complete or empty, has sequences of another length than the others, or
            longer than the model's context, or its ids are not those of the model's tokenizer.
    """
    uses: dict[str, MixtureUse | Replay] = {f"mixture[{number}]": use for number, use in enumerate(stage.mixture)}
    if stage.replay is not None:
        uses["replay"] = stage.replay
    opened = [_open(f"{stage.name}: {field}", use, base) for field, use in uses.items()]
    length = opened[0].dataset.sequence_length
    for one in opened:
        if one.dataset.sequence_length != length:
            raise RequestError(
                f"{one.field}: sequences have {one.dataset.sequence_length:,} tokens, those of {opened[0].field} "
                f"{length:,}; mix one of them again, or make two stages of them"
            )
    config = read_config(Path(model))
    _check_context(stage, config.get("text_config", config), length, model)
    for one in opened:
        _check_tokenizer(one, base, model, config.get("text_config", config))
    return opened


def _open(field: str, use: MixtureUse | Replay, base: str) -> Opened:
    path = resolve(use.path, base)
    try:
        dataset = TokenDataset(path, stage=use.stage, mask_boundaries=True)
    except RequestError as error:
        raise RequestError(f"{field}: {error}") from error
    edges = tuple(use.balance_lengths or ())
    n_tokens, longest = _lengths(dataset, bool(edges))
    if not n_tokens.any():
        raise RequestError(f"{field}: {path}: holds no tokens; mix again from sources that have some")
    tokens = use.tokens if isinstance(use, MixtureUse) else None
    return Opened(field, use, dataset, Supply(n_tokens, longest, tokens, edges, dataset.files.rows_per_group))


def _lengths(dataset: TokenDataset, with_documents: bool) -> tuple[I32, I32 | None]:
    """Tokens of each sequence, and of its longest document, or of what lies of it in the sequence."""
    names = ["n_tokens", "document_starts"] if with_documents else ["n_tokens"]
    counts, longest = list[I32](), list[I32]()
    for _, table in dataset.files.columns(names):
        n_tokens = table.column("n_tokens").to_numpy().astype(np.int32)
        counts.append(n_tokens)
        if with_documents:
            longest.append(_longest(*_spans(table, n_tokens), len(n_tokens)))
    own = slice(dataset.first, dataset.first + len(dataset))
    return np.concatenate(counts)[own], np.concatenate(longest)[own] if with_documents else None


def _spans(table: pa.Table, n_tokens: I32) -> tuple[I64, I64]:
    """Tokens of each span of some sequences, and the row that it is of."""
    starts = table.column("document_starts").combine_chunks()
    rows = np.repeat(np.arange(len(n_tokens)), np.asarray(starts.value_lengths()))
    flat = np.asarray(starts.flatten()).astype(np.int64)
    ends = np.append(flat[1:], 0)
    last = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    return np.where(last, n_tokens[rows], ends[: len(rows)]) - flat, rows


def _longest(lengths: I64, rows: I64, n_rows: int) -> I32:
    found = np.zeros(n_rows, np.int32)
    np.maximum.at(found, rows, lengths.astype(np.int32))
    return found


def tokens_by_category(one: Opened, drawn: I64) -> dict[str, int]:
    """Tokens of each category in the sequences that are drawn; they add up to all of them.

    Args:
        one: the mixture.
        drawn: how often each of its sequences is.
    """
    record, of_source = one.dataset.record, dict[str, int]()
    if len(set(drawn.tolist())) == 1:  # all of it: the mixture's record has counted
        stages = [stage for stage in record.stages if one.use.stage in (None, stage.name)]
        for stage in stages:
            for source, n_tokens in stage.taken.items():
                of_source[source] = of_source.get(source, 0) + n_tokens * int(drawn[0])
    else:
        of_source = _counted(one.dataset, drawn)
    categories = {source.name: source.category for source in record.sources}
    found = dict[str, int]()
    for source, n_tokens in of_source.items():
        category = categories.get(source, source)
        found[category] = found.get(category, 0) + n_tokens
    return {category: n_tokens for category, n_tokens in found.items() if n_tokens}


def _counted(dataset: TokenDataset, drawn: I64) -> dict[str, int]:
    """Tokens of each source, counted span by span."""
    times = np.zeros(dataset.files.n_sequences, np.int64)
    times[dataset.first : dataset.first + len(dataset)] = drawn
    found = dict[str, int]()
    for first, table in dataset.files.columns(["n_tokens", "document_starts", "source_of_span"]):
        n_tokens = table.column("n_tokens").to_numpy()
        here = times[first : first + len(n_tokens)]
        if not here.any():
            continue
        lengths, rows = _spans(table, n_tokens)
        spans = table.column("source_of_span").combine_chunks().flatten().cast(pa.string()).dictionary_encode()
        names, codes = spans.dictionary.to_pylist(), np.asarray(spans.indices)
        sums = np.bincount(codes, lengths * here[rows], minlength=len(names))
        for name, n in zip(names, sums.tolist(), strict=True):
            found[name] = found.get(name, 0) + int(n)
    return found


def _check_context(stage: Cpt, config: Mapping[str, Any], length: int, model: str) -> None:
    own = stage.context.length if stage.context else config.get("max_position_embeddings")
    if own is not None and length > own:
        whose = "context.length" if stage.context else f"the context of {model}"
        raise RequestError(
            f"{stage.name}: mixture: sequences have {length:,} tokens, more than the {own:,} of {whose}; mix shorter "
            "ones, or name a `context` of that length"
        )


def _check_tokenizer(one: Opened, base: str, model: str, config: Mapping[str, Any]) -> None:
    """That ids mean to the model what they meant to the mixture."""
    made = one.dataset.record.tokenizer
    settings = schema_mixture.Tokenizer.model_validate(one.dataset.record.manifest["tokenizer"])
    if (difference := _difference(made, settings, one.dataset.record.manifest_base, model)) is not None:
        raise RequestError(
            f"{one.field}: its tokenizer is not that of the model {model}: {difference}. Mix with "
            f"`tokenizer: {model}`, or give the model the mixture's: "
            f"`onggi tokenizer resize {model} {settings.path} -o MODEL`"
        )
    n_ids = config.get("vocab_size")
    if n_ids is not None and made.vocab_size > n_ids:
        raise RequestError(
            f"{one.field}: its tokenizer has {made.vocab_size:,} ids, the model {model} embeddings for {n_ids:,}; "
            f"give it more: `onggi tokenizer resize {model} {settings.path} -o MODEL`"
        )


def _difference(made: TokenizerRecord, settings: schema_mixture.Tokenizer, base: str, model: str) -> str | None:
    """What tells two tokenizers apart: their digest, or else what stands for which id; None for nothing."""
    file = read_tokenizer_file(Path(model), None)
    try:
        own = make_tokenizer(file, "library", settings.bos, settings.eod)
    except RequestError as error:
        return str(error)
    if own.digest == made.digest:
        return None
    try:
        mixed = load_tokenizer(settings, base, "library")
    except RequestError as error:
        return f"their files differ, and that of the mixture cannot be read to compare their tokens: {error}"
    if mixed.digest != made.digest:
        return f"{mixed.file.path} has changed since the mixture was made, so their tokens cannot be compared"
    return _differing_token(own, mixed)


def _differing_token(own: Tokenizer, mixed: Tokenizer) -> str | None:
    model_ids, mixture_ids = own.vocabulary(), mixed.vocabulary()
    for token, id_ in mixture_ids.items():
        if model_ids.get(token) != id_:
            return f"{token!r} has the id {id_} in the mixture, and {model_ids.get(token, 'none')} in the model"
    return None
