"""Whether a mixture holds what its ledger says: every token, as often; fractions, switch, transition and padding.

    python benchmarks/mix_exact.py --tokenizer FOLDER [--tokenizer FOLDER] [--tokens 20_000_000] [--write]

From `data/text`, for each tokenizer, a mixture of two stages with a transition, in which small sources come several
times. Everything is then counted again from the written Parquet and the sources by other means than the mixture's:

- Each span's ids are compared with those that the tokenizer's own library gives for its document (found by the id
  that the contract defines), from the span's offset on, and the end of the document after them. With the byte-level
  tokenizer that is trained here, all of the output is turned into bytes instead (by the tokens' spelling in
  tokenizer.json), pieces are put together by their offsets, and the multiset of documents is compared with the
  sources'.
- Each range of ids of the ledger is compared with the spans in it: their number and tokens by stage. A range that a
  pass has gone through whole gives each of its tokens once; only the last range of a source may be in part.
- Shares by category and stage, where a stage ends, and the tokens of each category where the transition is half way
  are counted from spans and compared with the manifest.

Then padding by the length of sequences, and shares for small budgets.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
import yaml
from mix import named
from mix_peers import end_of_text
from numpy.typing import NDArray
from sample_text import markdown, publish

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {  # of each file of `data/text`: its category, how often it may come
    "en_books_misc": ("english", 3),
    "en_docs_mixed": ("english", 3),
    "en_ms_cpp": ("code", 2),
    "ko_ms_cpp": ("code", 2),
    "ko_docs_mixed": ("korean", 3),
    "ko_petitions": ("korean", 3),
    "ko_reviews_nsmc": ("korean", 3),
    "ko_law": ("academic", 30),
    "ko_wiki_korquad": ("academic", 30),
}
WEIGHTS = (
    {"english": 35, "code": 30, "korean": 30, "academic": 5},
    {"english": 15, "code": 40, "korean": 30, "academic": 15},
)
LENGTHS = (1024, 2048, 4096, 8192, 32768)
BUDGETS = (1_000_000, 3_000_000)
BYTE_LEVEL = "byte-level, trained here"
VOCABULARY = 8192

U32 = NDArray[np.uint32]


@dataclass(frozen=True)
class Tokens:
    """The stages of the mixture, in tokens."""

    total: int

    @property
    def stages(self) -> tuple[int, int]:
        """Of each stage."""
        return self.total * 3 // 5, self.total - self.total * 3 // 5

    @property
    def transition(self) -> int:
        """Tokens of the second stage over which it goes from the first's shares to its own."""
        return self.total // 5

    def asked(self, stage: int) -> dict[str, float]:
        """Tokens of each category in a stage: the integral of its shares."""
        return self.asked_upto(stage, self.stages[stage])

    def asked_upto(self, stage: int, at: float) -> dict[str, float]:
        """The same, for the first `at` tokens of it."""
        own, before, length = WEIGHTS[stage], WEIGHTS[0], self.transition if stage else 0
        inside = min(at, length)
        of_own = at - inside + (inside**2 / (2 * length) if length else 0)
        return {name: (own[name] * of_own + before[name] * (at - of_own)) / 100 for name in own}


@dataclass
class Span:
    """A span of the output."""

    sequence: int
    stage: str
    source: str
    id: bytes
    copy: int
    offset: int
    ids: U32


@dataclass
class Found:
    """What a mixture came to, counted again."""

    n_tokens: int = 0
    n_spans: int = 0
    n_documents: int = 0
    """Documents that were compared, each once."""
    wrong: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)

    def check(self, right: bool, what: str) -> None:
        """Note what is wrong."""
        if not right:
            self.wrong.append(what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--tokenizer", type=Path, action="append", default=[], help="folder of a tokenizer.json")
    parser.add_argument("--tokens", type=int, default=20_000_000)
    parser.add_argument("--workdir", type=Path, help="where outputs go; by default a temporary folder")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.workdir) as name:
        folder = Path(name)
        tokenizers = {BYTE_LEVEL: train(options.data, folder / "byte-level")}
        tokenizers |= {named(path.resolve()): path.resolve() for path in options.tokenizer}
        found = {}
        for label, path in tokenizers.items():
            found[label] = verified(options.data, path, Tokens(options.tokens), folder / path.name / label[:5])
            print(label, found[label].rows, found[label].wrong[:5], file=sys.stderr, flush=True)
        last = list(tokenizers.values())[-1]
        lengths = by_length(options.data, last, folder)
        budgets = by_budget(options.data, last, folder)
    header = ["", *found]
    names = list(next(iter(found.values())).rows)
    table = markdown(header, [[name, *(of.rows[name] for of in found.values())] for name in names])
    wrong = [f"- {label}: {what}" for label, of in found.items() for what in of.wrong[:10]]
    report = "\n".join(
        [
            "# What a mixture holds, counted again\n",
            f"Made by `benchmarks/mix_exact.py --tokens {options.tokens}` over {len(SOURCES)} files of `data/text`, "
            "sequences of 2,048 tokens.\n",
            table,
            "Nothing differs.\n" if not wrong else "**Wrong:**\n\n" + "\n".join(wrong) + "\n",
            f"## Padding and shares by length of sequences, {list(found)[-1]}\n",
            lengths,
            "## Small budgets\n",
            budgets,
        ]
    )
    if options.write:
        publish("mix_exact", report)
    else:
        print(report)
    sys.exit(bool(wrong))


# mixtures


def train(data: Path, folder: Path) -> Path:
    """A small byte-level tokenizer: every text comes back from its ids as it was."""
    import tokenizers

    texts = [
        text for name in SOURCES for text in pq.read_table(data / f"text/{name}.parquet")["text"].to_pylist()[::40]
    ]
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True)
    model.save(str(folder / "tokenizer.json"))
    return folder


def mixed(data: Path, tokenizer: Path, tokens: Tokens, length: int, output: Path, store: Path) -> dict[str, Any]:
    """Run `onggi mix`; its run.json."""
    sources = [
        {"name": name, "path": str(data.resolve() / f"text/{name}.parquet"), "category": category, "epochs_max": most}
        for name, (category, most) in SOURCES.items()
    ]
    stages: list[dict[str, Any]] = [
        {"name": name, "tokens": n, "weights": weights}
        for name, n, weights in zip(("first", "second"), tokens.stages, WEIGHTS, strict=True)
    ]
    stages[1]["transition"] = tokens.transition
    manifest = {
        "kind": "mixture",
        "name": "exact",
        "tokenizer": {"path": str(tokenizer), "eod": end_of_text(str(tokenizer / "tokenizer.json"))},
        "sequence_length": length,
        "sources": sources,
        "stages": stages,
        "validation": {"frac": 0.005},
        "output": {"path": str(output), "store": str(store)},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    path = output.parent / f"{output.name}.yaml"
    path.write_text(yaml.safe_dump(manifest))
    done = subprocess.run(
        [sys.executable, "-m", "onggi", "mix", str(path)],
        capture_output=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise SystemExit(f"onggi mix: {done.stderr.decode()[-3000:]}")
    return dict(orjson.loads((output / "run.json").read_bytes()))


# what a mixture holds


def verified(data: Path, tokenizer: Path, tokens: Tokens, folder: Path, length: int = 2048) -> Found:
    record, found = mixed(data, tokenizer, tokens, length, folder / "out", folder / "store"), Found()
    is_byte_level = tokenizer.name == "byte-level"
    documents = {name: read_source(data, name) for name in SOURCES}
    lengths = dict[tuple[str, bytes], int]()
    held = {span.id: span.source for span in spans(folder / "out/validation", record)}
    pieces = Counter[tuple[str, bytes, int, int]]()
    n_of_piece, seen = dict[tuple[str, bytes, int], int](), dict[tuple[str, bytes, int], bytes]()
    taken, by_range = Counter[tuple[str, str]](), dict[tuple[str, str], list[tuple[bytes, int]]]()
    for span in spans(folder / "out/tokens", record):
        found.n_spans += 1
        found.n_tokens += len(span.ids)
        taken[span.stage, SOURCES[span.source][0]] += len(span.ids)
        by_range.setdefault((span.stage, span.source), []).append((span.id, len(span.ids)))
        piece = (span.source, span.id, span.offset)
        pieces[(*piece, span.copy)] += 1
        content = span.ids.tobytes()
        found.check(seen.setdefault(piece, content) == content, f"{piece}: differs from one time to another")
        found.check(span.id not in held, f"{span.id.hex()}: is held out, too")
    for source, id, offset in seen:
        n = len(seen[source, id, offset]) // 4
        n_of_piece[source, id, offset] = n
        lengths[source, id] = max(lengths.get((source, id), 0), offset + n)
    compare = compare_bytes if is_byte_level else compare_ids
    full = compare(tokenizer, record, documents, seen, found)
    n_ranges, n_partial = check_ledger(
        folder / "out/ledger", documents, full, held, by_range, pieces, n_of_piece, found
    )
    points = shares_off(tokens, taken)
    n_sequences = sum(stage["n_sequences"] for stage in record["stages"])
    middle = off_at_middle(folder / "out/tokens", record, tokens)
    overshoots = check_switch(folder / "out/tokens", record, tokens, found)
    epochs = [source["epochs"] for source in record["sources"]]
    found.rows = {
        "tokens": f"{found.n_tokens:,}",
        "compared by": "bytes, all of the output" if is_byte_level else "ids of its own library",
        "engine": f"{record['tokenizer']['engine']} {record['tokenizer']['engine_version']}",
        "spans": f"{found.n_spans:,}",
        "documents compared": f"{found.n_documents:,}",
        "passes through a source": f"{min(epochs):.2f} to {max(epochs):.2f}",
        "ranges of the ledger": f"{n_ranges:,}, {n_partial} in part",
        "differences": f"{len(found.wrong)}",
        "shares, at most off by (points)": f"{points:.4f}",
        "tokens past each stage's end": ", ".join(map(str, overshoots)),
        "half way through the transition, tokens off": f"{middle:,.0f}",
        "padding": f"{record['counts']['padding'] / (n_sequences * length):.4%}",
    }
    return found


def read_source(data: Path, name: str) -> dict[bytes, list[str]]:
    """Texts of a file by the id that the contract defines: XXH3-128 of the source, the key and the text's digest."""
    found = dict[bytes, list[str]]()
    for text in pq.read_table(data / f"text/{name}.parquet", columns=["text"])["text"].to_pylist():
        if text:
            digest = xxhash.xxh3_128_digest(text.encode())
            found.setdefault(xxhash.xxh3_128_digest(name.encode() + b"\0\0" + digest), []).append(text)
    return found


def spans(folder: Path, record: dict[str, Any]) -> Iterator[Span]:
    """All spans of a table of sequences; checks nothing but that what follows n_tokens is padding."""
    pad = record["tokenizer"]["pad_id"]
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(256):
            rows = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != "input_ids"}
            ids = batch.column("input_ids").flatten().to_numpy().reshape(batch.num_rows, -1)
            for at in range(batch.num_rows):
                starts, n_tokens = rows["document_starts"][at], rows["n_tokens"][at]
                if not (ids[at, n_tokens:] == pad).all():
                    raise SystemExit(f"{path}: row {at}: padding is not")
                for start, end, id, copy, offset, source in zip(
                    starts,
                    [*starts[1:], n_tokens],
                    rows["document_ids"][at],
                    rows["document_copies"][at],
                    rows["document_offsets"][at],
                    rows["source_of_span"][at],
                    strict=True,
                ):
                    yield Span(rows["sequence"][at], rows["stage"][at], source, id, copy, offset, ids[at, start:end])


def compare_ids(
    tokenizer: Path,
    record: dict[str, Any],
    documents: dict[str, dict[bytes, list[str]]],
    seen: dict[tuple[str, bytes, int], bytes],
    found: Found,
) -> dict[tuple[str, bytes], int]:
    """Compare each piece with the ids of the tokenizer's own library; the tokens of every document."""
    from tokenizers import Tokenizer

    library, lengths = Tokenizer.from_file(str(tokenizer / "tokenizer.json")), dict[tuple[str, bytes], int]()
    library.encode_special_tokens = True
    end = np.array([record["tokenizer"]["eod_id"]], np.uint32)
    offsets = dict[tuple[str, bytes], list[int]]()
    for source, id, offset in seen:
        offsets.setdefault((source, id), []).append(offset)
    for source, of in documents.items():
        names = list(of)
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            encodings = library.encode_batch_fast([of[id][0] for id in part], add_special_tokens=False)
            for id, encoding in zip(part, encodings, strict=True):
                ids = np.concatenate([np.array(encoding.ids, np.uint32), end])
                lengths[source, id] = len(ids)
                for offset in offsets.get((source, id), []):
                    content = seen[source, id, offset]
                    right = ids[offset : offset + len(content) // 4].tobytes() == content
                    found.check(right, f"{source}: {id.hex()}: ids differ from offset {offset} on")
                found.n_documents += (source, id) in offsets
    unknown = [key for key in offsets if key not in lengths]
    found.check(not unknown, f"{len(unknown)} documents that no source has")
    return lengths


def compare_bytes(
    tokenizer: Path,
    record: dict[str, Any],
    documents: dict[str, dict[bytes, list[str]]],
    seen: dict[tuple[str, bytes, int], bytes],
    found: Found,
) -> dict[tuple[str, bytes], int]:
    """Turn every piece into bytes, put those of a document together and compare with its text; tokens of each."""
    spelt, end = spelling(tokenizer), record["tokenizer"]["eod_id"]
    lengths, pieces = dict[tuple[str, bytes], int](), dict[tuple[str, bytes], dict[int, U32]]()
    for (source, id, offset), content in seen.items():
        pieces.setdefault((source, id), {})[offset] = np.frombuffer(content, np.uint32)
    for (source, id), parts in pieces.items():
        texts = documents[source].get(id)
        if texts is None:
            found.check(False, f"{source}: {id.hex()}: no source has this document")
            continue
        text, at, whole = texts[0].encode(), 0, b""
        for offset in sorted(parts):
            ids = parts[offset]
            is_last = ids[-1] == end
            raw = b"".join([spelt[token] for token in ids[: len(ids) - is_last].tolist()])
            found.check(end not in ids[: len(ids) - is_last], f"{source}: {id.hex()}: ends before its end")
            if offset == at:
                whole += raw
                at += len(ids)
                if is_last:
                    lengths[source, id] = at
            else:  # what lies before was not taken
                found.check(raw in text, f"{source}: {id.hex()}: bytes that its text has not, from {offset} on")
        right = whole == text if (source, id) in lengths else text.startswith(whole)
        found.check(right, f"{source}: {id.hex()}: its bytes are not those of its text")
        found.n_documents += 1
    return lengths | _lengths_of_others(tokenizer, documents, lengths)


def _lengths_of_others(
    tokenizer: Path, documents: dict[str, dict[bytes, list[str]]], known: dict[tuple[str, bytes], int]
) -> dict[tuple[str, bytes], int]:
    """Tokens of the documents that were not taken, or in part, by the library."""
    from tokenizers import Tokenizer

    library, found = Tokenizer.from_file(str(tokenizer / "tokenizer.json")), dict[tuple[str, bytes], int]()
    library.encode_special_tokens = True
    for source, of in documents.items():
        others = [id for id in of if (source, id) not in known]
        encodings = library.encode_batch_fast([of[id][0] for id in others], add_special_tokens=False)
        found |= {(source, id): len(one) + 1 for id, one in zip(others, encodings, strict=True)}
    return found


def spelling(tokenizer: Path) -> dict[int, bytes]:
    """The bytes of each id, as GPT-2's `bytes_to_unicode` writes them in tokenizer.json."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
    model = orjson.loads((tokenizer / "tokenizer.json").read_bytes())
    special = {token["id"] for token in model["added_tokens"]}
    return {
        id: bytes(byte_of[letter] for letter in token)
        for token, id in model["model"]["vocab"].items()
        if id not in special
    }


def check_ledger(
    folder: Path,
    documents: dict[str, dict[bytes, list[str]]],
    lengths: dict[tuple[str, bytes], int],
    held: dict[bytes, str],
    by_range: dict[tuple[str, str], list[tuple[bytes, int]]],
    pieces: Counter[tuple[str, bytes, int, int]],
    n_of_piece: dict[tuple[str, bytes, int], int],
    found: Found,
) -> tuple[int, int]:
    """Compare the ledger with the spans; how many ranges of ids there are, and how many were taken in part."""
    ledger = [row for row in pq.read_table(folder).to_pylist() if row["stage"] != "validation"]
    n_ranges = n_partial = 0
    contents = {xxhash.xxh3_128_digest(documents[source][id][0].encode()) for id, source in held.items()}
    for source, of in documents.items():
        rows = [row for row in ledger if row["source"] == source]
        lots = merged([(row["id_from"], row["id_to"]) for row in rows])
        firsts = [low for low, _ in lots]
        free = {id: texts for id, texts in of.items() if xxhash.xxh3_128_digest(texts[0].encode()) not in contents}
        has = [0] * len(lots)
        for id, texts in free.items():
            if (lot := _lot(firsts, id)) is not None and id <= lots[lot][1]:
                has[lot] += lengths[source, id] * len(texts)
        said = Counter[tuple[int, int]]()
        for row in rows:
            said[_lot(firsts, row["id_from"]), row["epoch"]] += row["n_tokens"]
        is_partial = {lot for (lot, _), n in said.items() if n != has[lot]}
        n_ranges, n_partial = n_ranges + len(lots), n_partial + len(is_partial)
        found.check(len(is_partial) <= 1, f"{source}: {len(is_partial)} ranges of ids are taken in part")
        n_times = Counter(lot for lot, _ in said)
        expected = {
            (id, copy, offset): n_times[lot]
            for id, texts in free.items()
            if (lot := _lot(firsts, id)) is not None and id <= lots[lot][1] and lot not in is_partial
            for copy in range(len(texts))
            for offset in range(0, lengths[source, id], 2048)
        }
        counted = {
            (id, copy, offset): n
            for (of_source, id, offset, copy), n in pieces.items()
            if of_source == source and _lot(firsts, id) not in is_partial
        }
        n_off = sum(expected.get(key, 0) != counted.get(key, 0) for key in {*expected, *counted})
        found.check(not n_off, f"{source}: {n_off} pieces come more or less often than the ledger says")
        for id, _, offset in expected:
            n = n_of_piece.get((source, id, offset))
            right = n == min(2048, lengths[source, id] - offset)
            found.check(right, f"{source}: {id.hex()}: a piece of {n} tokens at {offset}")
        for stage in {row["stage"] for row in rows}:
            spans_of, tokens_of = Counter[int | None](), Counter[int | None]()
            for id, n in by_range.get((stage, source), []):
                spans_of[_lot(firsts, id)] += 1
                tokens_of[_lot(firsts, id)] += n
            for row in rows:
                if row["stage"] == stage:
                    spans_of[_lot(firsts, row["id_from"])] -= row["n_spans"]
                    tokens_of[_lot(firsts, row["id_from"])] -= row["n_tokens"]
            wrong = [lot for lot in spans_of if spans_of[lot] or tokens_of[lot]]
            found.check(not wrong, f"{source}, {stage}: {len(wrong)} ranges hold other spans than the ledger says")
    return n_ranges, n_partial


def merged(ranges: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Ranges that overlap, as one."""
    found = list[tuple[bytes, bytes]]()
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def _lot(firsts: list[bytes], id: bytes) -> int | None:
    """The range that an id lies in: the last that begins at or before it."""
    import bisect

    at = bisect.bisect_right(firsts, id) - 1
    return at if at >= 0 else None


# shares


def shares_off(tokens: Tokens, taken: Counter[tuple[str, str]]) -> float:
    """By how many points the share of a category in a stage is off at most."""
    worst = 0.0
    for number, stage in enumerate(("first", "second")):
        asked = tokens.asked(number)
        n_all = sum(taken[stage, name] for name in asked)
        for name, wanted in asked.items():
            worst = max(worst, 100 * abs(taken[stage, name] / n_all - wanted / tokens.stages[number]))
    return worst


def by_sequence(folder: Path, stage: str) -> tuple[list[str], NDArray[np.int64]]:
    """Categories, and tokens of each in each sequence of a stage, shape (sequences, categories)."""
    names, rows = list(WEIGHTS[0]), list[NDArray[np.int64]]()
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["stage", "n_tokens", "document_starts", "source_of_span"])
        for row in table.filter(pc.equal(table["stage"], pa.scalar(stage))).to_pylist():
            counts = np.zeros(len(names), np.int64)
            of = [names.index(SOURCES[source][0]) for source in row["source_of_span"]]
            np.add.at(counts, of, np.diff([*row["document_starts"], row["n_tokens"]]))
            rows.append(counts)
    return names, np.array(rows)


def off_at_middle(folder: Path, record: dict[str, Any], tokens: Tokens) -> float:
    """Tokens by which a category is off at most where the transition is half way, at the end of that sequence."""
    names, counts = by_sequence(folder, "second")
    sums = np.cumsum(counts, axis=0)
    totals = sums.sum(axis=1)
    at = int(np.searchsorted(totals, tokens.transition / 2))
    wanted = tokens.asked_upto(1, float(totals[at]))
    return max(abs(float(sums[at, number]) - wanted[name]) for number, name in enumerate(names))


def check_switch(folder: Path, record: dict[str, Any], tokens: Tokens, found: Found) -> list[int]:
    """That each stage ends at the first boundary of sequences at or after its tokens; by how much it overshoots."""
    overshoots = []
    for stage, wanted in zip(("first", "second"), tokens.stages, strict=True):
        n_tokens = by_sequence(folder, stage)[1].sum(axis=1)
        n_all, n_last = int(n_tokens.sum()), int(n_tokens[-1])
        found.check(n_all - n_last < wanted <= n_all, f"{stage}: ends at {n_all:,}, {wanted:,} asked for")
        overshoots.append(n_all - wanted)
    found.check([stage["overshoot"] for stage in record["stages"]] == overshoots, "overshoots are recorded otherwise")
    return overshoots


def by_length(data: Path, tokenizer: Path, folder: Path) -> str:
    """Padding at several lengths of sequences."""
    rows = []
    for length in LENGTHS:
        record = mixed(data, tokenizer, Tokens(20_000_000), length, folder / f"length-{length}", folder / "lengths")
        off = _points(record)
        padding = record["counts"]["padding"] / (record["counts"]["sequences"] * length)
        rows.append([f"{length:,}", f"{record['counts']['sequences']:,}", f"{padding:.4%}", f"{off:.4f}"])
    return markdown(["tokens per sequence", "sequences", "padding", "shares, at most off by (points)"], rows)


def by_budget(data: Path, tokenizer: Path, folder: Path) -> str:
    """Shares of small mixtures."""
    rows = []
    for total in BUDGETS:
        for length in (1024, 4096):
            output = folder / f"budget-{total}-{length}"
            record = mixed(data, tokenizer, Tokens(total), length, output, folder / "lengths")
            padding = record["counts"]["padding"] / (record["counts"]["sequences"] * length)
            rows.append([f"{total:,}", f"{length:,}", f"{padding:.4%}", f"{_points(record):.4f}"])
    return markdown(["tokens", "tokens per sequence", "padding", "shares, at most off by (points)"], rows)


def _points(record: dict[str, Any]) -> float:
    """By how many points a category's share is off at most in a stage, as recorded."""
    worst = 0.0
    for stage in record["stages"]:
        off = Counter[str]()
        for name in stage["taken"]:
            off[SOURCES[name][0]] += stage["taken"][name] / stage["n_tokens"] - stage["shares"][name]
        worst = max([worst, *(100 * abs(value) for value in off.values())])
    return worst


if __name__ == "__main__":
    main()
