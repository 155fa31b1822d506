"""Measures of sets against transformers' own loss, one document at a time, and against the harness's conventions."""

from math import log
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifests.engine import silent
from manifests.schema_training_gates import Validation
from tests.curation.mixture.mixtures import write_mixture
from tests.training import tiny
from training.measuring import log_likelihood
from training.measuring.choice_prompts import continuations_of, credit, prompt_of
from training.measuring.open_model import OpenModel
from training.measuring.set_measures import measure_set, windows
from training.measuring.validation_sets import Question

TEXTS = [*tiny.KOREAN, *tiny.ENGLISH, "<|endoftext|> is text here", "가" * 300, "x"]


def quiet(done: int, total: int) -> None:
    silent("", done, total)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("measured")
    tiny.write_jsonl(path / "text.jsonl", [{"text": text} for text in TEXTS])
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> OpenModel:
    return OpenModel(str(tiny.save_model(folder / "model", max_position_embeddings=64, initializer_range=0.2)))


def loss_of(model: OpenModel, ids: list[int]) -> float:
    """transformers' own loss, in nats over all tokens but the first."""
    with torch.no_grad():
        found = model.model(torch.tensor([ids]), labels=torch.tensor([ids])).loss
    return float(found) * (len(ids) - 1)


@pytest.mark.parametrize("tokens_at_once", [1, 4096])
def test_loss_on_text(model: OpenModel, folder: Path, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(log_likelihood.TOKENS_AT_ONCE, "cpu", tokens_at_once)
    found = measure_set(model, Validation(name="t", text="text.jsonl"), str(folder), quiet)
    expected, n_tokens = [], 0
    for text in TEXTS:
        ids = [1, *model.tokenizer(text, split_special_tokens=True)["input_ids"]]  # <|endoftext|>, as there is no BOS
        n_tokens += len(ids) - 1
        pieces = [ids[start : start + 65] for start in range(0, len(ids) - 1, 64)]
        expected.append(sum(loss_of(model, piece) for piece in pieces))
    assert found["units"] == pytest.approx(expected, rel=1e-5)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    figures = found["figures"]
    assert figures["loss"] == pytest.approx(sum(expected) / n_tokens, rel=1e-6)
    assert figures["bits_per_byte"] == pytest.approx(sum(expected) / log(2) / n_bytes, rel=1e-6)
    assert (figures["n_tokens"], figures["n_bytes"], figures["n_documents"]) == (n_tokens, n_bytes, len(TEXTS))
    assert figures["window"] == 64
    assert 0 < figures["loss_se"] < figures["loss"]


def test_special_tokens_in_a_text_are_text(model: OpenModel) -> None:
    assert tiny.END_OF_TEXT in model.tokenizer.all_special_tokens
    assert 1 not in model.ids(f"a{tiny.END_OF_TEXT}b")
    assert model.tokenizer.decode(model.ids(f"a{tiny.END_OF_TEXT}b")) == f"a{tiny.END_OF_TEXT}b"


@given(st.integers(0, 40), st.integers(1, 12))
def test_windows_lose_nothing_and_count_nothing_twice(n: int, window: int) -> None:
    rows = windows(list(range(n)), window)
    assert [id_ for row in rows for id_ in row.ids[len(row.ids) - row.n_counted :]] == list(range(1, n))
    assert all(len(row.ids) - 1 <= window for row in rows)
    assert all(row.n_counted >= 1 for row in rows)


def mixture_of(folder: Path, model: OpenModel) -> Path:
    """A mixture made with the model's tokenizer, as its record says."""
    from curation.tokens.tokenizer import load_tokenizer
    from manifests.schema_mixture import Tokenizer

    write_mixture(folder, length=32, cross_every=2)
    digest = load_tokenizer(Tokenizer(path=str(model.folder)), str(folder), "library").digest
    record = orjson.loads((folder / "run.json").read_bytes())
    record["manifest"]["tokenizer"]["path"] = str(model.folder)
    record["tokenizer"] |= {"digest": digest, "path": str(model.folder)}
    (folder / "run.json").write_bytes(orjson.dumps(record))
    return folder


def test_loss_on_held_out_sequences(model: OpenModel, folder: Path) -> None:
    mixture_of(folder / "mixture", model)
    from training.token_dataset import TokenDataset, attention_mask

    found = measure_set(model, Validation(name="m", mixture="mixture"), str(folder), quiet)
    dataset = TokenDataset(str(folder / "mixture"), split="validation", mask_boundaries=True, as_torch=True)
    losses, n_counted = [], 0
    for i in range(len(dataset)):
        item = dataset[i]
        with torch.no_grad():
            logits = model.model(
                item["input_ids"][None],
                attention_mask=attention_mask(item["position_ids"])[None, None],
                position_ids=item["position_ids"][None],
                use_cache=False,
            ).logits[0]
        labels = item["labels"][1:]
        of_sequence = torch.nn.functional.cross_entropy(logits[:-1], labels, reduction="sum", ignore_index=-100)
        losses.append(float(of_sequence))
        n_counted += int((labels != -100).sum())
    assert found["figures"]["n_tokens"] == n_counted
    assert found["units"] == pytest.approx([loss for loss in losses if loss], rel=1e-5)


def test_a_mixture_of_another_tokenizer_is_not_measured(model: OpenModel, folder: Path) -> None:
    mixture = write_mixture(folder / "other").path
    found = measure_set(model, Validation(name="m", mixture=str(mixture)), str(folder), quiet)
    assert found["why"].startswith(f"{mixture}: it was made with a tokenizer that is not the model's file and cannot")


QUESTIONS = [
    {"question": "수도는?", "choices": ["서울", "a much longer choice", "부산"], "answer": 0},
    {"question": "The quick brown " * 20, "choices": ["fox", "dog"], "answer": "B"},
    {"question": "Hello, how can", "choices": ["same", "same", "same", "same"], "answer": "C"},
]


def by_hand(model: OpenModel, prompt: str, text: str) -> float:
    """Log-likelihood of a continuation, from the ids of the whole less those of the prompt, as the harness does."""
    context = model.tokenizer(prompt)["input_ids"]
    whole = model.tokenizer(f"{prompt} {text}")["input_ids"]
    n = len(whole) - len(context)
    ids = [1, *whole][-65:]
    with torch.no_grad():
        scores = model.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(scores[place - 1, ids[place]]) for place in range(len(ids) - n, len(ids)))


@pytest.mark.parametrize("form", ["answers", "letters"])
def test_accuracy(model: OpenModel, folder: Path, form: Any) -> None:
    tiny.write_jsonl(folder / "q.jsonl", [one | {"answer": str(one["answer"])} for one in QUESTIONS])
    found = measure_set(model, Validation(name="c", choices="q.jsonl", form=form, cue="정답:"), str(folder), quiet)
    expected = []
    for row, right in zip(QUESTIONS, (0, 1, 2), strict=True):
        choices = tuple(row["choices"])  # type: ignore[call-overload]
        question = Question(str(row["question"]).strip(), choices, right)
        prompt = prompt_of(question, form, "정답:")
        texts = choices if form == "answers" else "ABCD"[: len(choices)]
        scores = [by_hand(model, prompt, text) / len(text) for text in texts]
        winners = [i for i, score in enumerate(scores) if score > max(scores) - 1e-5]
        expected.append((right in winners) / len(winners))
    assert found["units"] == expected
    assert found["figures"]["accuracy"] == pytest.approx(sum(expected) / 3)
    assert found["figures"]["chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 4) / 3)
    assert found["figures"]["n_questions"] == 3
    if form == "answers":
        assert expected[2] == 0.25


def test_how_questions_are_put() -> None:
    question = Question("1+1?", ("one", "two"), 1)
    assert prompt_of(question, "answers", "Answer:") == "1+1?\nAnswer:"
    assert prompt_of(question, "letters", "정답:") == "1+1?\nA. one\nB. two\n정답:"
    assert continuations_of(question, "answers") == ["one", "two"]
    assert continuations_of(question, "letters") == ["A", "B"]


def test_credit() -> None:
    assert credit([-4.0, -2.0], [4, 1], 0) == 1.0  # per character
    assert credit([-4.0, -2.0], [1, 1], 0) == 0.0
    assert credit([-2.0, -2.0, -9.0], [1, 1, 1], 1) == 0.5
    assert credit([-2.0, -2.0, -9.0], [1, 1, 1], 2) == 0.0
    assert credit([-2.0, -2.0 - 1e-7], [1, 1], 1) == 0.5
