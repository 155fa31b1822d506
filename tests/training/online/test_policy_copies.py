"""Copies follow the policy only when told to, and share with it what is not trained."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from manifests.house import HOME
from tests.training import tiny
from training.online.policy_copies import PolicyCopy, merged_weights
from training.trainers import load_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
IDS = torch.tensor([[5, 6, 7, 8]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


def disturb(model: Any) -> None:
    """As an update would."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))


@pytest.fixture(params=["whole", "tied", "lora"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    model = load_model(str(tiny.save_model(tmp_path / "model", tie_word_embeddings=request.param == "tied")))
    if request.param == "lora":
        return peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model


def test_a_copy_follows_only_when_told_to(policy: Any) -> None:
    copy = PolicyCopy(policy)
    before = logits(policy)
    assert torch.equal(logits(copy.model), before)
    disturb(policy)
    assert torch.equal(logits(copy.model), before)
    copy.take(policy)
    assert torch.equal(logits(copy.model), logits(policy))
    assert not torch.equal(logits(policy), before)
    assert not any(weight.requires_grad for weight in copy.model.parameters())


def test_what_is_not_trained_is_shared(policy: Any) -> None:
    copy = PolicyCopy(policy)
    theirs = dict(policy.named_parameters())
    for name, weight in copy.model.named_parameters():
        assert (weight is theirs[name]) == (not theirs[name].requires_grad), name
    trained = [weight for weight in policy.parameters() if weight.requires_grad]
    assert copy.size_bytes == sum(4 * weight.numel() for weight in trained)
    assert any(weight.requires_grad for weight in policy.parameters())  # as it was


def test_a_copy_of_another_type_shares_nothing(policy: Any) -> None:
    copy = PolicyCopy(policy, torch.bfloat16)
    disturb(policy)
    copy.take(policy)
    assert {weight.dtype for weight in copy.model.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in policy.parameters()} == {torch.float32}
    own = {name: buffer.dtype for name, buffer in policy.named_buffers()}
    assert {name: buffer.dtype for name, buffer in copy.model.named_buffers()} == own
    assert torch.allclose(logits(copy.model).float(), logits(policy), atol=0.1)


def test_weights_come_back_from_a_checkpoint(policy: Any) -> None:
    copy = PolicyCopy(policy)
    disturb(policy)
    copy.take(policy)
    kept = {name: weight.clone() for name, weight in copy.weights().items()}
    other = PolicyCopy(policy)
    disturb(policy)
    other.take(policy)
    other.load(kept)
    assert torch.equal(logits(other.model), logits(copy.model))


def test_merged_weights_are_those_that_peft_merges(policy: Any) -> None:
    disturb(policy)
    found = {name: weight.clone() for name, weight in merged_weights(policy)}
    merged = policy.merge_and_unload() if hasattr(policy, "merge_and_unload") else policy
    expected = dict(merged.named_parameters())
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in found)


SHARDED = """
import sys
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from training.online.policy_copies import PolicyCopy, merged_weights
from training.trainers import load_model

dist.init_process_group("gloo")
policy = load_model(sys.argv[1])
copy = PolicyCopy(policy)
for layer in policy.model.layers:
    fully_shard(layer)
fully_shard(policy)
ids = torch.tensor([[5, 6, 7, 8]])
policy(input_ids=ids).logits.sum().backward()
torch.optim.SGD(policy.parameters(), lr=1e-3).step()
assert any(type(one).__name__ == "DTensor" for one in policy.parameters())
with torch.no_grad():
    before = copy.model(input_ids=ids).logits
    copy.take(policy)
    after, expected = copy.model(input_ids=ids).logits, policy(input_ids=ids).logits
assert not torch.equal(before, after)
assert torch.allclose(after, expected, atol=1e-6), (after - expected).abs().max()
merged = dict(merged_weights(policy))
assert all(torch.equal(merged[name], weight) for name, weight in copy.weights().items())
print(f"whole in {dist.get_rank()}\\n", end="", flush=True)  # in one piece: both write at once
"""


@pytest.mark.slow
def test_a_copy_of_sharded_weights_is_whole(tmp_path: Path) -> None:
    """FSDP2 over two processes of a CPU."""
    folder = tiny.save_model(tmp_path / "model")
    (tmp_path / "sharded.py").write_text(SHARDED)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "sharded.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(done.stdout.split("\n")[:2]) == ["whole in 0", "whole in 1"], done.stdout
