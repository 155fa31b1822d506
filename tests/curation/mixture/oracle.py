"""An oracle of mixtures: what was written, read with PyArrow alone and compared with the documents themselves.

Documents are tokenised again with the tokenizer's own library, one by one. Nothing of the mixture's code is used.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from tests.curation.mixture.small import Document

Name = tuple[str, bytes, int]
"""A document: its source, its id, its copy."""


@dataclass(frozen=True)
class Span:
    """A stretch of a document in a sequence."""

    stage: str
    sequence: int
    name: Name
    offset: int
    ids: NDArray[np.uint32]


@dataclass
class Written:
    """A mixture as it lies on disk."""

    record: dict[str, Any]
    training: list[Span]
    validation: list[Span]
    ledger: list[dict[str, Any]]
    n_tokens: list[int]
    """Of each sequence of the training."""
    cross: list[bool]
    sources: dict[str, str] = field(default_factory=dict)


def read(output: Path) -> Written:
    """Everything that was written; checks what each row says of itself."""
    record = orjson.loads((output / "run.json").read_bytes())
    training, n_tokens, cross = _sequences(output / "tokens", record)
    validation, _, _ = _sequences(output / "validation", record)
    ledger = pq.read_table(output / "ledger").to_pylist()
    return Written(record, training, validation, ledger, n_tokens, cross)


def _sequences(folder: Path, record: Mapping[str, Any]) -> tuple[list[Span], list[int], list[bool]]:
    spans, all_tokens, cross = list[Span](), list[int](), list[bool]()
    length, pad_id = record["sequence_length"], record["tokenizer"]["pad_id"]
    for path in sorted(folder.glob("*.parquet")) if folder.exists() else []:
        table = pq.read_table(path)
        ids = np.array(table["input_ids"].combine_chunks().flatten()).reshape(-1, length)
        columns = {name: table[name].to_pylist() for name in table.column_names if name != "input_ids"}
        for row in range(table.num_rows):
            of = {name: values[row] for name, values in columns.items()}
            assert of["sequence"] == len(all_tokens)
            assert 0 < of["n_tokens"] <= length
            assert (ids[row, of["n_tokens"] :] == pad_id).all()
            bounds = [*of["document_starts"], of["n_tokens"]]
            assert bounds[0] == 0
            assert (np.diff(bounds) > 0).all()
            lists = [of[f"document_{name}"] for name in ("ids", "copies", "offsets")]
            for start, end, source, *rest in zip(bounds, bounds[1:], of["source_of_span"], *lists, strict=False):
                name = (source, rest[0], rest[1])
                spans.append(Span(of["stage"], of["sequence"], name, rest[2], ids[row, start:end]))
            assert {len(bounds) - 1} == {len(of["source_of_span"]), *map(len, lists)}
            all_tokens.append(of["n_tokens"])
            cross.append(of["cross_document"])
    return spans, all_tokens, cross


def check(
    output: Path, tokenizer: Path, sources: Mapping[str, Sequence[Document]], bos_id: int | None = None
) -> Written:
    """Fail where what was written is not what the documents say; returns it.

    Args:
        output: folder of the mixture.
        tokenizer: folder of its byte-level tokenizer.
        sources: of each source the documents that may be used, those that are held out among them.
        bos_id: what begins each document, if anything does.
    """
    written = read(output)
    truth = _truth(tokenizer, sources, written.record, bos_id)
    for span in [*written.training, *written.validation]:
        expected = truth[span.name[:2]]
        assert span.ids.tolist() == expected[span.offset : span.offset + len(span.ids)]
    held = _check_validation(written, truth, sources)
    _check_passes(written, truth, sources, held)
    _check_texts(written, tokenizer, sources, held, 0 if bos_id is None else 1)
    _check_ledger(written)
    _check_stages(written)
    return written


def _id(source: str, document: Document) -> bytes:
    if document.id is not None:
        return bytes.fromhex(document.id)
    content = xxhash.xxh3_128_digest(document.text.encode())
    return xxhash.xxh3_128_digest(b"\0".join([source.encode(), document.key.encode(), content]))


def _library(tokenizer: Path) -> Any:
    from tokenizers import Tokenizer

    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    library.encode_special_tokens = True
    return library


def _truth(
    tokenizer: Path, sources: Mapping[str, Sequence[Document]], record: Mapping[str, Any], bos_id: int | None
) -> dict[tuple[str, bytes], list[int]]:
    """The tokens of each document, by source and id."""
    library, eod_id = _library(tokenizer), record["tokenizer"]["eod_id"]
    begin = [] if bos_id is None else [bos_id]
    return {
        (source, _id(source, document)): [
            *begin,
            *library.encode(document.text, add_special_tokens=False).ids,
            eod_id,
        ]
        for source, of in sources.items()
        for document in of
    }


def _check_validation(
    written: Written, truth: Mapping[tuple[str, bytes], list[int]], sources: Mapping[str, Sequence[Document]]
) -> set[str]:
    """Each document held out is there once and whole, and none of its texts is trained on; returns the texts."""
    texts = {(source, _id(source, document)): document.text for source, of in sources.items() for document in of}
    whole = defaultdict[Name, Counter[int]](Counter)
    for span in written.validation:
        assert span.stage == "validation"
        whole[span.name].update(range(span.offset, span.offset + len(span.ids)))
    for name, covered in whole.items():
        assert covered == Counter(range(len(truth[name[:2]])))
    held = {texts[name[:2]] for name in whole}
    assert not held & {texts[span.name[:2]] for span in written.training}
    category = {source["name"]: source["category"] for source in written.record["sources"]}
    counted = Counter((category[name[0]], texts[name[:2]]) for name in whole)
    assert not counted or max(counted.values()) == 1
    by_category = Counter[str]()
    for span in written.validation:
        by_category[category[span.name[0]]] += len(span.ids)
    assert {name: of["tokens"] for name, of in written.record["validation"].items() if of["tokens"]} == by_category
    return held


def _check_passes(
    written: Written,
    truth: Mapping[tuple[str, bytes], list[int]],
    sources: Mapping[str, Sequence[Document]],
    held: set[str],
) -> None:
    """Each source was gone through evenly: whole passes, and of the last one some documents."""
    taken = defaultdict[Name, Counter[int]](Counter)
    for span in written.training:
        taken[span.name].update(range(span.offset, span.offset + len(span.ids)))
    for source, of in sources.items():
        left = [document for document in of if document.text not in held]
        copies = Counter(_id(source, document) for document in left)
        times = defaultdict[bytes, list[int]](list)
        for document in left:
            times[_id(source, document)].append(document.times)
        n_epoch = sum(len(truth[source, _id(source, document)]) * document.times for document in left)
        n_taken = sum(sum(counts.values()) for name, counts in taken.items() if name[0] == source)
        [noted] = [noted for noted in written.record["sources"] if noted["name"] == source]
        assert (noted["n_tokens"], noted["taken_tokens"]) == (n_epoch, n_taken)
        if not n_epoch:
            continue
        n_whole, n_split = n_taken // n_epoch, 0
        for id, n_copies in copies.items():
            n_tokens = len(truth[source, id])
            for copy in range(n_copies):
                covered = taken.get((source, id, copy), Counter())
                counts = {covered[place] for place in range(n_tokens)}
                most = max(times[id])
                assert n_whole * min(times[id]) <= min(counts) <= max(counts) <= (n_whole + 1) * most
                assert set(covered) <= set(range(n_tokens))
                n_split += len(counts) > 1
        assert n_split <= 1, f"{source}: {n_split} documents are taken in part"
        unknown = {name for name in taken if name[0] == source and name[2] >= copies[name[1]]}
        assert not unknown


def _check_texts(
    written: Written, tokenizer: Path, sources: Mapping[str, Sequence[Document]], held: set[str], n_begin: int
) -> None:
    """Documents put together again from their spans are the texts, each as often as its last token is there."""
    library, eod_id = _library(tokenizer), written.record["tokenizer"]["eod_id"]
    pieces, ends = defaultdict[Name, dict[int, int]](dict), Counter[Name]()
    for span in written.training:
        pieces[span.name].update(enumerate(span.ids.tolist(), span.offset))
        ends[span.name] += int(span.ids[-1] == eod_id)
    texts = {(source, _id(source, document)): document.text for source, of in sources.items() for document in of}
    for name, tokens in pieces.items():
        if ends[name] and len(tokens) == max(tokens) + 1:
            ids = [tokens[place] for place in range(len(tokens))]
            assert library.decode(ids[n_begin:-1], skip_special_tokens=False) == texts[name[:2]]


def _check_ledger(written: Written) -> None:
    """The ledger says what the sequences hold."""
    spans, documents, tokens = Counter[Any](), Counter[Any](), Counter[Any]()
    for span in [*written.training, *written.validation]:
        of = (span.stage, span.name[0])
        spans[of] += 1
        documents[of] += span.offset == 0
        tokens[of] += len(span.ids)
    for name, counted in (("n_spans", spans), ("n_documents", documents), ("n_tokens", tokens)):
        sums = Counter[Any]()
        for row in written.ledger:
            sums[row["stage"], row["source"]] += row[name]
        assert sums == counted, name
    for span in [*written.training, *written.validation]:
        assert any(
            row["stage"] == span.stage
            and row["source"] == span.name[0]
            and row["id_from"] <= span.name[1] <= row["id_to"]
            and row["first_sequence"] <= span.sequence <= row["last_sequence"]
            for row in written.ledger
        )
    by_epoch = Counter[Any]()
    for row in written.ledger:
        if row["stage"] != "validation":
            by_epoch[row["source"], row["epoch"]] += row["n_tokens"]
    for noted in written.record["sources"]:
        epochs = sorted(epoch for source, epoch in by_epoch if source == noted["name"])
        assert epochs == list(range(len(epochs)))
        for epoch in epochs[:-1]:
            assert by_epoch[noted["name"], epoch] == noted["n_tokens"]


def _check_stages(written: Written) -> None:
    """Stages follow one another, end where they should, and hold of each source what was asked, within pieces."""
    length, first = written.record["sequence_length"], 0
    for stage in written.record["stages"]:
        assert stage["first_sequence"] == first
        first += stage["n_sequences"]
        n_tokens = written.n_tokens[stage["first_sequence"] : first]
        taken = Counter[str]()
        for span in written.training:
            if stage["first_sequence"] <= span.sequence < first:
                assert span.stage == stage["name"]
                taken[span.name[0]] += len(span.ids)
        assert sum(n_tokens) == stage["n_tokens"] == sum(taken.values())
        assert sum(n_tokens[:-1]) < stage["asked_tokens"] <= sum(n_tokens)
        assert stage["overshoot"] == stage["n_tokens"] - stage["asked_tokens"]
        assert {name: n for name, n in stage["taken"].items() if n} == taken
        for name, share in stage["shares"].items():
            assert share or not taken[name], f"{name} has no share of {stage['name']}"
            assert abs(taken[name] - share * stage["asked_tokens"]) <= 1.5 * length
    assert first == len(written.n_tokens)
    counts = written.record["counts"]
    assert counts["sequences"] == first
    assert counts["tokens"] == sum(written.n_tokens)
    assert counts["padding"] == first * length - counts["tokens"]
