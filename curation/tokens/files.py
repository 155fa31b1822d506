"""The file of a tokenizer: of which kind it is, and the part of it that has to be known without loading it whole."""

import base64
import binascii
import importlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import orjson

from curation.tokens.encodings import ENCODINGS, END_OF_TEXT, PRETOKENIZERS
from manifests.errors import RequestError

Kind = Literal["json", "sentencepiece", "tiktoken"]

ADDED_TOKENS = re.compile(rb'"added_tokens"\s*:\s*(?=\[)')
"""The key; within a string of JSON its quotes would be escaped, so that this finds no other place."""
CONFIGURATIONS = ("generation_config.json", "special_tokens_map.json", "tokenizer_config.json")
"""What lies beside a tokenizer, the last of them first."""
RANK = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")
"""The first line of a file of ranks: bytes in base64 and their rank."""


@dataclass(frozen=True)
class AddedToken:
    """A token that a tokenizer looks for before it cuts a text."""

    content: str
    id: int
    is_special: bool


@dataclass(frozen=True)
class TokenizerFile:
    """What a tokenizer's file holds, and how it has to be read."""

    path: Path
    kind: Kind
    content: bytes = field(repr=False)
    pretokenizer: str | None = None
    """Of ranks only: one of PRETOKENIZERS."""
    rank_specials: dict[str, int] = field(default_factory=dict)
    """Of ranks only: special tokens, which the file does not hold."""

    @cached_property
    def added(self) -> list[AddedToken]:
        """The added tokens of a `tokenizer.json`, by their ids.

        Raises:
            RequestError: they are not written as such tokens are.
        """
        if self.kind != "json":
            return []
        try:
            tokens = [
                AddedToken(str(token["content"]), int(token["id"]), bool(token.get("special", False)))
                for token in _added_tokens(self.content)
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RequestError(f"{self.path}: `added_tokens` cannot be read: {error!r}") from error
        return sorted(tokens, key=lambda token: token.id)

    @cached_property
    def specials(self) -> dict[str, int]:
        """Ids of the special tokens, which no text gives."""
        match self.kind:
            case "json":
                return {token.content: token.id for token in self.added if token.is_special}
            case "sentencepiece":
                controls = (id for id in range(len(self.pieces)) if self.processor.is_control(id))
                return {self.pieces[id]: id for id in controls}
            case "tiktoken":
                return dict(self.rank_specials)

    @property
    def unknown(self) -> str | None:
        """What stands for text that has no token, of a `tokenizer.json`."""
        return self.parsed["model"].get("unk_token") if self.kind == "json" else None

    @cached_property
    def processor(self) -> Any:
        """SentencePiece's own reader of a `.model`.

        Raises:
            RequestError: it is not installed, or cannot read the file.
        """
        library = imported("sentencepiece")
        try:
            return library.SentencePieceProcessor(model_proto=self.content)
        except RuntimeError as error:
            raise RequestError(f"{self.path}: is no SentencePiece model: {error}") from error

    @cached_property
    def pieces(self) -> list[str]:
        """The pieces of a SentencePiece model, by their ids."""
        return [str(self.processor.id_to_piece(id)) for id in range(self.processor.get_piece_size())]

    @cached_property
    def parsed(self) -> dict[str, Any]:
        """The whole value of a `tokenizer.json`: parsed only where it is needed, since that takes long.

        Raises:
            RequestError: it is no JSON object with a model.
        """
        try:
            value = orjson.loads(self.content)
        except ValueError as error:
            raise RequestError(f"{self.path}: is no JSON: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
            raise RequestError(f"{self.path}: is no `tokenizer.json`: it has no `model`")
        return value

    @cached_property
    def ranks(self) -> dict[bytes, int]:
        """Ranks by bytes.

        Raises:
            RequestError: a line is no rank.
        """
        ranks = dict[bytes, int]()
        for number, line in enumerate(self.content.splitlines(), 1):
            if not line:
                continue
            try:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
            except (ValueError, binascii.Error) as error:
                raise RequestError(f"{self.path}:{number}: expected bytes in base64 and a rank: {error}") from error
        return ranks

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the configuration files beside it say, the tokenizer's own before the others.

        Raises:
            RequestError: one is no JSON object.
        """
        found: dict[str, Any] = {}
        for name in CONFIGURATIONS:
            path = self.path.parent / name
            if self.kind != "tiktoken" and path.is_file():
                found |= _json_object(path)
        return found


def read_tokenizer_file(path: Path, pretokenizer: str | None) -> TokenizerFile:
    """The file at `path`, or the `tokenizer.json` in the folder there.

    Raises:
        RequestError: there is no tokenizer, or it is not known how its ranks apply.
    """
    path = _file_at(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from error
    kind = _kind(path, content)
    if kind != "tiktoken":
        if pretokenizer:
            raise RequestError(f"{path}: carries its own pretokenizer; leave out `pretokenizer: {pretokenizer}`")
        return TokenizerFile(path, kind, content)
    return _ranks_file(path, content, pretokenizer)


def _file_at(path: Path) -> Path:
    if not path.exists():
        raise RequestError(
            f"{path}: there is no tokenizer; expected a tokenizer.json or its folder, a SentencePiece .model or "
            ".tiktoken ranks"
        )
    if not path.is_dir():
        return path
    inside = path / "tokenizer.json"
    if not inside.is_file():
        raise RequestError(f"{path}: this folder holds no tokenizer.json; name the file of the tokenizer")
    return inside


def _kind(path: Path, content: bytes) -> Kind:
    """By what a file begins with, since `tokenizer.model` may be either SentencePiece's or ranks."""
    if content.lstrip()[:1] == b"{":
        return "json"
    if RANK.match(content):
        return "tiktoken"
    if content[:1] == b"\x0a":  # field 1 of the protobuf, its first piece
        return "sentencepiece"
    raise RequestError(
        f"{path}: is no tokenizer; expected a `tokenizer.json`, a SentencePiece `.model` or `.tiktoken` ranks"
    )


def _ranks_file(path: Path, content: bytes, pretokenizer: str | None) -> TokenizerFile:
    """Ranks with what belongs to them by name; in others, the end of text is the first id after the ranks."""
    if pretokenizer is None:
        if path.stem not in ENCODINGS:
            raise RequestError(
                f"{path}: ranks do not tell how a text is cut; name its `pretokenizer`, one of "
                f"{', '.join(PRETOKENIZERS)} (or the file: {', '.join(ENCODINGS)})"
            )
        known = ENCODINGS[path.stem]
        return TokenizerFile(path, "tiktoken", content, known.pretokenizer, dict(known.specials))
    if pretokenizer not in PRETOKENIZERS:
        raise RequestError(f"pretokenizer: {pretokenizer!r} is not known; valid: {', '.join(PRETOKENIZERS)}")
    file = TokenizerFile(path, "tiktoken", content, pretokenizer)
    own = {END_OF_TEXT: max(file.ranks.values()) + 1}
    named = ENCODINGS.get(path.stem)
    specials = dict(named.specials) if named and named.pretokenizer == pretokenizer else own
    return TokenizerFile(path, "tiktoken", content, pretokenizer, specials)


def _added_tokens(content: bytes) -> list[dict[str, Any]]:
    """The value of `added_tokens`, without parsing the vocabulary."""
    found = list(ADDED_TOKENS.finditer(content))
    if len(found) == 1:
        start = found[0].end()
        end = _array_end(content, start)
        return list(orjson.loads(content[start:end]))
    return list(orjson.loads(content).get("added_tokens") or [])


_TO_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]]', re.DOTALL)


def _array_end(content: bytes, start: int) -> int:
    """Where the array that begins at `start` ends."""
    depth = 0
    for found in _TO_BRACKET.finditer(content, start):
        depth += {b"[": 1, b"]": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    raise ValueError("it has no end")


def without_special_tokens(file: TokenizerFile) -> bytes:
    """A `tokenizer.json` that takes the special tokens written in a text for text."""
    found = list(ADDED_TOKENS.finditer(file.content))
    if len(found) == 1:
        start = found[0].end()
        end = _array_end(file.content, start)
        kept = [token for token in orjson.loads(file.content[start:end]) if not token.get("special", False)]
        return b"".join([file.content[:start], orjson.dumps(kept), file.content[end:]])
    kept = [token for token in file.parsed.get("added_tokens") or [] if not token.get("special", False)]
    return orjson.dumps(file.parsed | {"added_tokens": kept})


def imported(name: str) -> Any:
    """A library of the extra `mix`.

    Raises:
        RequestError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RequestError(f"tokenizers need {name}, which is not installed: pip install 'onggi[mix]'") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"{path}: expected a JSON object")
    return value
