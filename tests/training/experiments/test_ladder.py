"""A ladder from end to end: a tokenizer, a mixture in its ids, a new model, and what going on from it brings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch

from manifests.record import read_record
from manifests.store import Folder
from tests.scenarios.training_runs import in_this_process
from tests.training.experiments.small_experiments import MIXTURE, cpt, ladder, lay_out, training
from training import stages
from training.experiments.ablate import check_complete
from training.experiments.ladder import climb

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
NEW = {
    "tokenizer": "step:words",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
STEPS = [
    {"name": "words", "tokenizer": {"text": ["data/ko.parquet", "data/en.parquet"], "vocab_size": 400}},
    {"name": "mix", "manifest": MIXTURE | {"tokenizer": {"path": "step:words", "engine": "library"}}},
    {"name": "train", "manifest": training(cpt("first", learning_rate=5e-3), cpt("again"), base=NEW)},
    {"name": "more", "manifest": training(cpt("more"), base="step:train.first")},
]
RUNGS = [
    {"name": "words", "of": "words"},
    {"name": "trained", "of": "train.first", "against": "train.base", "expect": {"ko.bits_per_byte": "lower"}},
    {"name": "apart", "of": "more.more", "against": "train.again", "measures": ["ko.bits_per_byte"], "note": "n"},
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stages, "run", in_this_process)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_each_rung_tells_what_it_brought(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    wanted = ladder(lay_out(tmp_path), steps=STEPS, rungs=RUNGS, seeds=[1, 2])
    summary, folder = climb(wanted, str(tmp_path))
    check_complete(summary, folder)
    words, trained, apart = summary.rungs
    learned = next(one for one in summary.runs if one.step == "words")
    assert list(learned.inputs) == [str(tmp_path / f"data/{name}.parquet") for name in ("ko", "en")]
    assert words.figures["ko.bytes_per_token"].mean > 1 and words.differences == {}
    assert len(words.figures["ko.bytes_per_token"].values) == 1, "it is the same for all seeds"
    figure = "ko.bits_per_byte"
    assert trained.figures[figure].mean < trained.before[figure].mean
    assert trained.differences[figure].mean == pytest.approx(
        trained.figures[figure].mean - trained.before[figure].mean
    )
    (expected,) = trained.expectations
    assert (expected.holds_in, expected.n_seeds) == (2, 2) and trained.flops_total > 0 == trained.flops_against
    assert apart.note == "n" and len(apart.differences[figure].values) == 2
    assert read_record(Folder(folder), kind="ladder").counts["runs"] == 1 + 2 * 3
    tokenizer = AutoTokenizer.from_pretrained(next((tmp_path / "out/runs").glob("words-*")))
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|endoftext|>", "<|pad|>")
    again, _ = climb(wanted, str(tmp_path))
    assert all(run.is_reused for run in again.runs) and again.rungs == summary.rungs


def test_a_tokenizer_that_was_killed_is_learned_again(tmp_path: Path) -> None:
    wanted = ladder(lay_out(tmp_path), steps=STEPS[:1], rungs=RUNGS[:1])
    climb(wanted, str(tmp_path))
    (words,) = (tmp_path / "out/runs").glob("words-*")
    before = (words / "tokenizer.json").read_bytes()
    (words / "training.json").unlink()
    aside = words.with_name(f".{words.name}.partial")
    aside.mkdir()
    (aside / "tokenizer.json").write_text("{")
    summary, _ = climb(wanted, str(tmp_path))
    assert not summary.runs[0].is_reused and (words / "tokenizer.json").read_bytes() == before
    assert not aside.exists()
