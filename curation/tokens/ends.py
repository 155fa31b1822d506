"""Which token ends a document, which begins one, and what padding is filled with."""

from collections.abc import Callable

from curation.tokens.encodings import END_OF_TEXT
from curation.tokens.files import TokenizerFile
from manifests.errors import RequestError

DOCUMENT_ENDS = (END_OF_TEXT, "<|end_of_text|>", "<|end▁of▁sentence|>", "[EOS]", "<eos>", "</s>")
"""What tokenizers call the end of a text."""
TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<turn|>",
    "<|eot|>",
    "[|endofturn|]",
    "<|end|>",
)
"""What chat templates end a turn with. Tokenizers of chat models call these their end of text."""

FindId = Callable[[str], int | None]


def end_of_document(file: TokenizerFile, eod: str | None, id_of: FindId) -> int:
    """The id of the token that ends a document.

    It is the manifest's `eod`; else what the configuration beside the file calls end of text, unless that ends turns
    of a chat; else the one well-known end of text that the tokenizer has.

    Raises:
        RequestError: there is no such token, or none can be chosen; the message lists candidates.
    """
    if eod is not None:
        return _named(file, "eod", eod, id_of)
    configured = configured_token(file, "eos_token")
    if configured is not None and configured not in TURN_ENDS:
        return _named(file, "eos_token of its configuration", configured, id_of)
    known = [token for token in DOCUMENT_ENDS if token in file.specials or _is_added(file, token)]
    if configured is None and isinstance(end_id := file.settings.get("eos_token_id"), int):
        return end_id
    if configured is None and len(known) == 1:
        return _named(file, "eod", known[0], id_of)
    said = f"its configuration names {configured!r}, which ends turns of a chat" if configured else "it names none"
    raise RequestError(
        f"{file.path}: which token ends a document? {said}; name `eod` of the tokenizer, one of "
        f"{', '.join(_candidates(file, known, configured)) or 'its tokens'}"
    )


def beginning_of_document(file: TokenizerFile, bos: str | None, id_of: FindId) -> int | None:
    """The id of the token that begins each document, where the manifest names one.

    Raises:
        RequestError: there is no such token.
    """
    return None if bos is None else _named(file, "bos", bos, id_of)


def padding(file: TokenizerFile, eod_id: int, id_of: FindId) -> int:
    """The id that padding is filled with: the tokenizer's own, else that of the end of a document."""
    configured = configured_token(file, "pad_token")
    found = None if configured is None else id_of(configured)
    return eod_id if found is None else found


def configured_token(file: TokenizerFile, name: str) -> str | None:
    """What the configuration beside a tokenizer, or a SentencePiece model itself, calls its `name`."""
    value = file.settings.get(name)
    if value is None and file.kind == "sentencepiece":
        id = {"eos_token": file.processor.eos_id, "pad_token": file.processor.pad_id}[name]()
        return file.pieces[id] if id >= 0 else None
    if value is None and file.kind == "tiktoken" and name == "eos_token":
        return END_OF_TEXT if END_OF_TEXT in file.specials else None
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) and value else None


def _named(file: TokenizerFile, what: str, token: str, id_of: FindId) -> int:
    found = id_of(token)
    if found is None:
        candidates = ", ".join(_candidates(file, [], None)) or "none"
        raise RequestError(f"{file.path}: {what}: there is no token {token!r}; special tokens: {candidates}")
    return found


def _is_added(file: TokenizerFile, token: str) -> bool:
    return any(added.content == token for added in file.added)


def _candidates(file: TokenizerFile, known: list[str], configured: str | None) -> list[str]:
    """What could be named, the likeliest first; a tokenizer may have hundreds of special tokens."""
    others = [token for token in file.specials if "reserved" not in token and "unused" not in token]
    found = [*known, *([configured] if configured else []), *others]
    return [repr(token) for token in dict.fromkeys(found)][:12]
