"""The teacher that is asked now, in bfloat16 too: at all lengths it says what it says in float32."""

from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch

from manifests.engine import silent
from tests.training import tiny
from tests.training.distilling.students import job
from training.distilling.distill import online
from training.trainers import load_model, load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
N_TOKENS = 400


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_in_bfloat16_positions_are_those_of_float32(tmp_path: Path) -> None:
    """Weights that bfloat16 has exactly, so that nothing but sums differs; positions weigh much in this model."""
    teacher = tiny.save_model(tmp_path / "teacher", seed=2, initializer_range=0.2)
    exact = load_model(str(teacher)).eval()
    with torch.no_grad():
        for weight in exact.parameters():
            weight.copy_(weight.bfloat16())
    exact.save_pretrained(teacher)
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(4))
    asked = job(tmp_path, teacher, teacher, data=[{"path": "chats.jsonl"}], precision="bfloat16")
    _, found = online(asked, asked.stage, load_tokenizer(str(teacher)), silent)
    assert {weight.dtype for weight in found.model.parameters()} == {torch.bfloat16}
    assert found.model.model.rotary_emb.inv_freq.dtype == torch.float32
    ids = torch.randint(4, tiny.VOCABULARY, (1, N_TOKENS), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "position_ids": torch.arange(N_TOKENS)[None]}
    places = torch.arange(N_TOKENS // 2, N_TOKENS)
    with torch.no_grad():
        mine = found.ask(batch, places).logits_of(slice(None)).log_softmax(-1)
        theirs = exact(input_ids=ids).logits[0, places].log_softmax(-1)
    divergence = (theirs.exp() * (theirs - mine)).sum(-1)
    assert float(divergence.mean()) < 2e-3
