"""A byte-level BPE tokenizer learned from texts of both languages, in the form that transformers and others load.

A text is cut as Llama 3 and Qwen cut it, into runs of letters (Hangul syllables and jamo are letters), of up to
three digits or one, of symbols and of white space; Gigatoken knows both ways. No text is changed: each comes back to
the byte.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from curation.tokens.encodings import END_OF_TEXT
from curation.tokens.engines import text_bytes
from curation.tokens.fertility import Fertility, fertility
from curation.tokens.files import imported
from curation.tokens.texts import LANGUAGES, Progress, Texts, count_bytes, held_out, shares_to_take, to_learn_from
from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder

Digits = Literal["single", "triples"]

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
DIGITS_MAX: dict[Digits, str] = {"single": "", "triples": "{1,3}"}
SPECIAL_TOKENS = (END_OF_TEXT, "<|pad|>", "<|im_start|>", "<|im_end|>")
"""The end of a document first; then padding, and the beginning and the end of a turn in a chat."""
N_BYTES = 256
MEASURED_BYTES = 8 << 20
"""Text of each language that a tokenizer is measured by, at most."""


@dataclass(frozen=True)
class Recipe:
    """What a tokenizer is to be."""

    vocab_size: int
    """All of it: bytes, special tokens and merges."""
    korean_frac: float | None = None
    """Share of Korean in the bytes that it learns from; without it, the share that there is."""
    bytes_max: int = 1 << 30
    """Bytes of text that it learns from."""
    digits: Digits = "triples"
    """Whether a token holds one digit or up to three."""
    special_tokens: Sequence[str] = SPECIAL_TOKENS
    """Special tokens, the one that ends a document first."""
    text: str = "text"
    """Column of the texts."""

    def check(self) -> None:
        """Raises RequestError where no tokenizer can be like that."""
        least = N_BYTES + len(self.special_tokens) + 1
        if self.vocab_size < least:
            raise RequestError(
                f"vocabulary of {self.vocab_size:,}: expected at least {least}, since every byte is a token and "
                f"there are {len(self.special_tokens)} special tokens"
            )
        if not self.special_tokens or not all(self.special_tokens):
            raise RequestError("special tokens: expected at least one, which ends a document, and none that is empty")
        if len(set(self.special_tokens)) < len(self.special_tokens):
            raise RequestError(f"special tokens: one is named twice: {', '.join(self.special_tokens)}")


@dataclass(frozen=True)
class Trained:
    """A tokenizer that was learned, and what from."""

    vocab_size: int
    text_bytes: dict[str, int]
    """Bytes that it was learned from, by language."""
    seconds: float
    fertility: list[Fertility]
    """Of held-out texts."""


def train_tokenizer(files: Sequence[str], folder: Folder, recipe: Recipe, progress: Progress) -> Trained:
    """Learn a tokenizer from Parquet and JSONL files; writes tokenizer.json and tokenizer_config.json.

    Raises:
        RequestError: the recipe cannot be followed, a file has no such column, or the folder holds a tokenizer.
    """
    recipe.check()
    refuse_existing(folder)
    started = time.perf_counter()
    shares = shares_to_take(count_bytes(files, recipe.text, progress), recipe.bytes_max, recipe.korean_frac)
    learned_from: dict[str, int] = {}
    texts = _counted(to_learn_from(files, recipe.text, shares, progress), learned_from)
    tokenizer = _empty(recipe)
    tokenizer.train_from_iterator(texts, _trainer(recipe))
    write_tokenizer(folder, tokenizer.to_str().encode(), _configuration(recipe))
    seconds = time.perf_counter() - started

    loaded = load_tokenizer(TokenizerSettings(path=folder.path), "/")
    measured = fertility(loaded, held_out(files, recipe.text, MEASURED_BYTES, progress))
    trained = Trained(loaded.vocab_size, learned_from, seconds, measured)
    folder.write_json("training.json", {"recipe": asdict(recipe), **asdict(trained), "seconds": round(seconds, 1)})
    return trained


def refuse_existing(folder: Folder) -> None:
    """Raises RequestError where a tokenizer is there already."""
    if folder.exists("tokenizer.json"):
        raise RequestError(f"{folder.path}: there is a tokenizer already; name another folder")


def write_tokenizer(folder: Folder, content: bytes, configuration: dict[str, Any]) -> None:
    """Write what transformers loads; the tokenizer itself last."""
    folder.write_json("tokenizer_config.json", configuration)
    folder.write_bytes("tokenizer.json", content)


def _empty(recipe: Recipe) -> Any:
    tokenizers = imported("tokenizers")
    split = tokenizers.Regex(SPLIT.replace("DIGITS", DIGITS_MAX[recipe.digits]))
    before = tokenizers.pre_tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = before.Sequence(
        [before.Split(split, "isolated"), before.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = tokenizers.decoders.ByteLevel()
    return made


def _trainer(recipe: Recipe) -> Any:
    tokenizers = imported("tokenizers")
    return tokenizers.trainers.BpeTrainer(
        vocab_size=recipe.vocab_size,
        special_tokens=list(recipe.special_tokens),
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )


def _counted(batches: Iterator[Texts], n_bytes: dict[str, int]) -> Iterator[list[str]]:
    """The texts as Python strings; how many bytes they had, by language, is added up in `n_bytes`."""

    for batch in batches:
        for language in LANGUAGES:
            n_bytes[language] = n_bytes.get(language, 0) + text_bytes(batch.of(language))
        yield batch.texts.to_pylist()


def _configuration(recipe: Recipe) -> dict[str, Any]:
    end, *others = recipe.special_tokens
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": "<|pad|>" if "<|pad|>" in others else end,
        "additional_special_tokens": [token for token in others if token != "<|pad|>"],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1 << 30,
    }
