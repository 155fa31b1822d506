"""Sets by which retrieval is measured, in the files of BEIR: questions, texts, and which answers which."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from classifiers.rows import decoded
from manifests.errors import RequestError
from manifests.schema_embedding import Retrieval
from manifests.store import resolve
from training.chat.rows import Left, read_rows, source_of
from training.encoders.retrieval import Relevance

IDS = ("id", "_id")
"""BEIR's own files call it `_id`."""
TABLES = (".tsv", ".tsv.gz")
QRELS = ("query-id", "corpus-id", "score")


@dataclass(frozen=True)
class RetrievalSet:
    """Questions and the texts among which their answers are looked for."""

    name: str
    instruction: str
    queries: list[str]
    """Those that something answers."""
    corpus: list[str]
    relevance: list[Relevance]
    """Of each question."""
    own: list[int | None]
    """Of each question the number of the text with its own id, which BEIR does not count as found."""
    n_empty: int = 0
    """Texts that are left out, as nothing can be a vector of them."""


def read_set(spec: Retrieval, base: str, at: str) -> RetrievalSet:
    """A set.

    Args:
        spec: of the manifest.
        base: where relative paths start.
        at: the entry of the manifest, as errors call it: `retrieval[0]`.

    Raises:
        RequestError: a file is not there or holds something else, or what answers what names ids that are not there.
    """
    queries = _texts(spec.queries, base, f"{at}.queries")
    corpus = _texts(spec.corpus, base, f"{at}.corpus")
    relevance = {query: dict[str, float]() for query in queries}
    for place, query, text, score in read_qrels(spec.qrels, base, f"{at}.qrels"):
        for field, number, there in (("query-id", query, queries), ("corpus-id", text, corpus)):
            if number not in there:
                where = spec.queries if there is queries else spec.corpus
                raise RequestError(f"{at}.qrels: {place}: `{field}` {number!r} is not in {where}")
        if score > 0:
            relevance[query][text] = score
    kept = {number: text for number, text in corpus.items() if text.strip()}
    place_of = {number: place for place, number in enumerate(kept)}
    asked = [query for query in queries if relevance[query] and queries[query].strip()]
    if not asked:
        raise RequestError(f"{at}.qrels: {spec.qrels}: says of no question what answers it; expected scores above 0")
    n_empty = len(corpus) - len(kept)
    # An empty text that answers a question is never found, and its gain is missed: it keeps a number that none has.
    numbers: list[Relevance] = [
        {place_of.get(text, -1 - rank): score for rank, (text, score) in enumerate(relevance[query].items())}
        for query in asked
    ]
    own = [place_of.get(query) for query in asked]
    return RetrievalSet(
        spec.name, spec.instruction, [queries[query] for query in asked], list(kept.values()), numbers, own, n_empty
    )


def _texts(path: str, base: str, at: str) -> dict[str, str]:
    """Texts by their ids, each after its title where it has one."""
    found = dict[str, str]()
    for row in read_rows(source_of(path, base, at), (*IDS, "title", "text"), Left()):
        number = next((row.values[name] for name in IDS if row.values[name] is not None), None)
        text = row.values["text"]
        if number is None or not isinstance(text, str):
            lacks = "`id`: is missing" if number is None else "`text`: is missing; expected a text"
            raise RequestError(f"{at}: {row.place}: {lacks}")
        if str(number) in found:
            raise RequestError(f"{at}: {row.place}: `id` {str(number)!r} is there twice")
        title = row.values["title"]
        found[str(number)] = f"{title} {text}" if isinstance(title, str) and title.strip() else text
    if not found:
        raise RequestError(f"{at}: {path}: holds no text")
    return found


def read_qrels(path: str, base: str, at: str) -> list[tuple[str, str, str, float]]:
    """Place, question, text and score of each row.

    Raises:
        RequestError: there is no such file, or a row is none of that; names its place.
    """
    if path.endswith(TABLES):
        rows = _tsv(resolve(path, base), at)
    else:
        rows = [(row.place, row.values) for row in read_rows(source_of(path, base, at), QRELS, Left())]
    found = []
    for place, values in rows:
        if lacking := [name for name in QRELS[:2] if values.get(name) is None]:
            raise RequestError(f"{at}: {place}: `{lacking[0]}`: is missing")
        try:
            score = float(values["score"])
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            raise RequestError(f"{at}: {place}: `score`: found {values['score']!r}; expected a finite number")
        found.append((place, str(values[QRELS[0]]), str(values[QRELS[1]]), score))
    return found


def _tsv(path: str, at: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        with fsspec.open(path, "rb") as file, decoded(file) as plain:
            lines: Sequence[str] = plain.read().decode().splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{at}: {path}: is no text in UTF-8: {error}") from None
    except FileNotFoundError:
        raise RequestError(f"{at}: {path}: there is no such file or folder") from None
    header = lines[0].split("\t") if lines else []
    if lacking := [name for name in QRELS if name not in header]:
        raise RequestError(f"{at}: {path}: has no column `{lacking[0]}`; found: {', '.join(header) or 'nothing'}")
    split_lines = [(number, line.split("\t")) for number, line in enumerate(lines[1:], 2) if line.strip()]
    if wrong := next((number for number, cells in split_lines if len(cells) != len(header)), None):
        raise RequestError(f"{at}: {path}:{wrong}: expected {len(header)} columns, as in the first line")
    return [(f"{path}:{number}", dict(zip(header, cells, strict=True))) for number, cells in split_lines]
