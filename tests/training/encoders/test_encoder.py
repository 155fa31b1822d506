"""Encoders as they are used: vectors do not depend on the rest of a batch; transformers alone makes the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from manifests.errors import RequestError
from tests.training import tiny
from training.encoders import encoder as module
from training.encoders.attention import see_both_ways
from training.encoders.encoder import TOKENS_AT_ONCE, EncoderSettings, batches_of, load_encoder
from training.encoders.pooling import TextIds, TextTokens, laid_out, vectors
from training.trainers import load_tokenizer

TEXTS = ["옹기는 숨을 쉬는 그릇이다", "x", *tiny.ENGLISH, *tiny.KOREAN]
SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": tiny.VOCABULARY, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
KINDS = ("Llama", "Mistral", "Qwen2", "Qwen3")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def encoder_of(folder: Path, kind: str, settings: EncoderSettings, is_causal: bool = False) -> Path:
    """A folder with an encoder of an architecture."""
    tiny.save_tokenizer(folder)
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SIZES, is_causal=is_causal)
    config.onggi_encoder = settings.model_dump()
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_do_not_depend_on_the_batch(tmp_path: Path, kind: str, pooling: Any) -> None:
    encoder = load_encoder(encoder_of(tmp_path, kind, EncoderSettings(pooling=pooling)))
    assert encoder.is_bidirectional and encoder.settings.pooling == pooling
    together, alone = encoder.encode(TEXTS), np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together.dtype == np.float32 and np.abs(together - alone).max() < 1e-6
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    longer = encoder.encode([text + " 끝" for text in TEXTS[:1]])
    assert np.abs(longer - together[:1]).max() > 1e-4


def test_many_texts_are_tokenised_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, told = load_encoder(encoder_of(tmp_path, "Llama", EncoderSettings())), list[int]()
    together = encoder.encode(TEXTS, "찾기: ")
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 3)
    most, tokens = list[int](), encoder._tokens

    def counted(texts: Sequence[str], instruction: str) -> list[TextIds]:
        most.append(len(texts))
        return tokens(texts, instruction)

    monkeypatch.setattr(encoder, "_tokens", counted)
    assert np.abs(encoder.encode(TEXTS, "찾기: ", told.append) - together).max() < 1e-6
    assert max(most) == 3 and sum(told) == sum(most) == len(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("is_causal", [False, True])
def test_transformers_alone_makes_the_same(tmp_path: Path, kind: str, attention: str, is_causal: bool) -> None:
    """What the guide tells those who have no Onggi: `AutoModel`, and the mean by hand, with and without padding."""
    encoder = load_encoder(encoder_of(tmp_path, kind, EncoderSettings(), is_causal))
    model = transformers.AutoModel.from_pretrained(tmp_path, attn_implementation=attention).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, padding_side="right")
    for texts in (TEXTS, TEXTS[:1]):
        batch = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.no_grad():
            states = model(**batch).last_hidden_state
        weights = batch["attention_mask"][:, :, None].float()
        means = torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)
        assert np.abs(means.numpy() - encoder.encode(texts)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_it_sees_both_ways_where_it_says_so(tmp_path: Path, kind: str) -> None:
    """The state of the first token knows the last one, also where nothing is padded."""
    for is_causal, sees in ((False, True), (True, False)):
        encoder = load_encoder(encoder_of(tmp_path / str(is_causal), kind, EncoderSettings(), is_causal))
        ids = torch.arange(10, 20)[None]
        changed = ids.clone()
        changed[0, -1] += 1
        one, other = (
            vectors(encoder.model, batch, encoder.model.config, "last")
            for batch in (
                {"input_ids": some, "n_before": torch.tensor([0]), "n_tokens": torch.tensor([1])}
                for some in (ids, changed)
            )
        )
        assert torch.equal(one, other)  # what lies behind a text's tokens is padding
        whole = [
            {"input_ids": some, "n_before": torch.tensor([0]), "n_tokens": torch.tensor([10])}
            for some in (ids, changed)
        ]
        firsts = [_first_state(encoder.model, batch) for batch in whole]
        assert (float((firsts[0] - firsts[1]).abs().max()) > 1e-5) is sees


def _first_state(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    found = []
    hook = model.norm.register_forward_hook(lambda _, __, out: found.append(out.detach()[0, 0]))
    vectors(model, batch, model.config, "mean")
    hook.remove()
    return found[0]


def test_instructions_are_read_and_no_part_of_the_mean(tmp_path: Path) -> None:
    encoder = load_encoder(encoder_of(tmp_path, "Llama", EncoderSettings()))
    tokens = TextTokens(encoder.tokenizer, 64, "mean")
    [text] = tokens(["빵과 밀가루"], "Find: ")
    n_before = len(encoder.tokenizer("Find: ", add_special_tokens=False)["input_ids"])
    assert text.n_before == n_before > 0
    with torch.no_grad():
        states = encoder.model(torch.tensor(text.ids)[None]).last_hidden_state[0, n_before:].mean(0)
    expected = torch.nn.functional.normalize(states, dim=0).numpy()
    assert encoder.encode(["빵과 밀가루"], "Find: ")[0] == pytest.approx(expected, abs=1e-5)
    assert np.abs(encoder.encode(["빵과 밀가루"])[0] - expected).max() > 1e-4


def test_the_beginning_and_the_end(tiny_tokenizer: Path) -> None:
    """What a tokenizer puts before each text is read and not pooled; `last` ends each text, also one that is cut."""
    tokenizer = load_tokenizer(str(tiny_tokenizer))
    last = TextTokens(tokenizer, 8, "last")
    short, cut = last(["a", "a long text that will not fit into eight tokens"])
    assert short.ids[-1] == cut.ids[-1] == tokenizer.eos_token_id and len(cut.ids) == 8
    batch = laid_out([short, cut], 0)
    assert batch["n_tokens"].tolist() == [2, 8] and batch["input_ids"].shape == (2, 8)


def test_control_tokens_in_a_text_are_text(tiny_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_tokenizer))
    [found] = TextTokens(tokenizer, 64, "mean")(["a <|endoftext|> b"])
    assert tokenizer.eos_token_id not in found.ids


def test_what_cannot_be_encoded(tmp_path: Path) -> None:
    encoder = load_encoder(encoder_of(tmp_path, "Llama", EncoderSettings(max_length=8)))
    assert encoder.encode([]).shape == (0, 32)
    with pytest.raises(RequestError, match=r"texts\[1\]: is empty"):
        encoder.encode(["a", " "])
    with pytest.raises(RequestError, match="leaves nothing of max_length 8"):
        encoder.encode(["a"], "an instruction that is far too long for it")


def test_settings_that_are_wrong(tmp_path: Path) -> None:
    encoder_of(tmp_path, "Llama", EncoderSettings())
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.onggi_encoder = {"pooling": "first"}
    config.save_pretrained(tmp_path)
    with pytest.raises(RequestError, match=r"onggi_encoder\.pooling"):
        load_encoder(tmp_path)


def test_a_language_model_is_pooled_as_it_is(tiny_model: Path) -> None:
    encoder = load_encoder(tiny_model)
    assert not encoder.is_bidirectional and encoder.settings == EncoderSettings()
    before = encoder.encode(TEXTS)
    see_both_ways(encoder.model)
    assert np.abs(encoder.encode(TEXTS) - before).max() > 1e-3


def test_batches_hold_all_and_not_too_much() -> None:
    lengths = np.random.default_rng(0).integers(1, 3000, 200).tolist()
    found = batches_of(lengths)
    assert sorted(number for batch in found for number in batch) == list(range(200))
    assert all(len(batch) * max(lengths[number] for number in batch) <= TOKENS_AT_ONCE for batch in found)
