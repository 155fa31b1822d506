"""The stage `mntp`: what is masked, what it is predicted from, that documents are kept apart, the same bits."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from manifests.engine import silent
from manifests.errors import RequestError
from tests.training.encoders.planted_texts import Killed, job, killed_at
from tests.training.small_mixtures import make_mixture
from training.checkpoints import read_curve
from training.encoders import mntp
from training.encoders.masked_measures import both_ways, predicted
from training.encoders.masking import MaskedRows, Masking, masking_of
from training.pretraining.isolation import leak
from training.pretraining.mixtures import open_mixtures
from training.pretraining.order import order_of
from training.pretraining.trainer import collate
from training.token_dataset import NO_LOSS
from training.trainers import load_tokenizer

MNTP = {"kind": "mntp", "mixture": "mixture/out", "steps": 4, "learning_rate": 3e-3, "checkpoints": {"every": 2}}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """With a mixture of which a part is held out."""
    made = tmp_path_factory.mktemp("mntp")
    make_mixture(made / "mixture", tiny_model, n=80, validation={"frac": 0.1})
    return made


def test_it_learns_to_fill_in(folder: Path, tiny_model: Path) -> None:
    made = mntp.run(job(folder / "learns", tiny_model, MNTP | {"steps": 60, "batch": 8}), silent)
    assert made.figures["loss_last"] < made.figures["loss_first"] - 0.5
    assert made.figures["masked_accuracy_after"] > made.figures["masked_accuracy_before"] + 0.05
    assert made.figures["masked_loss_after"] < made.figures["masked_loss_before"] - 0.5
    assert 0.1 < made.counts["trained_tokens"] / made.counts["tokens"] < 0.2
    assert made.tables[0].title == "Masked tokens"
    assert AutoConfig.from_pretrained(folder / "learns" / "model").is_causal is False


@pytest.mark.parametrize("more", [{}, {"lora": {"rank": 4, "dropout": 0.1}, "micro_batch": 2, "replace": "mask"}])
def test_killed_it_makes_the_same_bits(folder: Path, tiny_model: Path, more: dict[str, Any]) -> None:
    whole, killed = (folder / f"{name}-{len(more)}" for name in ("whole", "killed"))
    mntp.run(job(whole, tiny_model, MNTP | more), silent)
    with pytest.raises(Killed):
        mntp.run(job(killed, tiny_model, MNTP | more), killed_at(3))
    mntp.run(job(killed, tiny_model, MNTP | more), silent)
    weights = [load_file(name / "model" / "model.safetensors") for name in (whole, killed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    losses = [[line["loss"] for line in read_curve(name / "curve.jsonl")] for name in (whole, killed)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_the_first_loss_is_that_of_the_output_before_each_mask(folder: Path, tiny_model: Path) -> None:
    """By hand: each document alone, no mask of attention, log-softmax in float64."""
    made = mntp.run(job(folder / "first", tiny_model, MNTP | {"steps": 1, "batch": 2}), silent)
    stage: Any = job(folder / "first", tiny_model, MNTP | {"steps": 1, "batch": 2}).stage
    tokenizer = load_tokenizer(str(tiny_model))
    masking = masking_of(stage.mask, stage.replace, None, tokenizer)
    mixtures = open_mixtures(mntp._as_cpt(stage), str(folder), str(tiny_model))
    order = order_of([one.supply for one in mixtures], 3, n_places=2)
    rows = MaskedRows(mixtures, order, masking, 3)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float64, attn_implementation="eager").eval()
    model.config.is_causal = False
    losses = []
    for row in (rows[0], rows[1]):
        bounds = row["cu_seqlens"].tolist()
        for start, end in pairwise(bounds):
            with torch.no_grad():
                logits = model(torch.tensor(row["input_ids"][None, start:end])).logits[0].log_softmax(-1)
            asked = [place for place in range(start, end) if row["labels"][place] != NO_LOSS]
            losses += [-float(logits[place - start - 1, row["labels"][place]]) for place in asked]
    assert len(losses) == made.counts["trained_tokens"] > 5
    assert made.figures["loss_first"] == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_documents_do_not_see_each_other_and_themselves_both_ways(tiny_model: Path, attention: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention).eval()
    ids = torch.randint(4, 600, (2, 24), generator=torch.Generator().manual_seed(0))
    others, own = leak(lambda some, positions: model(**both_ways(some, positions, model)).logits, ids)
    assert others == 0 and own > 0
    positions = torch.arange(24).expand(2, 24)
    with torch.no_grad():
        before = model(**both_ways(ids, positions, model)).logits
        changed = ids.clone()
        changed[:, -1] = (changed[:, -1] + 1) % 600
        assert ((model(**both_ways(changed, positions, model)).logits - before)[:, 0].abs().amax(-1) > 1e-5).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 0.9), st.sampled_from(["bert", "mask"]))
def test_what_is_masked(seed: int, share: float, replace: Any) -> None:
    random = np.random.default_rng(seed)
    ids = random.integers(0, 50, 200)
    positions = np.concatenate([np.arange(120), np.arange(80)])
    labels = np.where(np.arange(200) < 190, ids, NO_LOSS)
    masking = Masking(share, replace, 7, np.array([0, 1, 2]), 50)
    item = {"input_ids": ids, "labels": labels, "position_ids": positions, "n_tokens": 190}
    found, again = (masking(item, np.random.default_rng([seed, 1])) for _ in range(2))
    chosen = found["labels"] != NO_LOSS
    assert (found["input_ids"] == again["input_ids"]).all() and (found["labels"] == again["labels"]).all()
    assert (found["input_ids"][~chosen] == ids[~chosen]).all() and (found["labels"][chosen] == ids[chosen]).all()
    assert not chosen[[0, 120]].any() and not chosen[190:].any() and not np.isin(ids[chosen], [0, 1, 2]).any()
    if replace == "mask":
        assert (found["input_ids"][chosen] == 7).all()
    assert not np.isin(found["input_ids"][chosen], [0, 1, 2]).any()


def test_shares_of_bert() -> None:
    ids = np.full(20_000, 9)
    item = {"input_ids": ids, "labels": ids, "position_ids": np.arange(20_000), "n_tokens": 20_000}
    found = Masking(0.5, "bert", 7, np.array([0]), 50)(item, np.random.default_rng(0))
    chosen = found["labels"] != NO_LOSS
    assert chosen.mean() == pytest.approx(0.5, abs=0.02)
    assert (found["input_ids"][chosen] == 7).mean() == pytest.approx(0.8 + 0.1 * 2 / 50, abs=0.02)
    assert (found["input_ids"][chosen] == 9).mean() == pytest.approx(0.1 + 0.1 / 50, abs=0.02)


def test_a_mask_that_is_not_there_is_refused(folder: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match="mask_token: the tokenizer has no token '<mask>'"):
        mntp.run(job(folder / "refused", tiny_model, MNTP | {"mask_token": "<mask>"}), silent)


def test_a_window_that_is_too_short_is_refused(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    tiny = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=600, num_key_value_heads=1, sliding_window=16, pad_token_id=0, **tiny)
    MistralForCausalLM(config).save_pretrained(tmp_path)
    load_tokenizer(str(tiny_model)).save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="layers see 16 tokens"):
        mntp.run(job(folder / "window", tmp_path, MNTP), silent)


def test_predicted_counts_what_is_right(tiny_model: Path) -> None:
    """Labels that are the model's own best guesses are all right."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    ids = np.arange(4, 44)
    positions, labels = np.arange(40), np.full(40, NO_LOSS)
    row = {"input_ids": ids, "position_ids": positions, "labels": labels, "n_tokens": 40}
    batch = collate([row])
    with torch.no_grad():
        best = model(**both_ways(batch["input_ids"], batch["position_ids"], model)).logits[0].argmax(-1).numpy()
    labels[[5, 9]] = best[[4, 8]]
    assert predicted(model, [row]).accuracy == 1
    labels[9] = (best[8] + 1) % 600
    assert predicted(model, [row]).accuracy == 0.5
