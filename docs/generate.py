"""Writes docs/reference/data.md, the columns of every table, from the contracts and the list of signals."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from curation.signals import SEGMENTATION, SIGNALS, SIGNALS_VERSION
from manifests.contracts import (
    SCHEMA_VERSION,
    TOKEN_LEDGER,
    address_fields,
    documents_schema,
    ledger_schema,
    measured_schema,
    tokens_schema,
)
from manifests.contracts_synthetic import LOGPROBS, PROVENANCE, Columns, rejected_schema, synthetic_schema
from manifests.schema import ALL_PII_KINDS, Measure
from manifests.schema_addresses import Robots, Urls

FOLDER = Path(__file__).resolve().parent / "reference"

INTRODUCTION = f"""\
# Data reference

Written from `manifests/contracts.py`, `manifests/contracts_synthetic.py` and `curation/signals.py` by `make docs`.
Every table is plain Parquet, and each file's metadata carries the name of its table and the schema version, now
{SCHEMA_VERSION}. A new minor version adds columns; a file of another major version is refused with a message that
says what to do.

Columns of the measuring pass exist where the manifest asks for them: `language`, `language_score` and `hangul_frac`
are null without `measure.language`; `signals` needs `measure.signals`, `pii` and its counts need `measure.pii`,
`metadata` an input that names some, and each of `measure.scores` gives a pair of columns under its NAME.
"""

DOCUMENTS = "One row per kept document, ordered by (`id`, `copy`): the corpus. `documents/*.parquet`."
MEASURED = """\
One row per record, before any decision, so that `onggi decide` can decide again. `measured/*.parquet`. A row with a
`verdict` was dropped or failed before it could be measured."""
LEDGER_TABLE = """\
One row per record that was read, ordered by (`id`, `copy`): kept, dropped by a rule, or failed with an error.
`ledger/*.parquet`. Read is kept plus dropped plus failed; a run in which this does not hold stops."""
SIGNALS_TABLE = f"""\
The fields of the struct `signals` (`{SIGNALS_VERSION}`, words cut by `{SEGMENTATION}`): `signals.word_count >= 50` is
a predicate. A ratio without a denominator is null, never NaN, and a rule that needs it drops as `NAME:missing`."""

MEANINGS = {
    "id": "XXH3-128 of source, key and content digest, 32 hex digits. It does not depend on where the record lies.",
    "copy": "0, 1, ... among records that are equal in source, key and content; (`id`, `copy`) is the primary key.",
    "text": "The text, extracted and in the normal form `nfc-1`.",
    "source": "The input's name in the manifest.",
    "key": 'The record\'s own name in its source: WARC-Record-ID, the mapped column, the relative path; "" if none.',
    "url": "Where it came from.",
    "date": "As the source says.",
    "license": "As the column or the manifest says.",
    "category": "As the column or the manifest says.",
    "language": "BCP 47: `ko`, `en`, `ko-Latn` (romanised Korean), ...; `zxx` for code and markup.",
    "language_score": "Probability that the classifier gives to the language, 0 to 1.",
    "hangul_frac": "Hangul letters per letter, 0 to 1.",
    "signals": "What was measured of the text; see [signals](#signals).",
    "pii": "Personal data in `text` as it stands in this table: characters [`start`, `end`) and their `kind`.",
    "pii_count": "How much of it there is.",
    "pii_counts": "A struct of how much of each kind was measured; null for kinds that were not looked for.",
    "notes": "What the reader had to say of a record that went on; null where nothing. Only where inputs have notes.",
    "NAME_score": "What the classifier NAME says; null where it finds nothing to judge by. With `after: rules` it is "
    "not in `measured` but in a table of its own, `scores/NAME-*/*.parquet`.",
    "NAME_int_score": "The score rounded and clipped to 0 to 5; of a probability, whether it is at least one half.",
    "exact_size": "Records with this very text, this one included; null where `dedup.exact` is not asked for.",
    "near_cluster": "Name of the cluster of near-duplicates that it was in; null where it was alone.",
    "near_cluster_size": "Records in it; null where near-duplicates were not looked for.",
    "semantic_cluster": "Name of the group that means the same; null where it was alone. With `dedup.semantic`.",
    "semantic_cluster_size": "Records in it, near-duplicates and equal texts included. With `dedup.semantic`.",
    "canonical_url": "The address in its one spelling; null where there is none. With `measure.urls`.",
    "url_host": "Its host, in ASCII. With `measure.urls`.",
    "url_domain": "Its registered domain, as `snu.ac.kr`; null for IP addresses. With `measure.urls`.",
    "blocklists": "A struct, by list, of the entry that the address is listed under; null where it is not listed. "
    "With `measure.blocklists`.",
    "robots": "A struct of what the page or its server says that robots must not do; null for text without "
    "headers. With `measure.robots`.",
    "metadata": "A struct of the further columns that the inputs name.",
    "row_hash": "Digest of all that the row is, without where it was found; orders records whose ids are equal.",
    "text_digest": "XXH3-128 of the normalised text, 32 hex digits; null where there is none.",
    "n_bytes": "Size of the record's content as read.",
    "n_text_bytes": "Size of the normalised text in UTF-8.",
    "verdict": "`kept`, `dropped` or `failed`; in `measured` null where nothing is decided yet.",
    "stage": "Where the verdict fell: `read`, `extract`, `rules` or `dedup`.",
    "reason": "The first rule that failed (`NAME:missing` where its predicate was NULL), or the kind of error.",
    "value": "What was measured, where the rule compares one number.",
    "threshold": "What it was compared with.",
    "detail": "An error's message, or a measured value that is not a number.",
    "failed_rules": "All rules that failed; `reason` is the first of them.",
    "duplicate_of": "The `id` of the document that was kept instead.",
    "duplicate_of_copy": "Its `copy`.",
    "edits": "What was removed from a kept document: the rule, and where in the measured text, in characters.",
    "file": "The file in which the record was found. No digest covers it.",
    "offset": "Where in that file: bytes, or rows of a Parquet file. No digest covers it.",
}

TOKENS = """\
A token mixture (`onggi mix`): one row per packed sequence, in the order of training. `tokens/*.parquet`, and of what
is held out `validation/*.parquet`. Here with sequences of 2,048 tokens. Each file's metadata names the tokenizer's
digest (`onggi.tokenizer`) and the mixture (`onggi.mixture`), which a trainer checks. The lists are parallel: one
entry per span."""
TOKEN_LEDGER_TABLE = """\
What was taken for a mixture, in the order of training: one row per stage, source, pass through it, and range of ids.
`ledger/*.parquet`. The tokens of all rows are the tokens of all sequences; a mixture in which they are not stops."""
TOKEN_MEANINGS = {
    "sequence": "Number of the sequence, from 0.",
    "stage": "Of the manifest; `validation` for what is held out.",
    "input_ids": "Ids of tokens. What follows the first `n_tokens` is padding.",
    "n_tokens": "Tokens that count; what follows them is left out of every count and of the loss.",
    "cross_document": "Whether documents may attend to each other (`packing.cross_lingual`); else each to itself.",
    "document_starts": "Where each span begins in the sequence; it ends where the next one begins, or at `n_tokens`.",
    "document_ids": "The documents' ids: the 32 hex digits of a corpus as 16 bytes.",
    "document_copies": "0, 1, ... among documents of equal id.",
    "document_offsets": "Which token of its document each span begins with; more than 0 where a document was cut.",
    "source_of_span": "Name of the source.",
}
TOKEN_LEDGER_MEANINGS = {
    "stage": "Of the manifest; `validation` for what is held out.",
    "category": "Of the source.",
    "source": "Name of the source.",
    "epoch": "How often the source was gone through before.",
    "id_from": "Lowest id of the documents.",
    "id_to": "Highest id of them.",
    "n_documents": "Documents that begin here.",
    "n_spans": "Spans; more than documents where some are longer than a sequence.",
    "n_tokens": "Tokens, with the beginnings and ends of documents.",
    "first_sequence": "Where they lie, among others: the first sequence,",
    "last_sequence": "and the last one.",
}

SYNTHETIC = """\
Conversations of `onggi synth` that were kept. `messages/*.parquet`. This table and the next two hold samples in the
columns that TRL trains on without any conversion, and in the order of the run; those that no sample is for are not
there. Here with a column of numbers and one of words; which ones there are depends on the task. Where samples of a
run offer functions, each message is JSON (`arrow.json`), which `datasets` reads as a dictionary with just the keys
that it has: `role`, `content`, and `tool_calls` or `name`; and there is a column `tools`. Elsewhere a message is a
struct of `role` and `content`."""
PREFERENCE = "Preference pairs: the prompt, and two answers to it. `preference/*.parquet`."
TEXT = "Texts for pre-training, and labelled ones. `text/*.parquet`."
REJECTED_TABLE = """\
Samples that were not kept, of all forms, each with the first reason for it; columns of another form are null.
`rejected/*.parquet`. Two rows may have one `id`."""
PROVENANCE_TABLE = "The fields of the struct `provenance`."
SYNTHETIC_MEANINGS = {
    "id": "XXH3-128 of content, task and seeds, 32 hex digits. No two rows that are kept have the same.",
    "form": "`messages`, `preference` or `text`.",
    "messages": "The conversation: prompt and answer.",
    "prompt": "Messages before the answer.",
    "chosen": "Messages of the better answer.",
    "rejected": "Messages of the worse one.",
    "text": "All of it.",
    "tools": "The functions that are offered, as a JSON list; null where none is.",
    "language": "Of the answer: `ko` or `en`.",
    "task": "That made it, as the manifest calls it.",
    "variety": "Within the task: the kind of question, the style, the turn type.",
    "source": "Of the seed.",
    "license": "Of the seed.",
    "n_chars": "Characters of the answer; of `text`, of all of it.",
    "is_translated": "Whether it is translated text.",
    "pass_frac": "For example: the share of the traces of its question that were right.",
    "difficulty": "For example: `easy`, `medium` or `hard`, by that share.",
    "numbers": "The columns of numbers that kept samples have, as a struct.",
    "tags": "The columns of words that kept samples have, as a struct.",
    "rejection": "`stage`: the task or the gate; `reason`; `value` and `threshold`, where a number was compared; and "
    "`detail`: in words.",
    "provenance": "Where it came from; see [provenance](#provenance).",
    "teacher": "The model that wrote the answer.",
    "revision": "Of its weights, as the manifest says.",
    "sampling": "How the answer was drawn, as JSON.",
    "seed": "Of that draw.",
    "template": "Name of the prompt that the answer was asked with.",
    "template_digest": "XXH3-64 of the prompt's file.",
    "requests": "Keys of all answers that went into it, as in `answers.sqlite`; that of the answer first.",
    "item": "Id of what was worked on: a seed, or a part of one.",
    "parent": "Id of the seed; `onggi remove` finds by it, and by `parents`, what was made from a document.",
    "parents": "Ids of further seeds, as those shown in a prompt.",
    "verdicts": "Of the gates that it passed, in order; numbers where the gate compares one.",
}


LOGPROBS_TABLE = """\
Tokens of the teacher's answers with their probabilities, where the manifest asks for them (`teacher.logprobs`): one
row per sample that was kept. `logprobs/*.parquet`. Logarithms are natural ones, before temperature and top-p."""

LOGPROBS_MEANINGS = {
    "id": "Of the sample.",
    "request": "Key of the answer, as in its provenance.",
    "tokenizer": "XXH3-128 of the tokenizer.json that the ids are of: distil into models with the same one only.",
    "prompt_ids": "Tokens of what the teacher was asked, with its chat template.",
    "output_ids": "n tokens of the answer, with the one that ended it.",
    "logprobs": "Of each of them.",
    "top": "k, how many of the likeliest are kept at each place.",
    "top_ids": "n times k: the likeliest tokens at the first place, then at the second, and so on.",
    "top_logprobs": "Of each of them.",
}


ADDRESSES = address_fields(Measure(urls=Urls(), blocklists={"NAME": "."}, robots=Robots()))


def page() -> str:
    """The reference of all tables, as Markdown."""
    signals = pa.struct([(signal.name, signal.arrow_type) for signal in SIGNALS])
    parts = [
        INTRODUCTION,
        table(
            "documents",
            DOCUMENTS,
            documents_schema(["NAME"], signals, pii=True, semantic=True, scores=["NAME"], addresses=ADDRESSES),
        ),
        table("ledger", LEDGER_TABLE, ledger_schema(pii=ALL_PII_KINDS, notes=True)),
        table(
            "measured",
            MEASURED,
            measured_schema(
                ["NAME"], signals, store_text=True, pii=True, scores=["NAME"], notes=True, addresses=ADDRESSES
            ),
        ),
        signals_table(),
        table("tokens", TOKENS, tokens_schema(2048), TOKEN_MEANINGS),
        table("token ledger", TOKEN_LEDGER_TABLE, TOKEN_LEDGER, TOKEN_LEDGER_MEANINGS),
        *synthetic_tables(),
    ]
    return "\n".join(parts)


def synthetic_tables() -> list[str]:
    """What `onggi synth` leaves."""
    columns = Columns(has_tools=True, numbers=["pass_frac"], tags=["difficulty"])
    plain = Columns(has_tools=True)
    return [
        table("messages", SYNTHETIC, synthetic_schema("messages", columns), SYNTHETIC_MEANINGS),
        table("preference", PREFERENCE, synthetic_schema("preference", plain), SYNTHETIC_MEANINGS),
        table("text", TEXT, synthetic_schema("text", plain), SYNTHETIC_MEANINGS),
        table("rejected", REJECTED_TABLE, rejected_schema(columns), SYNTHETIC_MEANINGS),
        table("provenance", PROVENANCE_TABLE, pa.schema(list(PROVENANCE)), SYNTHETIC_MEANINGS),
        table("logprobs", LOGPROBS_TABLE, LOGPROBS, LOGPROBS_MEANINGS),
    ]


def table(name: str, text: str, schema: pa.Schema, meanings: Mapping[str, str] = MEANINGS) -> str:
    """The columns of one table. A column without a meaning here is a KeyError: write one."""
    rows = [(f"`{field.name}`", arrow_type(field), meanings[field.name]) for field in schema]
    return f"## {name}\n\n{text}\n\n" + markdown(("column", "type", "meaning"), rows)


def arrow_type(field: pa.Field) -> str:
    """A column's type in short."""
    return f"{type_name(field.type)}{'' if field.nullable else ', never null'}"


def type_name(arrow_type: pa.DataType) -> str:
    """The same of a type; a struct in a list with its fields."""
    if pa.types.is_struct(arrow_type):
        return "struct"
    if pa.types.is_list(arrow_type):
        item = arrow_type.value_type
        fields = ", ".join(f"{part.name}: {part.type}" for part in item) if pa.types.is_struct(item) else ""
        return f"list of {{{fields}}}" if fields else f"list of {type_name(item)}"
    return "JSON" if isinstance(arrow_type, pa.JsonType) else str(arrow_type)


def signals_table() -> str:
    """Every signal: what it measures, in which unit, after whom."""
    rows = [(f"`{item.name}`", str(item.arrow_type), item.unit, item.doc, item.source) for item in SIGNALS]
    return f"## signals\n\n{SIGNALS_TABLE}\n\n" + markdown(("signal", "type", "unit", "meaning", "after"), rows)


def markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    (folder / "data.md").write_text(page(), "utf-8")
