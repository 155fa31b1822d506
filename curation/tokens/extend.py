"""New tokens for an existing byte-level tokenizer: old ids stay, and so does the order of old merges.

New merges are appended. A text without Hangul has exactly its old ids, since each new token holds enough of a Hangul
letter (unless `letters` is `any`, which learns from all words). Tokens that the texts hardly use are taken out again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from curation.tokens.check import checked
from curation.tokens.engines import byte_level_bytes, text_bytes
from curation.tokens.fertility import Comparison, compare
from curation.tokens.files import CONFIGURATIONS, TokenizerFile, imported
from curation.tokens.korean_pieces import CERTAIN, is_korean, may_be_korean
from curation.tokens.texts import Progress, Texts, count_bytes, held_out, to_learn_from
from curation.tokens.tokenizer import Tokenizer, load_tokenizer, make_tokenizer
from curation.tokens.train import MEASURED_BYTES, refuse_existing
from curation.tokens.words import Merge, Words, count_words, learn_merges, token_uses
from manifests.errors import RequestError
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder

Letters = Literal["hangul", "any"]

SURPLUS = 1.25
"""New tokens that are learned for each that is kept."""
TAKE_OUT_FRAC, TAKE_OUT_ALL = 0.5, 64
"""Of the surplus, the share that is taken out at once, unless it is small; what is left is counted again."""
CHECKED_WORDS = 4096
BESIDE = (*CONFIGURATIONS, "chat_template.jinja", "added_tokens.json")
"""What is copied from beside the tokenizer."""


@dataclass(frozen=True)
class Extended:
    """What became of a tokenizer."""

    base_vocab_size: int
    vocab_size: int
    n_new: int
    n_merges: int
    n_taken_out: int
    n_words: int
    """Distinct words that were learned from."""
    text_bytes: int
    """Bytes of text that they stood in."""
    comparison: list[Comparison] = field(default_factory=list)
    """Of held-out texts, by language."""


@dataclass(frozen=True)
class _Step:
    """A new merge: its two tokens, and the old ids that its token is made of."""

    merge: Merge
    parts: list[int]

    @property
    def token(self) -> str:
        return "".join(self.merge)


def extend_tokenizer(
    base: TokenizerSettings,
    files: Sequence[str],
    folder: Folder,
    n_new: int,
    progress: Progress,
    *,
    text: str = "text",
    bytes_max: int = 100 << 20,
    letters: Letters = "hangul",
) -> Extended:
    """Add `n_new` tokens that texts call for; writes tokenizer.json, its configuration and extension.json.

    Args:
        base: the tokenizer that is extended.
        files: Parquet and JSONL files to learn from.
        folder: where the new tokenizer goes.
        n_new: how many tokens are added, at most.
        progress: told of each step.
        text: column of the texts.
        bytes_max: bytes of text to learn from, at most.
        letters: `hangul` adds Korean tokens only; `any` those of whatever the texts hold.

    Raises:
        RequestError: the tokenizer is no byte-level BPE, or the texts hold nothing to learn.
        RunError: a text does not come back whole; a defect.
    """
    if n_new < 1:
        raise RequestError(f"new tokens: expected at least 1, found {n_new}")
    refuse_existing(folder)
    old = load_tokenizer(base, str(Path.cwd()))
    library = _byte_level(old.file)
    words, n_bytes = _words(library, files, text, bytes_max, letters, progress)
    old, _ = checked(old, words.texts[:CHECKED_WORDS])
    steps = _learned(old, words, int(n_new * SURPLUS) + 1, letters)
    if not steps:
        raise RequestError(f"{files[0]}: these texts hold no pair of tokens that could be joined")
    kept, new = _pruned(old, steps, words, n_new, progress)
    comparison = compare(old, new, held_out(files, text, MEASURED_BYTES, progress))
    _write(folder, old, kept)
    return Extended(
        old.vocab_size, new.vocab_size, new.vocab_size - old.vocab_size, len(kept), len(steps) - len(kept),
        len(words.counts), n_bytes, comparison,
    )  # fmt: skip


def _byte_level(file: TokenizerFile) -> Any:
    """The tokenizer as its library's object, where it is one that can be extended.

    Raises:
        RequestError: it is none.
    """
    if file.kind != "json":
        raise RequestError(f"{file.path}: only a `tokenizer.json` can be extended; convert it first")
    model = file.parsed["model"]
    before = orjson.dumps(file.parsed.get("pre_tokenizer"))
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or b"ByteLevel" not in before:
        kind = "BPE with byte fallback" if model.get("byte_fallback") else model.get("type")
        raise RequestError(
            f"{file.path}: only byte-level BPE can be extended, as that of Llama 3 or Qwen; this is {kind}"
        )
    library = imported("tokenizers").Tokenizer.from_buffer(file.content)
    library.no_truncation()
    return library


def _words(
    library: Any, files: Sequence[str], column: str, bytes_max: int, letters: Letters, progress: Progress
) -> tuple[Words, int]:
    """The words to learn from, and the bytes of text that they stand in."""
    n_bytes = count_bytes(files, column, progress)
    wanted = n_bytes["ko"] if letters == "hangul" else sum(n_bytes.values())
    if not wanted:
        raise RequestError(f"{files[0]}: no text of this and {len(files) - 1} other files is Korean")
    frac = min(1.0, bytes_max / wanted)
    shares = {language: frac if language == "ko" or letters == "any" else 0.0 for language in n_bytes}
    read: list[int] = []

    def texts(batches: Iterator[Texts]) -> Iterator[Any]:
        for batch in batches:
            read.append(text_bytes(batch.texts))
            yield batch.texts

    pattern = CERTAIN if letters == "hangul" else None
    return count_words(library, texts(to_learn_from(files, column, shares, progress)), pattern), sum(read)


def _learned(old: Tokenizer, words: Words, n_new: int, letters: Letters) -> list[_Step]:
    """New merges, each after those that it needs; a token that the tokenizer has already counts as none."""
    names = {id: token for token, id in old.file.parsed["model"]["vocab"].items()}
    may_join = np.zeros(old.vocab_size, np.bool_)
    added = {token.id for token in old.file.added}
    for id, token in names.items():
        may_join[id] = id not in added and (letters == "any" or may_be_korean(byte_level_bytes(token)))
    ids, bounds = old.encode(words.texts)
    known = set(names.values())
    steps = []
    for left, right in learn_merges(ids, bounds, words.counts, may_join, n_new):
        merge = ("".join(names[id] for id in left), "".join(names[id] for id in right))
        token = "".join(merge)
        if merge[0] not in known or merge[1] not in known:
            continue  # one of its parts was refused
        if letters == "hangul" and not is_korean(byte_level_bytes(token)):
            continue
        known.add(token)
        steps.append(_Step(merge, left + right))
    return steps


def _pruned(
    old: Tokenizer, steps: list[_Step], words: Words, n_new: int, progress: Progress
) -> tuple[list[_Step], Tokenizer]:
    """The merges without the tokens that are used least, and the tokenizer that they make.

    Only a token that no later merge needs can go; taking it out leaves its two parts, which then count again.
    """
    while True:
        new = _made(old, steps)
        surplus = new.vocab_size - old.vocab_size - n_new
        progress("prune", min(n_new, n_new - surplus), n_new, f"{max(surplus, 0):,} tokens too many")
        uses = token_uses(new, words)
        needed = {part for step in steps for part in step.merge}
        ids = _new_ids(old, steps)
        ends = sorted((uses[id], -id, token) for token, id in ids.items() if token not in needed)
        useless = [token for n, _, token in ends if not n]
        if surplus <= 0 and not useless:
            return steps, new
        at_once = surplus if surplus < TAKE_OUT_ALL else int(surplus * TAKE_OUT_FRAC)
        n_out = max(len(useless), at_once)
        out = {token for _, _, token in ends[:n_out]}
        steps = [step for step in steps if step.token not in out]


def _new_ids(old: Tokenizer, steps: Sequence[_Step]) -> dict[str, int]:
    """Ids of the new tokens, in the order in which they were learned, after all ids that there are."""
    vocabulary = old.file.parsed["model"]["vocab"]
    new = dict.fromkeys(step.token for step in steps if step.token not in vocabulary)
    return {token: old.vocab_size + place for place, token in enumerate(new)}


def _content(old: Tokenizer, steps: Sequence[_Step]) -> bytes:
    """The new `tokenizer.json`.

    Added tokens are listed with the model's too: where the library does not find them there, it numbers them anew,
    after the last of the model's tokens.
    """
    parsed, model = old.file.parsed, old.file.parsed["model"]
    added = {token.content: token.id for token in old.file.added}
    as_pairs = not model["merges"] or isinstance(model["merges"][0], list)
    merges = [list(step.merge) if as_pairs else " ".join(step.merge) for step in steps]
    vocabulary = dict(sorted((model["vocab"] | added | _new_ids(old, steps)).items(), key=lambda entry: entry[1]))
    return orjson.dumps(parsed | {"model": model | {"vocab": vocabulary, "merges": [*model["merges"], *merges]}})


def _made(old: Tokenizer, steps: Sequence[_Step]) -> Tokenizer:
    file = TokenizerFile(old.file.path, "json", _content(old, steps))
    return make_tokenizer(file, old.engine, None, old.token(old.eod_id))


def _write(folder: Folder, old: Tokenizer, steps: Sequence[_Step]) -> None:
    """Write the tokenizer, last of all, beside what says how its new tokens are made of old ones."""
    for name in BESIDE:
        if (path := old.file.path.parent / name).is_file():
            folder.write_bytes(name, path.read_bytes())
    parts: dict[str, list[int]] = {}
    for step in steps:
        parts.setdefault(step.token, step.parts)
    tokens = [{"id": id, "token": token, "parts": parts[token]} for token, id in _new_ids(old, steps).items()]
    folder.write_json(
        "extension.json", {"base_digest": old.digest, "base_vocab_size": old.vocab_size, "tokens": tokens}
    )
    folder.write_bytes("tokenizer.json", _content(old, steps))
