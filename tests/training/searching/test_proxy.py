"""One model: its data, its loss beside other ways to come to it, and that it learns."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from manifests.engine import silent
from manifests.schema_training_stages import Cpt
from manifests.schema_training_steps import Schedule
from tests.curation.mixture import small
from tests.training import tiny
from tests.training.searching import mixtures
from training.checkpoints import read_curve
from training.jobs import Job
from training.pretraining import cpt
from training.searching.corpus import Corpus, Measured
from training.searching.proxy import bits_per_byte, mixed_rows, new_proxy, row_counts, train, train_proxy
from training.token_dataset import TokenDataset
from training.trainers import load_model

LENGTH = 32


def corpus(n_rows: tuple[int, ...] = (40, 25), n_ids: int = 50) -> Corpus:
    """Of two sources, each of its own half of the ids; the target is like the first."""
    chance, half = np.random.default_rng(0), n_ids // 2
    rows = tuple(
        (chance.zipf(1.5, (n, LENGTH)) % half + (half if k else 0)).astype(np.int32) for k, n in enumerate(n_rows)
    )
    target = Measured("first", 1.0, (chance.zipf(1.5, 500) % half).astype(np.int32), 700, 3, 3)
    return Corpus(("first", "second"), rows, (target,), n_ids)


def test_a_model_learns_what_it_is_shown() -> None:
    settings = mixtures.proxy(tokens=5000, learning_rate=1e-2)
    much, little = (train_proxy(corpus(), weights, settings, 0) for weights in ([0.95, 0.05], [0.05, 0.95]))
    assert much.losses["first"] < 0.8 * little.losses["first"]
    assert much.curve[0] == pytest.approx(math.log(50), abs=0.2) and much.curve[-1] < 0.8 * much.curve[0]
    assert much.n_tokens == 39 * 4 * LENGTH == len(much.curve) * 4 * LENGTH


def test_the_same_bits_whatever_threads_there_are() -> None:
    settings, found = mixtures.proxy(), []
    for n_threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            found.append(train_proxy(corpus(), [0.5, 0.5], settings, 3))
            assert torch.get_num_threads() == n_threads
        finally:
            torch.set_num_threads(before)
    assert found[0].losses == found[1].losses and found[0].curve == found[1].curve
    assert train_proxy(corpus(), [0.5, 0.5], settings, 4).losses != found[0].losses


def test_rows_are_mixed_as_weighted_throughout() -> None:
    of, settings = corpus(), mixtures.proxy(tokens=40 * 4 * LENGTH)
    rows = mixed_rows(of, [0.25, 0.75], settings, 0)
    assert rows.shape == (160, LENGTH)
    is_second = rows[:, 0] >= 25
    assert is_second.sum() == 120
    for start in range(0, 160, 16):
        assert 11 <= is_second[start : start + 16].sum() <= 13
    first = {tuple(row) for row in rows[~is_second].tolist()}
    assert len(first) == 40 == len({tuple(row) for row in of.rows[0].tolist()})  # each once
    again = {tuple(row) for row in mixed_rows(of, [0.125, 0.875], settings, 0).tolist()}
    assert len(again & first) == 20  # mixtures share what they take


def test_row_counts_add_up() -> None:
    assert row_counts(np.array([1, 1, 1.0]), 10).tolist() == [4, 3, 3]
    assert row_counts(np.array([0.999, 0.001]), 10).tolist() == [10, 0]


def test_bits_per_byte_are_of_every_token_once() -> None:
    """Beside a loop over tokens, each foretold from those of its row."""
    (target,), model = corpus().targets, new_proxy(50, mixtures.proxy(), 0)
    ids, total, start = torch.from_numpy(target.ids.astype(np.int64)), 0.0, 0
    while start < len(ids) - 1:
        row = ids[start : start + LENGTH]
        with torch.no_grad():
            logs = torch.log_softmax(model(row[None]).logits[0].double(), -1)
        total -= sum(float(logs[k, row[k + 1]]) for k in range(len(row) - 1))
        start += LENGTH - 1
    assert bits_per_byte(model, target, LENGTH) == pytest.approx(total / math.log(2) / 700, rel=1e-5)


def test_losses_are_those_of_onggi_train(tmp_path: Path, tiny_tokenizer: Path) -> None:
    """The plain loop beside a stage `cpt` of the same model on the same sequences in the same order.

    Of one long document, since a stage keeps documents of a sequence apart and a search does not.
    """
    small.parquet(tmp_path / "data/long.parquet", small.rows(1, "long", n_words=(4000, 4000)))
    source = {"name": "long", "path": "data/long.parquet", "category": "long"}
    changes = {"tokenizer": {"path": str(tiny_tokenizer), "engine": "library"}, "tokens": 2560, "sources": [source]}
    small.mixed(small.manifest(tmp_path, **changes))
    dataset = TokenDataset(str(tmp_path / "out"))
    rows = np.array([dataset[k]["input_ids"] for k in range(len(dataset))], np.int32)
    assert rows.shape == (40, 64)

    model = tiny.save_model(tmp_path / "model")
    stage = Cpt.model_validate(
        {
            "kind": "cpt",
            "name": "cpt",
            "mixture": str(tmp_path / "out"),
            "batch": 4,
            "learning_rate": 1e-3,
            "schedule": "constant",
            "optimizer": {"weight_decay": 0.1},
            "checkpoints": {"every": 1000},
            "precision": "float32",
        }
    )
    folder = tmp_path / "stage"
    folder.mkdir()
    cpt.run(
        Job(stage=stage, folder=str(folder), manifest_base=str(tmp_path), models={"model": str(model)}, seed=5),
        silent,
    )
    wanted = [point["loss"] for point in read_curve(folder / "curve.jsonl") if "loss" in point]
    settings = mixtures.proxy(batch=4, learning_rate=1e-3)
    found = train(load_model(str(model)), rows, settings, Schedule(kind="constant"))
    assert len(wanted) == len(found) == 10 and wanted[-1] < wanted[0] - 0.3
    assert found == pytest.approx(wanted, rel=2e-4)


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(ValueError, match=r"step \d+: the loss is .*search.model.learning_rate"):
        train_proxy(corpus(), [0.5, 0.5], mixtures.proxy(learning_rate=1e30), 0)
