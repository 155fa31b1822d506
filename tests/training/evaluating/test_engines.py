"""Answers of a model in this process: batched, drawn and stopped, as each prompt alone would have them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.evaluating.questions import job_of
from training.evaluating.engine import Engine, Said
from training.evaluating.engines import open_engine
from training.evaluating.reading import Rendered
from training.trainers import load_model, load_tokenizer

PROMPTS = [
    "옹기",
    "The quick brown fox jumps over",
    "한국어 말뭉치를 다듬는 일은 장을 담그는 일과 같습니다. ㅋㅋㅋ 👩‍👩‍👧",
    "a",
    "",
    "한글 자모 ㅎㅏㄴ",
]


@pytest.fixture(scope="module")
def engine(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_engine(job_of(tiny_model, tmp_path_factory.mktemp("engine"), batch=3)) as opened:
        yield opened


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_batch_gives_what_each_alone_gives(engine: Engine, temperature: float) -> None:
    together = engine.write(PROMPTS, 20, temperature=temperature, seed=5)
    assert len({said.text for said in together}) > 3
    if not temperature:
        assert together == [engine.write([prompt], 20)[0] for prompt in PROMPTS]
    # at a temperature the place counts too, so that the same prompt twice is drawn twice
    assert together == engine.write([*PROMPTS, "one more"], 20, temperature=temperature, seed=5)[: len(PROMPTS)]


def test_greedy_answers_are_those_of_a_plain_loop(engine: Engine, tiny_model: Path) -> None:
    """The independent oracle: no cache, no padding, the likeliest token again and again."""
    model, tokenizer = load_model(str(tiny_model)).eval(), load_tokenizer(str(tiny_model))
    for prompt, said in zip(PROMPTS[:4], engine.write(PROMPTS[:4], 12), strict=True):
        ids = list(tokenizer(prompt)["input_ids"])
        n_before = len(ids)
        with torch.no_grad():
            while len(ids) - n_before < 12:
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
                if ids[-1] in (1, 3):
                    break
        assert said.text == tokenizer.decode(ids[n_before:], skip_special_tokens=True)
        assert said.n_tokens == len(ids) - n_before
        assert said.ended == (ids[-1] in (1, 3))


def test_draws_depend_on_the_seed_and_the_place(engine: Engine) -> None:
    one, other = engine.write(["가", "가"], 16, temperature=1.0, seed=1)
    assert one != other
    assert engine.write(["가", "가"], 16, temperature=1.0, seed=1) == [one, other]
    assert engine.write(["가"], 16, temperature=1.0, seed=2) != [one]


def test_an_answer_ends_at_a_stop(engine: Engine) -> None:
    (whole,) = engine.write([PROMPTS[1]], 24)
    stop = whole.text[len(whole.text) // 2 :][:3]
    others = engine.write([PROMPTS[1], PROMPTS[0]], 24, stop=[stop, "never in it"])
    assert others[0].text == whole.text[: whole.text.index(stop)]
    assert others[0].ended
    assert others[0].n_tokens < 24
    (alone,) = engine.write([PROMPTS[0]], 24, stop=[stop])
    assert others[1] == alone, "a stop of one row leaves the others alone"


def test_an_answer_that_is_cut_is_told(engine: Engine) -> None:
    (said,) = engine.write([PROMPTS[2]], 2)
    assert (said.ended, said.n_tokens) == (False, 2)


def test_an_answer_ends_at_the_end_of_a_turn(tiny_model: Path, tmp_path: Path) -> None:
    """Also where the generation config names only the end of texts."""
    model, tokenizer = load_model(str(tiny_model)), load_tokenizer(str(tiny_model))
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.weight[3] = model.model.norm.weight  # the likeliest token is that of the end of a turn, or 0
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with open_engine(job_of(tmp_path / "model", tmp_path)) as engine:
        found = engine.write(PROMPTS, 6)
    assert Said("", 1, True) in found


def test_a_long_prompt_loses_its_beginning(engine: Engine) -> None:
    tail = " the end of a prompt"
    long = "다" * 3000 + tail
    n_kept = engine.window - 8
    ids = engine.tokenizer(long)["input_ids"]
    assert engine.n_tokens(long) == len(ids) > engine.window == 512
    kept = engine.tokenizer.decode(ids[-n_kept:])
    assert engine.write([long], 8) == engine.write([kept], 8)
    with pytest.raises(RequestError, match="an answer of 512 tokens leaves no room for a prompt in the model's 512"):
        engine.write(["a"], 512)


def test_told_of_progress(engine: Engine) -> None:
    told = list[tuple[int, int]]()
    engine.write(PROMPTS, 2, told=lambda done, total: told.append((done, total)))
    assert told == [(3, 6), (6, 6)]


def test_conversations_are_rendered(engine: Engine, tmp_path: Path) -> None:
    prompt = engine.rendered(tiny.conversation("안녕?", system="Be kind."))
    assert prompt == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant\n"
    )
    tiny.save_model(tmp_path / "base", template=None)
    with (
        open_engine(job_of(tmp_path / "base", tmp_path)) as base,
        pytest.raises(RequestError, match="base: the model has no chat template"),
    ):
        base.rendered(tiny.conversation("안녕?"))


def test_a_template_writes_special_tokens_itself(tiny_model: Path, tmp_path: Path) -> None:
    """A tokenizer that puts a token before every text: never twice, and never before a conversation."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.bos_token = tiny.END_OF_TEXT
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tiny.END_OF_TEXT} $A", special_tokens=[(tiny.END_OF_TEXT, 1)]
    )
    load_model(str(tiny_model)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with open_engine(job_of(tmp_path / "model", tmp_path)) as engine:
        assert engine.n_tokens("a") == 2
        assert engine.n_tokens(f"{tiny.END_OF_TEXT}a") == 2
        conversation = engine.rendered(tiny.conversation("a"))
        assert isinstance(conversation, Rendered)
        assert engine.n_tokens(conversation) + 1 == engine.n_tokens(str(conversation)), "as a text it gets one"


def test_what_cannot_be_opened(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no model"), open_engine(job_of(tmp_path, tmp_path)):
        pass
    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.eos_token = None
    load_model(str(tiny_model)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with (
        pytest.raises(RequestError, match="its tokenizer has no `eos_token`"),
        open_engine(job_of(tmp_path / "model", tmp_path)),
    ):
        pass
