"""Rewards are read at the last token, whatever is beside an answer and whatever it is padded with."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

from manifests.errors import RequestError
from tests.training.toy_models import CHATML, byte_tokenizer, saved, tiny_llama, tiny_reward
from training.padding import padding_token
from training.rendering import answered_ids
from training.reward_model import RewardModel

ANSWERED = [
    ("hi", "hello"),
    ("hi", "안녕하세요"),
    ([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "x" * 60),
    ("hi", [{"role": "assistant", "content": "hello"}]),
]


@pytest.fixture(scope="module", params=["padded", "end", "without"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a padding token, with the end of sequence for one, and without any."""
    torch.set_num_threads(1)
    tokenizer = byte_tokenizer(pad=request.param == "padded")
    if request.param == "end":
        tokenizer.pad_token = tokenizer.eos_token
    return saved(tmp_path_factory.mktemp(request.param), tiny_reward(tokenizer), tokenizer)


def _at_the_last_token(folder: Path, ids: list[int]) -> float:
    """What vLLM's pooling runner reads: the head at the very last token."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return float(model.score(model.model(torch.tensor([ids])).last_hidden_state[0, -1]))


@pytest.mark.parametrize("template", [CHATML, None])
def test_rewards_do_not_depend_on_the_batch(folder: Path, template: str | None) -> None:
    model = RewardModel(folder, batch=4)
    model.tokenizer.chat_template = template
    answered = ANSWERED if template else ANSWERED[:2]
    rewards = model.score(answered)
    expected = [_at_the_last_token(folder, answered_ids(model.tokenizer, *one)) for one in answered]
    assert rewards == pytest.approx(expected, abs=2e-5)
    assert [model.score([one])[0] for one in answered] == pytest.approx(expected, abs=2e-5)
    assert len(set(rewards)) == (3 if template else 2)  # the last one is the first one, as messages
    assert model.score([]) == []


def test_padding_on_the_left_changes_nothing(folder: Path) -> None:
    model = RewardModel(folder)
    rows = [answered_ids(model.tokenizer, *one) for one in ANSWERED]
    width = max(map(len, rows)) + 3
    ids = torch.tensor([[model.pad_id] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with torch.no_grad():
        rewards = model.model(input_ids=ids, attention_mask=mask).logits[:, 0].tolist()
    assert rewards == pytest.approx(model.score_ids(rows), abs=2e-5)


def test_what_pads_never_ends_an_answer() -> None:
    named = byte_tokenizer(pad=False)
    named.add_special_tokens({"additional_special_tokens": ["<|reserved_0|>"]}, replace_extra_special_tokens=False)
    named.pad_token = "<|end|>"
    assert named.convert_ids_to_tokens(padding_token(named)) == "<|reserved_0|>"
    own = byte_tokenizer()
    assert padding_token(own) == own.pad_token_id
    without = byte_tokenizer(pad=False, template=None)
    assert without.convert_ids_to_tokens(padding_token(without)) == "<|begin|>"


def test_what_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    with pytest.raises(RequestError, match=r"no `config.json`"):
        RewardModel(tmp_path)
    with pytest.raises(RequestError, match=r"is no reward model.*LlamaForCausalLM.*stage of kind `reward`"):
        RewardModel(saved(tmp_path / "policy", tiny_llama(tokenizer), tokenizer))
    headless = tiny_reward(tokenizer)
    headless.config.architectures = ["LlamaForSequenceClassification"]
    weights = {name: one for name, one in headless.state_dict().items() if not name.startswith("score")}
    headless.save_pretrained(tmp_path / "headless", state_dict=weights)
    tokenizer.save_pretrained(tmp_path / "headless")
    with pytest.raises(RequestError, match=r"weights lack score.weight"):
        RewardModel(tmp_path / "headless")
    tiny_reward(tokenizer).save_pretrained(tmp_path / "alone")
    with pytest.raises(RequestError, match="no tokenizer beside the model"):
        RewardModel(tmp_path / "alone")


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    tokenizer: PreTrainedTokenizerFast = byte_tokenizer()
    folder = saved(tmp_path, tiny_reward(tokenizer), tokenizer)
    tokenizer.add_tokens(["brand", "new"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(RequestError, match="its tokenizer has 263 tokens and the model 261"):
        RewardModel(folder)
