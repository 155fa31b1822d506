"""Distillation, whole: a student comes to say what its teacher says, and goes on after a kill to the same bits."""

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.distilling.students import run, save_pair, weights
from tests.training.small_mixtures import make_mixture
from training.checkpoints import read_curve
from training.distilling import trainer
from training.trainers import load_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return save_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Path:
    return make_mixture(tmp_path_factory.mktemp("mixture"), pair[0], n=40, validation={"frac": 0.2})


def chats(folder: Path, n: int = 24) -> None:
    tiny.write_jsonl(folder / "chats.jsonl", tiny.chats(n))


CHATS = {"data": [{"path": "chats.jsonl"}], "held_out": 0.1}


def test_a_student_learns_from_a_mixture(tmp_path: Path, pair: Pair, mixture: Path) -> None:
    made = run(tmp_path, *pair, mixture=str(mixture), steps=12, loss="forward_kl")
    figures = made.figures
    assert figures["held_out_divergence"] < 0.95 * figures["held_out_divergence_before"]
    assert figures["loss_last"] < figures["loss_first"] == pytest.approx(figures["divergence_first"], abs=1e-6)
    curve = read_curve(tmp_path / "stage" / "curve.jsonl")
    assert len(curve) == 12 and curve[-1]["tokens"] == made.counts["tokens"]
    assert made.tables[0].title == "Held-out tokens"


def test_a_student_learns_from_conversations(tmp_path: Path, pair: Pair) -> None:
    chats(tmp_path)
    made = run(tmp_path, *pair, **CHATS, steps=12)
    assert made.figures["held_out_divergence"] < made.figures["held_out_divergence_before"]
    assert made.left_out == {"held_out": 2} and made.counts["examples"] == 22


OFF_POLICY = {"start": 0.6, "every": 3, "capacity": 6, "max_new_tokens": 6, "replay": "constant"}


class Killed(Exception):
    """What stands for `kill -9` at a step."""


def test_a_killed_off_policy_stage_goes_on_to_the_same_bits(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With answers drawn and replayed before the kill and after it."""
    chats(tmp_path)
    settings: dict[str, Any] = {**CHATS, "steps": 12, "checkpoints": {"every": 5}, "off_policy": OFF_POLICY}
    made = run(tmp_path, *pair, **settings)
    assert made.counts["drawn_steps"] > 1 and made.counts["replayed_steps"] > 1
    whole, curve = weights(tmp_path / "stage/model"), (tmp_path / "stage/curve.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "stage")
    of_step = trainer.DistillTrainer.get_batch_samples

    def killed(self: Any, *given: Any) -> Any:
        if self.state.global_step == 8:
            raise Killed
        return of_step(self, *given)

    monkeypatch.setattr(trainer.DistillTrainer, "get_batch_samples", killed)
    with pytest.raises(Killed):
        run(tmp_path, *pair, **settings)
    monkeypatch.undo()
    assert not (tmp_path / "stage/model").is_dir()
    again = run(tmp_path, *pair, **settings)
    assert again == made
    assert (tmp_path / "stage/curve.jsonl").read_bytes() == curve
    assert all(torch.equal(weight, whole[name]) for name, weight in weights(tmp_path / "stage/model").items())


def test_drawn_answers_are_the_same_however_many_rows_at_once(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short rows, so that answers to the prompts of a step take more rows than the data does."""
    chats(tmp_path)
    found, shapes = [], list[tuple[int, ...]]()
    of_loss = trainer.DistillTrainer.compute_loss

    def seen(self: Any, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        shapes.append(tuple(inputs["input_ids"].shape))
        return of_loss(self, model, inputs, *given, **named)

    monkeypatch.setattr(trainer.DistillTrainer, "compute_loss", seen)
    settings: dict[str, Any] = {
        **CHATS,
        "steps": 2,
        "off_policy": OFF_POLICY | {"start": 1.0, "max_new_tokens": 40},
        "max_length": 96,
    }
    for micro in (4, 1):
        made = run(tmp_path, *pair, **settings, micro_batch=micro)
        found.append((made.figures, weights(tmp_path / "stage" / "model")))
        assert max(rows for rows, _ in shapes) == micro and len(shapes) > 8 // micro
        shapes.clear()
        shutil.rmtree(tmp_path / "stage")
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-4)
    assert all(torch.allclose(weight, found[1][1][name], atol=1e-4) for name, weight in found[0][1].items())


def test_steps_are_the_same_however_they_are_shared_out(tmp_path: Path, pair: Pair) -> None:
    """Means are over the tokens of a step, not of a micro-batch."""
    chats(tmp_path)
    found = []
    for micro in (4, 1):
        made = run(tmp_path, *pair, **CHATS, steps=2, micro_batch=micro, ce_weight=0.3)
        found.append((made.figures, weights(tmp_path / "stage" / "model")))
        shutil.rmtree(tmp_path / "stage")
    for name, value in found[0][0].items():
        assert value == pytest.approx(found[1][0][name], abs=1e-5), name
    assert all(torch.allclose(weight, found[1][1][name], atol=1e-4) for name, weight in found[0][1].items())
    assert found[0][0]["divergence_first"] != found[0][0]["loss_first"]


def test_with_ce_weight_1_the_teacher_has_no_say(tmp_path: Path, pair: Pair) -> None:
    chats(tmp_path)
    made = run(tmp_path, *pair, **CHATS, steps=2, ce_weight=1)
    first = weights(tmp_path / "stage" / "model")
    assert "divergence_first" not in made.figures and made.figures["held_out_divergence"] > 0
    other = tiny.save_model(tmp_path / "other", seed=9)
    shutil.rmtree(tmp_path / "stage")
    run(tmp_path, pair[0], other, **CHATS, steps=2, ce_weight=1)
    assert all(torch.equal(weight, first[name]) for name, weight in weights(tmp_path / "stage" / "model").items())


def test_lora_and_tied_embeddings(tmp_path: Path, pair: Pair) -> None:
    chats(tmp_path)
    student = tiny.save_model(tmp_path / "tied", tie_word_embeddings=True)
    made = run(tmp_path, student, pair[1], **CHATS, steps=8, lora={"rank": 2}, recompute=True, learning_rate=1e-2)
    assert made.figures["held_out_divergence"] < made.figures["held_out_divergence_before"]
    before, after = weights(student), weights(tmp_path / "stage" / "model")
    assert not torch.equal(*(one["model.layers.0.self_attn.q_proj.weight"] for one in (before, after)))
    assert torch.equal(*(one["model.embed_tokens.weight"] for one in (before, after)))
    assert made.counts["trained_parameters"] < 20_000
    assert (tmp_path / "stage" / "adapter").is_dir()


@pytest.mark.parametrize("ce_weight", [0.0, 0.9, 1.0])
def test_a_padded_output_is_no_other_vocabulary(tmp_path: Path, pair: Pair, ce_weight: float) -> None:
    """The same student without the padding learns the same; rows of no token stay as they were."""
    chats(tmp_path)
    padded = tiny.save_model(tmp_path / "padded", seed=1, vocab_size=tiny.VOCABULARY + 40)
    plain = load_model(str(padded))
    plain.resize_token_embeddings(tiny.VOCABULARY)
    shutil.copytree(padded, tmp_path / "plain")
    plain.save_pretrained(tmp_path / "plain")
    settings: dict[str, Any] = {**CHATS, "steps": 3, "ce_weight": ce_weight, "optimizer": {"weight_decay": 0}}
    found = []
    for student in (padded, tmp_path / "plain"):
        made = run(tmp_path, student, pair[1], **settings)
        found.append((made.figures, weights(tmp_path / "stage" / "model")["lm_head.weight"]))
        shutil.rmtree(tmp_path / "stage")
    (figures, head), (wanted, of_plain) = found
    assert figures == pytest.approx(wanted, abs=1e-4) and figures["held_out_divergence"] > 0
    assert torch.allclose(head[: tiny.VOCABULARY], of_plain, atol=1e-5)
    assert torch.equal(head[tiny.VOCABULARY :], weights(padded)["lm_head.weight"][tiny.VOCABULARY :])


def test_what_does_not_go_together_is_refused(tmp_path: Path, pair: Pair, mixture: Path) -> None:
    chats(tmp_path)
    other = tiny.save_model(tmp_path / "other", special=(tiny.END_OF_TEXT, tiny.PAD, *tiny.SPECIAL[2:]))
    with pytest.raises(RequestError, match=r"teacher: .*other has another vocabulary .*onggi synth.*sft"):
        run(tmp_path, pair[0], other, **CHATS, steps=2)
    small = tiny.save_model(tmp_path / "small", vocab_size=tiny.VOCABULARY - 1)
    with pytest.raises(RequestError, match=r"the teacher .*small an output for 599 only"):
        run(tmp_path, pair[0], small, **CHATS, steps=2)
    tiny.write_jsonl(tmp_path / "chats.jsonl", [{"messages": []}])
    with pytest.raises(RequestError, match=r"data\[0\]: .*no row of the file can be used"):
        run(tmp_path, *pair, **CHATS, steps=2)
    with pytest.raises(RequestError, match="holds no mixture"):
        run(tmp_path, *pair, mixture="nowhere", steps=2)
    short = tiny.save_model(tmp_path / "short", max_position_embeddings=32)
    with pytest.raises(RequestError, match="teacher: sequences of the mixture have 64 tokens, more than the 32"):
        run(tmp_path, pair[0], short, mixture=str(mixture), steps=2)
    chats(tmp_path)
    said = r"teacher: conversations of the data have \d+ tokens, more than the 32 .*short; set `max_length` to 32"
    with pytest.raises(RequestError, match=said):
        run(tmp_path, pair[0], short, **CHATS, steps=2)
    shutil.rmtree(tmp_path / "stage")
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(1))
    with pytest.raises(RequestError, match=r"held_out: 0\.1 of the prompts is none"):
        run(tmp_path, *pair, **CHATS, steps=2, off_policy=OFF_POLICY)
    with pytest.raises(RequestError, match=r"lora\.targets"):
        run(tmp_path, *pair, mixture=str(mixture), steps=2, lora={"targets": ["nothing"]})


@pytest.mark.parametrize("what", ["mixture", "off_policy", "contrastive", "tied"])
def test_in_bfloat16(tmp_path: Path, pair: Pair, mixture: Path, what: str) -> None:
    """The teacher is kept in it; the student's weights are not."""
    chats(tmp_path)
    settings: dict[str, Any] = {
        "mixture": {"mixture": str(mixture), "ce_weight": 0.2, "loss": "reverse_kl"},
        "off_policy": CHATS | {"off_policy": OFF_POLICY | {"start": 1.0}},
        "contrastive": CHATS | {"contrastive": {"student": "chats.jsonl"}},
        "tied": CHATS | {"lora": {"rank": 2}},
    }[what]
    student = tiny.save_model(tmp_path / "tied", tie_word_embeddings=True) if what == "tied" else pair[0]
    made = run(tmp_path, student, pair[1], **settings, steps=2, precision="bfloat16")
    after = weights(tmp_path / "stage" / "model")
    shutil.rmtree(tmp_path / "stage")
    wanted = run(tmp_path, student, pair[1], **settings, steps=2, precision="float32").figures
    for name in ("loss_first", "held_out_divergence_before", "held_out_loss_before", "held_out_teacher_loss"):
        assert made.figures[name] == pytest.approx(wanted[name], rel=0.02), name
        assert made.figures[name] != wanted[name] or what == "off_policy", name
    assert {weight.dtype for weight in after.values()} == {torch.float32}
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(after[name], after[name].bfloat16().float())


def test_an_output_that_is_more_than_a_matrix(tmp_path: Path, pair: Pair) -> None:
    """Granite scales its logits: they are compared as the model gives them, whichever of both it is."""
    from transformers import AutoTokenizer, GraniteConfig, GraniteForCausalLM

    chats(tmp_path)
    config = GraniteConfig(
        **{name: getattr(tiny.config(), name) for name in ("vocab_size", "hidden_size", "intermediate_size")},
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        logits_scaling=0.25,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    torch.manual_seed(5)
    folder = tmp_path / "scaled"
    GraniteForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(pair[0]).save_pretrained(folder)
    for student, teacher in ((folder, pair[1]), (pair[0], folder)):
        made = run(tmp_path, student, teacher, **CHATS, steps=4, ce_weight=0.1)
        assert made.figures["held_out_divergence"] < made.figures["held_out_divergence_before"]
        shutil.rmtree(tmp_path / "stage")
