"""Vocabularies of the models of a merge: told apart token by token, and made one.

A row of the embeddings belongs to a token, not to a number, so rows are merged by their tokens. Ids of the first
model never change.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import RequestError
from training.model_files import Checkpoint

TOKENIZER = "tokenizer.json"
PLAIN_FILES = (
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "merges.txt", "vocab.txt",
    "tekken.json", "qwen.tiktoken",
)  # fmt: skip
"""Vocabularies in other forms, which are compared as files."""
SHOWN = 3
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model."""

    model: str
    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    kind: str
    """As `tokenizers` calls it: BPE, Unigram, WordPiece."""
    content: Mapping[str, Any]
    """tokenizer.json."""


@dataclass(frozen=True)
class Vocabularies:
    """One vocabulary for all models, and where each of them has its rows."""

    of: int = 0
    """The model whose tokenizer it is."""
    content: Mapping[str, Any] | None = None
    """tokenizer.json, where it is none of theirs."""
    n_rows: int = 0
    """Of the embeddings."""
    rows: Sequence[Rows | None] = ()
    """Of each model: its row for each row of the result, -1 where it has none; None where rows are the same."""
    ids: Mapping[str, int] = field(default_factory=dict)
    """The id of each token; empty where no tokenizer was read."""
    own: Sequence[Mapping[str, int] | None] = ()
    """The ids in each model, where they are not the same."""
    notes: Sequence[str] = ()

    def id_of(self, place: int, row: Any) -> Any:
        """What an id of a model has become: the id (or list of ids) of the same token, None where there is none."""
        if isinstance(row, list):
            found = [new for each in row if (new := self.id_of(place, each)) is not None]
            return found or None
        own = self.own[place] if self.own else None
        if own is None or row is None:
            return row
        token = next((token for token, at in own.items() if at == row), None)
        return None if token is None else self.ids.get(token)


def one_vocabulary(models: Sequence[Checkpoint], n_main: int, policy: str) -> Vocabularies:
    """One vocabulary for all models.

    Args:
        models: those that are merged, then the base where there is one.
        n_main: how many are merged.
        policy: `same`, `first` or `union`, as in `MergeRule`.

    Raises:
        RequestError: they differ and `policy` is `same`, or cannot be united; names the first tokens that differ.
    """
    n_rows = [model.input_embedding.shape[0] for model in models]
    found = [read_vocabulary(model) for model in models]
    known = [vocabulary for vocabulary in found if vocabulary]
    notes: list[str] = []
    if len(known) < len(models):
        notes = _unread(models, found, n_rows)
        if not found[0]:
            return _same_ids(n_rows, {}, notes)
    first = known[0]
    differences = {other.model: said for other in known[1:] if (said := difference(first, other))}
    if not differences:
        notes += [
            f"{other.model} cuts texts into words in another way ({', '.join(parts)} of its tokenizer); that of "
            f"{first.model} is taken"
            for other in known[1:]
            if (parts := _parts_that_differ(first, other))
        ]
        return _same_ids(n_rows, first.ids, notes)
    if policy == "same":
        raise RequestError(
            "vocabularies differ: "
            + "; ".join(f"{first.model} and {name}: {said}" for name, said in differences.items())
            + ". `tokenizer: first` takes that of the first model, `union` all tokens of all; rows are then merged "
            "by token"
        )
    of, content, ids = (0, None, first.ids) if policy == "first" else _united(found[:n_main], models)
    notes += [
        f"vocabularies differ ({policy}): {first.model} and {name}: {said}" for name, said in differences.items()
    ]
    if policy == "union" and content is None:
        notes.append(f"the tokenizer of {models[of].name} has all tokens of all, so it is taken")
    return _by_token(models, found, n_rows, of, content, ids, notes)


def read_vocabulary(model: Checkpoint) -> Vocabulary | None:
    """The tokens in a model's tokenizer.json; None where it has none.

    Raises:
        RequestError: it is none.
    """
    if not (content := model.read_json(TOKENIZER)):
        return None
    try:
        inner = content["model"]
        pieces = inner["vocab"]
        ids = dict(pieces) if isinstance(pieces, dict) else {piece[0]: place for place, piece in enumerate(pieces)}
        ids |= {token["content"]: int(token["id"]) for token in content.get("added_tokens") or []}
        merges = [
            tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in inner.get("merges") or []
        ]
        kind = inner.get("type") or ("BPE" if "merges" in inner else "Unigram" if isinstance(pieces, list) else "")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise RequestError(f"{model.path / TOKENIZER}: cannot be read: {error!r}") from error
    return Vocabulary(model.name, ids, [(pair[0], pair[-1]) for pair in merges], kind, content)


def difference(first: Vocabulary, other: Vocabulary) -> str:
    """What tells two vocabularies apart, in words, the first tokens by name; empty where nothing does."""
    if first.kind != other.kind:
        return f"one is {first.kind}, the other {other.kind}"
    parts = []
    for here, there in ((first, other), (other, first)):
        only = sorted((here.ids[token], token) for token in here.ids.keys() - there.ids.keys())
        if only:
            parts.append(f"{len(only):,} tokens are only in {here.model} ({_shown(f'{t!r} = {i}' for i, t in only)})")
    moved = sorted((i, token) for token, i in first.ids.items() if other.ids.get(token, i) != i)
    if moved:
        named = _shown(f"{token!r} is {i} and {other.ids[token]}" for i, token in moved)
        parts.append(f"{len(moved):,} have other ids ({named})")
    if not parts and first.merges != other.merges:
        at = next(
            (n for n, (a, b) in enumerate(zip(first.merges, other.merges, strict=False)) if a != b),
            min(len(first.merges), len(other.merges)),
        )
        named = " and ".join(str(list(of.merges[at])) if at < len(of.merges) else "none" for of in (first, other))
        parts.append(f"they have the same tokens, but put them together in another order: rule {at:,} is {named}")
    return ", ".join(parts)


def _shown(items: Any) -> str:
    shown = list(items)
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def _parts_that_differ(first: Vocabulary, other: Vocabulary) -> list[str]:
    return [part for part in ("normalizer", "pre_tokenizer") if first.content.get(part) != other.content.get(part)]


def _unread(models: Sequence[Checkpoint], found: Sequence[Vocabulary | None], n_rows: Sequence[int]) -> list[str]:
    """What is taken of models without tokenizer.json.

    Raises:
        RequestError: they have vocabularies in other forms that are not the same files, or other numbers of rows.
    """
    digests = [None if vocabulary else _digest(model) for vocabulary, model in zip(found, models, strict=True)]
    if any(digests) and len(set(digests)) > 1:
        named = next(model.name for model, digest in zip(models, digests, strict=True) if digest)
        raise RequestError(
            f"{named}: its vocabulary is in no {TOKENIZER}, and in other files than that of the other models; make "
            "one: `AutoTokenizer.from_pretrained(A).save_pretrained(A)`"
        )
    bare = [place for place, vocabulary in enumerate(found) if not vocabulary and not digests[place]]
    for place in bare:
        other = next((at for at, vocabulary in enumerate(found) if vocabulary), 0)
        if n_rows[place] != n_rows[other]:
            raise RequestError(
                f"{models[place].name}: has no tokenizer, and {n_rows[place]:,} rows of embeddings where "
                f"{models[other].name} has {n_rows[other]:,}; put its tokenizer beside it"
            )
    return [f"{models[place].name} has no tokenizer; its ids are taken to be those of the others" for place in bare]


def _digest(model: Checkpoint) -> str | None:
    files = [model.path / name for name in PLAIN_FILES if (model.path / name).is_file()]
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest() if files else None


def _same_ids(n_rows: Sequence[int], ids: Mapping[str, int], notes: list[str]) -> Vocabularies:
    """Rows by number: those that the first model lacks belong to no token, unless it has too few for its tokens."""
    n_tokens = 1 + max(ids.values(), default=-1)
    n_new = max(n_rows[0], min(n_tokens, max(n_rows)))
    if len(set(n_rows)) > 1:
        notes = [*notes, f"embeddings have {', '.join(f'{n:,}' for n in n_rows)} rows; {n_new:,} are written"]
    rows = [None if n == n_new else np.where(np.arange(n_new) < n, np.arange(n_new), -1) for n in n_rows]
    return Vocabularies(0, None, n_new, rows, ids, notes=notes)


def _by_token(
    models: Sequence[Checkpoint],
    found: Sequence[Vocabulary | None],
    n_rows: Sequence[int],
    of: int,
    content: Mapping[str, Any] | None,
    ids: Mapping[str, int],
    notes: list[str],
) -> Vocabularies:
    """Rows by token. Rows of no token are those of the model whose tokenizer it is."""
    n_new = max(n_rows[of], 1 + max(ids.values()))
    rows = []
    for place, vocabulary in enumerate(found):
        own = vocabulary.ids if vocabulary else (found[0] or found[of]).ids  # type: ignore[union-attr]
        mine = np.full(n_new, -1, np.int64)
        if place == of:
            mine[: n_rows[of]] = np.arange(n_rows[of])
        for token, row in ids.items():
            mine[row] = own.get(token, -1)
        mine[mine >= n_rows[place]] = -1
        rows.append(mine)
    owners = np.sum([mine >= 0 for mine in rows], axis=0)
    tokens = np.zeros(n_new, bool)
    tokens[list(ids.values())] = True
    n_partly, n_nowhere = (
        int(((owners > 0) & (owners < len(rows)) & tokens).sum()),
        int((tokens & (owners == 0)).sum()),
    )
    notes.append(f"{n_partly:,} of {len(ids):,} tokens have rows in some models only; they are taken from those")
    if n_nowhere:
        notes.append(f"{n_nowhere:,} tokens have a row in no model; theirs are zeros")
    dropped = {models[place].name: len(v.ids.keys() - ids.keys()) for place, v in enumerate(found) if v}
    notes += [
        f"{n:,} tokens of {name} are left out: the first model has none of them" for name, n in dropped.items() if n
    ]
    return Vocabularies(of, content, n_new, rows, ids, [v.ids if v else None for v in found], notes)


# All tokens of all


def _united(
    found: Sequence[Vocabulary | None], models: Sequence[Checkpoint]
) -> tuple[int, Mapping[str, Any] | None, Mapping[str, int]]:
    """The union: the model that has it, or a new tokenizer.json; and its ids.

    Raises:
        RequestError: their ways of splitting a text cannot be united.
    """
    known = [(place, vocabulary) for place, vocabulary in enumerate(found) if vocabulary]
    for place, candidate in known:
        merges = set(candidate.merges)
        if all(other.ids.keys() <= candidate.ids.keys() and merges.issuperset(other.merges) for _, other in known):
            return place, None, candidate.ids
    first = known[0][1]
    for _, other in known[1:]:
        if other.kind != first.kind:
            raise RequestError(f"union: {first.model} has a {first.kind} tokenizer, {other.model} a {other.kind} one")
        if first.kind != "BPE" and _pieces(other) - _pieces(first):
            raise RequestError(
                f"union: {other.model} has tokens that {first.model} has not "
                f"({_shown(map(repr, sorted(_pieces(other) - _pieces(first))))}), and only those of BPE, or added "
                "ones, can be united; take `tokenizer: first`"
            )
        if said := _parts_that_differ(first, other):
            raise RequestError(
                f"union: {first.model} and {other.model} cut texts into words in other ways ({', '.join(said)}), so "
                "their tokens do not go together; take `tokenizer: first`"
            )
    return 0, *_united_content([vocabulary for _, vocabulary in known])


def _pieces(vocabulary: Vocabulary) -> set[str]:
    return set(vocabulary.ids) - {token["content"] for token in vocabulary.content.get("added_tokens") or []}


def _united_content(known: Sequence[Vocabulary]) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """The first's tokenizer.json with what the others have beyond it: pieces, rules in their order, added tokens."""
    first, ids = known[0], dict(known[0].ids)
    n_ids = 1 + max(ids.values())
    inner, added = dict(first.content["model"]), list(first.content.get("added_tokens") or [])
    pieces: Any = inner["vocab"].copy()
    merges = list(first.merges)
    for other in known[1:]:
        special = {token["content"]: token for token in other.content.get("added_tokens") or []}
        for token in sorted(other.ids.keys() - ids.keys(), key=other.ids.__getitem__):
            ids[token], n_ids = n_ids, n_ids + 1
            if token in special:
                added.append({**special[token], "id": ids[token]})
            else:
                pieces[token] = ids[token]
        there = set(merges)
        merges += [pair for pair in other.merges if pair not in there]
    inner["vocab"] = pieces
    if first.merges:
        inner["merges"] = [list(pair) for pair in merges]
    return {**first.content, "model": inner, "added_tokens": added}, ids
