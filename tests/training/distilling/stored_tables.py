"""Tables `logprobs` as `onggi synth` writes them, of a local teacher's probabilities."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from manifests.contracts import conform
from manifests.contracts_synthetic import LOGPROBS
from manifests.store import Folder
from synth.teachers.tokens import tokenizer_digest
from tests.training import tiny


def rows_of(teacher: Path, n: int, top: int) -> list[dict[str, Any]]:
    """n prompts with answers, and what a teacher says at each token of these."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(teacher).eval(), AutoTokenizer.from_pretrained(teacher)
    digest, rows = tokenizer_digest(str(teacher)), []
    for number, chat in enumerate(tiny.chats(n)):
        prompt = tokenizer.apply_chat_template(chat["messages"][:1], add_generation_prompt=True, return_dict=False)
        answer = tokenizer(f"{chat['messages'][1]['content']}{tiny.END_OF_TURN}")["input_ids"]
        with torch.no_grad():
            logprobs = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        likeliest = logprobs.topk(top, dim=-1)
        rows.append(
            {
                "id": str(number),
                "request": f"r{number}",
                "tokenizer": digest,
                "prompt_ids": list(prompt),
                "output_ids": answer,
                "logprobs": logprobs.gather(1, torch.tensor(answer)[:, None])[:, 0].tolist(),
                "top": top,
                "top_ids": likeliest.indices.flatten().tolist(),
                "top_logprobs": likeliest.values.flatten().tolist(),
            }
        )
    return rows


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The folder of a run with such a table."""
    table = conform(pa.Table.from_pylist(rows, schema=LOGPROBS), LOGPROBS, "logprobs")
    with Folder(str(folder / "logprobs")).table_writer("part-00000.parquet", LOGPROBS, "logprobs") as writer:
        writer.write(table)
    return folder
