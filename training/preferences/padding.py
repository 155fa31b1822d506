"""A token to pad with, that no answered prompt ends with."""

from typing import Any

from manifests.errors import RequestError
from training.chat.rendering import Prompt, answered_ids, end_ids

NAMES_OF_PADDING = ("pad", "reserved", "unused")
"""What a special token is called that no text has."""


def padding_token(tokenizer: Any) -> int:
    """A token to pad with that never ends an answered prompt: the tokenizer's own if it is one, else another.

    Raises:
        RequestError: there is none.
    """
    ends = set(end_ids(tokenizer)) | set(_last_tokens(tokenizer))
    own = tokenizer.pad_token_id
    special = sorted({*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder})
    named = [one for one in special if any(word in _name(tokenizer, one) for word in NAMES_OF_PADDING)]
    choices = [own, *named, tokenizer.unk_token_id, tokenizer.bos_token_id, *special, *range(len(tokenizer))]
    found = next((one for one in choices if one is not None and one not in ends), None)
    if found is None:
        raise RequestError("the tokenizer has no token beside the ones that end answers")
    return int(found)


def _name(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token)).lower()


def _last_tokens(tokenizer: Any) -> list[int]:
    """The last token of an answered prompt, which may be a line break behind the end of the turn."""
    prompt: Prompt = "." if tokenizer.chat_template is None else [{"role": "user", "content": "."}]
    try:
        return answered_ids(tokenizer, prompt, ".")[-1:]
    except RequestError:
        return []


def set_padding(tokenizer: Any) -> int:
    """Give a tokenizer such a token, and return its id; TRL would take the end-of-sequence token."""
    token = padding_token(tokenizer)
    if token != tokenizer.pad_token_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(token)
    return token
