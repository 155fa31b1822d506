"""Rewards are read at the last token, whatever is beside an answer and whatever it is padded with."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from manifests.errors import RequestError
from tests.training import tiny
from training.chat.prompts import Asked
from training.chat.rendering import answered_ids, prompt_ids
from training.chat.rows import Left
from training.measuring.answers import rewards
from training.online.prompts import read_questions
from training.online.sampling import Drawn
from training.preferences.best_of_n import rewards_of_answers
from training.preferences.padding import padding_token, set_padding
from training.preferences.reward_model import RewardModel
from training.summary_models import Answer
from training.trainers import load_tokenizer

ANSWERED = [
    ("hi", "hello"),
    ("hi", "안녕하세요"),
    ([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "x" * 60),
    ("hi", [{"role": "assistant", "content": "hello"}]),
]


WITHOUT_PAD = tiny.SPECIAL[1:]


def _saved(folder: Path, special: Sequence[str] = tiny.SPECIAL, pad: str | None = None) -> Path:
    """A reward model of random weights."""
    pads = 0 if special[0] == (pad or tiny.PAD) else None  # what comes first has the id 0
    tiny.save_reward_model(folder, special=special, initializer_range=0.2, pad_token_id=pads)
    tokenizer = load_tokenizer(str(folder))
    if pad:
        tokenizer.pad_token = pad
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["padded", "end", "without"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a padding token, with the end of sequence for one, and without any."""
    torch.set_num_threads(1)
    special = tiny.SPECIAL if request.param == "padded" else WITHOUT_PAD
    pad = tiny.END_OF_TEXT if request.param == "end" else None
    return _saved(tmp_path_factory.mktemp(request.param), special, pad)


def _at_the_last_token(folder: Path, ids: list[int]) -> float:
    """What vLLM's pooling runner reads: the head at the very last token."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return float(model.score(model.model(torch.tensor([ids])).last_hidden_state[0, -1]))


@pytest.mark.parametrize("has_template", [True, False])
def test_rewards_do_not_depend_on_the_batch(folder: Path, has_template: bool) -> None:
    model = RewardModel(folder, batch=4)
    if not has_template:
        model.tokenizer.chat_template = None
    answered = ANSWERED if has_template else ANSWERED[:2]
    rewards = model.score(answered)
    expected = [_at_the_last_token(folder, answered_ids(model.tokenizer, *one)) for one in answered]
    assert rewards == pytest.approx(expected, abs=2e-5)
    assert [model.score([one])[0] for one in answered] == pytest.approx(expected, abs=2e-5)
    assert len(set(rewards)) == (3 if has_template else 2)  # the last one is the first one, as messages
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


def _tokenizer(folder: Path, special: Sequence[str], template: str | None = "chatml") -> Any:
    return load_tokenizer(str(tiny.save_tokenizer(folder, special=special, template=template)))


def test_what_pads_never_ends_an_answer(tmp_path: Path) -> None:
    own = _tokenizer(tmp_path / "own", tiny.SPECIAL)
    assert padding_token(own) == set_padding(own) == own.pad_token_id == 0
    named = _tokenizer(tmp_path / "named", (*WITHOUT_PAD, "<|reserved_0|>"))
    named.pad_token = tiny.END_OF_TEXT
    assert named.convert_ids_to_tokens(padding_token(named)) == "<|reserved_0|>"
    special = _tokenizer(tmp_path / "special", WITHOUT_PAD)
    assert special.convert_ids_to_tokens(padding_token(special)) == tiny.START_OF_TURN
    plain = _tokenizer(tmp_path / "plain", (tiny.END_OF_TEXT,), template=None)
    assert padding_token(plain) != plain.eos_token_id
    set_padding(plain)
    assert plain.pad_token_id == padding_token(plain)


def test_what_is_no_reward_model_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match=r"no `config.json`"):
        RewardModel(tmp_path)
    with pytest.raises(RequestError, match=r"is no reward model.*LlamaForCausalLM.*stage of kind `reward`"):
        RewardModel(tiny_model)
    whole = _saved(tmp_path / "whole")
    shutil.copytree(whole, tmp_path / "headless")
    weights = load_file(whole / "model.safetensors")
    weights.pop("score.weight")
    save_file(weights, tmp_path / "headless/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RequestError, match=r"weights lack score.weight"):
        RewardModel(tmp_path / "headless")
    for file in whole.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(RequestError, match="its tokenizer cannot be read"):
        RewardModel(whole)


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = _saved(tmp_path)
    tokenizer = load_tokenizer(str(folder))
    tokenizer.add_tokens(["brand", "new"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(RequestError, match="its tokenizer has 602 tokens and the model 600"):
        RewardModel(folder)


TEMPLATE = (
    "{% for tool in tools or [] %}{{ tool['name'] }};{% endfor %}{% for message in messages %}"
    "{{ message['content'] }}<|im_end|>{% endfor %}"
)


def test_functions_that_might_be_called_are_read_wherever_answers_are_judged(tmp_path: Path) -> None:
    """Pairs with `tools` are trained on with them; so is what is drawn drawn, and judged."""
    folder = tiny.save_reward_model(tmp_path / "model", seed=3)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    model, tools = RewardModel(folder), ({"name": "search"},)
    alone, called = model.score([("?", "!")]), model.score([("?", "!")], [tools])
    assert alone != called == model.score_ids([answered_ids(model.tokenizer, "?", "!", tools)])
    asked, said = [Asked("?", None, tools, "")], Answer(prompt="?", answer="!", n_tokens=1, ended=True)
    assert rewards(model, asked, [said]) == called
    assert rewards_of_answers(model, asked, [[Drawn((5,), "!", True)]]).tolist() == [called]
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": "?", "tools": list(tools)}])
    [question] = read_questions("prompts.jsonl", str(tmp_path), model.tokenizer, 99, Left())
    assert question.tools == tools and question.ids == tuple(prompt_ids(model.tokenizer, "?", tools))
