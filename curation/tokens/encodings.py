"""What files of tiktoken ranks do not carry: how a text is cut before ranks apply, and their special tokens.

The expressions and ids are those of the encodings that OpenAI publishes and of Qwen's and Meta's rank files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

END_OF_TEXT = "<|endoftext|>"

_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTION,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTION,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


@dataclass(frozen=True)
class Pretokenizer:
    """How a text is cut into the pieces that ranks apply to."""

    expression: str
    """As tiktoken takes it."""
    gigatoken: str
    """What Gigatoken calls it."""


PRETOKENIZERS = {
    "gpt2": Pretokenizer(_GPT2, "gpt2"),
    "r50k": Pretokenizer(_GPT2, "gpt2"),
    "p50k": Pretokenizer(_GPT2, "gpt2"),
    "gpt4": Pretokenizer(_CL100K, "gpt4"),
    "cl100k": Pretokenizer(_CL100K, "gpt4"),
    "llama3": Pretokenizer(_CL100K, "gpt4"),
    "qwen2": Pretokenizer(_QWEN2, "qwen2"),
    "o200k": Pretokenizer(_O200K, "o200k"),
}


@dataclass(frozen=True)
class Encoding:
    """A file of ranks that is known by its name."""

    pretokenizer: str
    specials: Mapping[str, int] = field(default_factory=dict)


ENCODINGS = {
    "gpt2": Encoding("gpt2", {END_OF_TEXT: 50256}),
    "r50k_base": Encoding("gpt2", {END_OF_TEXT: 50256}),
    "p50k_base": Encoding("gpt2", {END_OF_TEXT: 50256}),
    "cl100k_base": Encoding(
        "cl100k",
        {
            END_OF_TEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": Encoding("o200k", {END_OF_TEXT: 199999, "<|endofprompt|>": 200018}),
    "qwen": Encoding("qwen2", {END_OF_TEXT: 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}),
}
