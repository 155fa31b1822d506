"""Small tokenizers, made in the test, of each kind that there is."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from manifests import schema_mixture

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and then it doesn't.",
    "한국어 말뭉치를 다듬는 일은 장을 담그는 일과 같습니다.",
    "안녕하세요 안녕하세요 한국어 한국어 문서를 읽습니다 ㅋㅋㅋ",
    "def tokens(text):\n    return [12345, 67890]\n",
    "the the then there these they them",
] * 3
SPLIT = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


def large(texts: Sequence[str | None]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def byte_level(folder: Path, special: Sequence[str] = ("<|endoftext|>",), **config: Any) -> Path:
    """A folder with a byte-level `tokenizer.json`, and a configuration where one is given."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    if config:
        (folder / "tokenizer_config.json").write_bytes(orjson.dumps(config))
    return folder


def edited(folder: Path, **changes: Any) -> Path:
    """The same folder, with other values at the top of its `tokenizer.json`."""
    path = folder / "tokenizer.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))
    return folder


def sentencepiece_model(path: Path, kind: str = "bpe", byte_fallback: bool = True, **more: Any) -> Path:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        model_type=kind,
        vocab_size=400 if byte_fallback else 130,
        byte_fallback=byte_fallback,
        hard_vocab_limit=False,
        minloglevel=2,
        **({"normalization_rule_name": "identity", "remove_extra_whitespaces": False} | more),
    )
    path.write_bytes(model.getvalue())
    return path


def ranks(path: Path) -> Path:
    """Ranks of all bytes and of some merges."""
    merged = [b"th", b"he", b"the", b" the", "한".encode()[:2], "한".encode(), b"12", b"123", b"  "]
    tokens = [bytes([byte]) for byte in range(256)] + merged
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)))
    return path


def settings(path: Path, **more: Any) -> schema_mixture.Tokenizer:
    return schema_mixture.Tokenizer(path=str(path), **more)
