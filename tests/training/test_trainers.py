"""The base of all trainers: killed and resumed to the same bits, whatever the batch is cut into."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from manifests.errors import RequestError, RunError
from manifests.schema_training import TrainingStage
from tests.training.tiny import save_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from training import trainers  # noqa: E402
from training.checkpoints import last_whole, read_curve  # noqa: E402
from training.jobs import Job  # noqa: E402

STEPS = 12


class Killed(BaseException):
    """As if the process had ended: no handler of the libraries takes it."""


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 50

    def __getitem__(self, row: int) -> dict[str, Any]:
        ids = torch.randint(0, 96, (16,), generator=torch.Generator().manual_seed(row))
        return {"input_ids": ids, "labels": ids}


class StagedTrainer(trainers.Staged, transformers.Trainer):  # type: ignore[misc]
    """As CPT has it, with a state of its own."""

    n_seen = 0

    def training_step(self, *arguments: Any, **named: Any) -> Any:
        self.n_seen += 1
        return super().training_step(*arguments, **named)

    def extra_state(self) -> dict[str, Any]:
        return {"n_seen": self.n_seen, "ids": torch.tensor([self.n_seen])}

    def load_extra_state(self, state: Any) -> None:
        self.n_seen = state.get("n_seen", 0)
        assert state == {} or state["ids"].tolist() == [self.n_seen]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def job_in(folder: Path, **more: Any) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    stage = {"name": "cpt", "kind": "cpt", "mixture": "mix", "batch": 4, "steps": STEPS, "learning_rate": 1e-3}
    stage |= {"checkpoints": {"every": 3, "keep": 2}, "schedule": {"kind": "cosine", "warmup": 2}} | more
    made: Any = TypeAdapter(TrainingStage).validate_python(stage)
    return Job(stage=made, folder=str(folder), manifest_base=".", models={}, seed=5)


def tiny(dropout: float = 0.2) -> Any:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=96,
            attention_dropout=dropout,
        )
    )


def train(job: Job, kill_at: int = 0, model: Any = None) -> tuple[list[Any], Any]:
    order = trainers.rows_in_order(job.stage, 50, job.seed)  # type: ignore[arg-type]
    trainer = StagedTrainer(
        model=model or tiny(),
        args=trainers.arguments(job, STEPS),
        train_dataset=torch.utils.data.Subset(Rows(), order.tolist()),
    )

    def progress(step: str, done: float, total: float, note: str = "") -> None:
        if kill_at and done == kill_at:
            raise Killed

    lines = trainers.train(trainer, job, progress)
    assert trainer.n_seen == STEPS * trainer.args.gradient_accumulation_steps
    return lines, {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


@pytest.mark.parametrize("kill_at", [7, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 3, 12))])
def test_a_killed_training_gives_the_same_bits(tmp_path: Path, kill_at: int) -> None:
    lines, weights = train(job_in(tmp_path / "whole"))
    with pytest.raises(Killed):
        train(job_in(tmp_path / "killed"), kill_at)
    again, resumed = train(job_in(tmp_path / "killed"))
    assert again == lines and [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    assert (tmp_path / "whole/curve.jsonl").read_bytes() == (tmp_path / "killed/curve.jsonl").read_bytes()


def test_a_checkpoint_without_its_marker_does_not_count(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    train(job)
    folder = tmp_path / "checkpoints"
    assert [path.name for path in sorted(folder.iterdir())] == ["checkpoint-12", "checkpoint-9"]
    (folder / "checkpoint-12/whole.json").unlink()
    assert last_whole(folder) == folder / "checkpoint-9"
    assert not (folder / "checkpoint-12").exists()


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_bytes(b'{"step":1,"loss":2.0}\n{"step":2,"lo')
    assert read_curve(path) == [{"step": 1, "loss": 2.0}]


def test_pieces_of_a_batch_give_the_same_steps(tmp_path: Path) -> None:
    whole, weights = train(job_in(tmp_path / "whole"), model=tiny(dropout=0))
    pieces, same = train(job_in(tmp_path / "pieces", micro_batch=2), model=tiny(dropout=0))
    assert [line["loss"] for line in pieces] == pytest.approx([line["loss"] for line in whole], abs=1e-6)
    for name, weight in weights.items():
        assert torch.allclose(weight, same[name], atol=1e-5), name


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    model = tiny()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match=r"cpt: at step 1 the loss is nan.*learning_rate"):
        train(job_in(tmp_path), model=model)
    assert not list(tmp_path.glob("checkpoints/checkpoint-*"))


def test_a_gradient_without_bounds_ends_the_training(tmp_path: Path) -> None:
    """Scaled down to the greatest norm it is no number; after the last step nothing else would tell."""
    weight = torch.nn.Parameter(torch.zeros(()))

    class Steep(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, **_: Any) -> dict[str, Any]:
            return {"loss": (self.weight.double() * 1e300).float()}

    with pytest.raises(RunError, match=r"at step 1 the loss is 0.0, its gradient inf"):
        train(job_in(tmp_path), model=Steep())
    assert not list(tmp_path.glob("checkpoints/checkpoint-*"))


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(transformers.Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(RunError, match=r"disk of .* is full"):
        train(job_in(tmp_path))
    assert not list(tmp_path.glob("checkpoints/checkpoint-*")), "what is of no worth makes room for the message"


@pytest.mark.parametrize(
    ("batch", "micro", "n", "expected"), [(16, None, 1, (16, 1)), (16, 2, 4, (2, 2)), (6, 9, 2, (3, 1))]
)
def test_a_batch_is_shared_out(batch: int, micro: int | None, n: int, expected: tuple[int, int]) -> None:
    assert trainers.shares(batch, micro, n) == expected
    assert expected[0] * expected[1] * n == batch


@pytest.mark.parametrize(("batch", "micro", "n"), [(6, None, 4), (1, None, 2), (8, 3, 1)])
def test_a_batch_that_cannot_be_shared_out_is_refused(batch: int, micro: int | None, n: int) -> None:
    with pytest.raises(RequestError, match="batch"):
        trainers.shares(batch, micro, n)


@pytest.mark.parametrize(("n", "epochs"), [(10, 1.0), (10, 2.5), (7, 0.3), (1, 3.0), (5, 0.01)])
def test_each_epoch_goes_through_all_rows(n: int, epochs: float) -> None:
    order = trainers.data_order(n, epochs, 3)
    assert len(order) == max(1, round(n * epochs))
    for start in range(0, len(order), n):
        epoch = order[start : start + n]
        assert len(set(epoch.tolist())) == len(epoch)
    assert not np.array_equal(order[:n], order[n : 2 * n]) or n == 1 or epochs < 2
    assert np.array_equal(order, trainers.data_order(n, epochs, 3))


def test_float32_has_an_attention_that_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    assert trainers.attention(is_packed=True) == "flash_attention_2"
    assert trainers.attention(is_packed=False) == "sdpa"


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no config\.json"):
        trainers.load_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(RequestError, match="no weights in safetensors"):
        trainers.load_model(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(RequestError, match="no model that this version of transformers knows"):
        trainers.load_model(str(tmp_path))
    with pytest.raises(RequestError, match="its tokenizer cannot be read"):
        trainers.load_tokenizer(str(tmp_path))


def test_a_model_that_is_not_whole_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    for heads in (None, 1):
        with pytest.raises(RequestError, match=r"its weights lack model\.layers\.1\.mlp\.up_proj\.weight; copy"):
            trainers.load_model(str(folder), heads=heads)
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(RequestError, match=r"/model: cannot be read"):
        trainers.load_model(str(folder))


def test_tied_embeddings_are_stored_once_and_lack_nothing(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "tied", tie_word_embeddings=True)
    assert trainers.load_model(str(folder)).config.tie_word_embeddings
    assert trainers.load_model(str(folder), heads=1).score.out_features == 1
