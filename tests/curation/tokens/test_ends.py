"""Which token ends a document: what was said, what the configuration says, or a question."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError
from tests.curation.tokens.small import byte_level, ranks, sentencepiece_model, settings

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")

CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|reserved_0|>"]


@pytest.mark.parametrize(
    ("special", "config", "eod", "expected"),
    [
        (CHAT, {"eos_token": "<|im_end|>"}, "<|endoftext|>", "<|endoftext|>"),
        (CHAT, {"eos_token": "<|endoftext|>"}, None, "<|endoftext|>"),
        (CHAT, {"eos_token": {"content": "<|endoftext|>", "lstrip": False}}, None, "<|endoftext|>"),
        (CHAT, {}, None, "<|endoftext|>"),
        (["[END]", "</s>"], {}, None, "</s>"),
        (["[END]", "</s>"], {"eos_token": "[END]"}, None, "[END]"),
    ],
)
def test_the_end_is_found(
    tmp_path: Path, special: list[str], config: dict[str, Any], eod: str | None, expected: str
) -> None:
    tokenizer = load_tokenizer(settings(byte_level(tmp_path, special, **config), eod=eod), "/")
    assert tokenizer.token(tokenizer.eod_id) == expected
    assert tokenizer.pad_id == tokenizer.eod_id and tokenizer.bos_id is None


@pytest.mark.parametrize(
    ("special", "config", "eod", "said"),
    [
        (CHAT, {"eos_token": "<|im_end|>"}, None, "names '<|im_end|>', which ends turns of a chat; name `eod` of the "
         "tokenizer, one of '<|endoftext|>', '<|im_end|>', '<|im_start|>'"),
        (["</s>", "<eos>"], {}, None, "it names none; name `eod` of the tokenizer, one of '<eos>', '</s>'"),
        (["[END]"], {}, None, "one of '[END]'"),
        (CHAT, {}, "</s>", "eod: there is no token '</s>'; special tokens: '<|endoftext|>', '<|im_start|>'"),
        (CHAT, {"eos_token": "</s>"}, None, "eos_token of its configuration: there is no token '</s>'"),
    ],
)  # fmt: skip
def test_or_it_is_asked_for(
    tmp_path: Path, special: list[str], config: dict[str, Any], eod: str | None, said: str
) -> None:
    with pytest.raises(RequestError) as error:
        load_tokenizer(settings(byte_level(tmp_path, special, **config), eod=eod), "/")
    assert said in str(error.value)
    assert "reserved" not in str(error.value)


def test_the_model_may_say_it(tmp_path: Path) -> None:
    byte_level(tmp_path, ["[A]", "[B]"])
    (tmp_path / "generation_config.json").write_bytes(orjson.dumps({"eos_token_id": 1}))
    assert load_tokenizer(settings(tmp_path), "/").eod_id == 1
    (tmp_path / "generation_config.json").write_bytes(orjson.dumps({"eos_token_id": [0, 1]}))
    with pytest.raises(RequestError, match="which token ends a document"):
        load_tokenizer(settings(tmp_path), "/")
    (tmp_path / "generation_config.json").write_bytes(orjson.dumps({"eos_token_id": 5000}))
    with pytest.raises(RequestError, match="eos_token_id of its configuration: there is no id 5000"):
        load_tokenizer(settings(tmp_path), "/")
    (tmp_path / "generation_config.json").write_bytes(b"[]")
    with pytest.raises(RequestError, match="expected a JSON object"):
        load_tokenizer(settings(tmp_path), "/")


def test_beginnings_and_padding(tmp_path: Path) -> None:
    folder = byte_level(tmp_path, [*CHAT, "<pad>"], eos_token="<|endoftext|>", pad_token="<pad>")
    tokenizer = load_tokenizer(settings(folder, bos="<|im_start|>"), "/")
    assert tokenizer.bos_id is not None and tokenizer.token(tokenizer.bos_id) == "<|im_start|>"
    assert tokenizer.token(tokenizer.pad_id) == "<pad>"
    with pytest.raises(RequestError, match="bos: there is no token '<s>'"):
        load_tokenizer(settings(folder, bos="<s>"), "/")


def test_models_and_ranks_know_their_end(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    pytest.importorskip("tiktoken")
    model = load_tokenizer(settings(sentencepiece_model(tmp_path / "a.model"), bos="<s>"), "/")
    assert (model.token(model.eod_id), model.eod_id, model.bos_id) == ("</s>", 2, 1)
    own = load_tokenizer(settings(ranks(tmp_path / "a.tiktoken"), pretokenizer="gpt2"), "/")
    assert (own.token(own.eod_id), own.eod_id) == ("<|endoftext|>", 265)
    assert own.vocab_size == 266
