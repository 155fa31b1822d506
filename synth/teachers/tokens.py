"""The tokens of an answer, as the teacher saw them: what distillation learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from manifests.errors import RequestError

PROBE = (
    "옹기는 숨을 쉬는 그릇이다. 값은 12,000원(3.5% 할인)이고 ㅋㅋ 좋았다🙂\n"
    "def f(x):\n    return x ** 2  # Straße, naïve, 가나다 漢字\tThe quick brown fox's 1st jump..."
)
"""Korean and English, jamo, digits, emoji, code and spaces: two tokenizers that differ will hardly agree on this."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of a prompt and its answer with their probabilities, packed."""

    packed: str
    """Arrays of `synth.teachers.token_arrays` one after the other, little-endian, zstd, base64."""
    n_prompt: int
    n_output: int
    top: int
    """Likeliest tokens at each place."""
    tokenizer: str
    """XXH3-128 of the tokenizer.json that the ids are of."""


def tokenizer_digest(folder: str) -> str:
    """XXH3-128 of a folder's tokenizer.json.

    Raises:
        RequestError: there is none.
    """
    try:
        return xxhash.xxh3_128_hexdigest(Path(folder, "tokenizer.json").read_bytes())
    except OSError as error:
        raise RequestError(
            f"teacher.logprobs.tokenizer: {folder}/tokenizer.json cannot be read ({error.strerror}); expected a "
            "folder with the teacher's tokenizer.json"
        ) from error


def probe_ids(folder: str) -> list[int]:
    """The probe in the ids of a folder's tokenizer, without special tokens.

    Raises:
        RequestError: `tokenizers` is not installed, or the file is none.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise RequestError("teacher.logprobs needs the library tokenizers: pip install 'onggi[mix]'") from error
    try:
        return list(Tokenizer.from_file(f"{folder}/tokenizer.json").encode(PROBE, add_special_tokens=False).ids)
    except Exception as error:  # the library raises nothing more special
        raise RequestError(f"{folder}/tokenizer.json: is no tokenizer: {error}") from error


def check_ids(own: Sequence[int], servers: Any, folder: str) -> None:
    """Check that the server's tokenizer is the local one.

    Raises:
        RequestError: it is not; says where they part.
    """
    if servers == list(own):
        return
    there = servers if isinstance(servers, list) else [servers]
    place = next((i for i, pair in enumerate(zip(own, there, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(own), len(there)) if place is None else place
    raise RequestError(
        f"teacher.logprobs.tokenizer: {folder} is not the teacher's tokenizer: of a probe, token {place} is "
        f"{(*own, None)[place]} here and {(*there, None)[place]} at the server; name the folder with the tokenizer "
        "that the server loads"
    )
