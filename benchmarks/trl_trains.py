"""TRL trains on what `onggi synth` wrote, as it lies there: run by the Python of `.venv-trainers`, without Onggi.

python benchmarks/trl_trains.py RUN ANSWER.json [--steps 4]

RUN holds the tables `messages`, `preference` and `text`, or some of them. Each is loaded by `datasets` from its
Parquet files and handed to SFTTrainer or DPOTrainer without any conversion; the model is a tiny Llama with random
weights, the tokenizer one of bytes, whose chat template is as strict about tool calls as those in use. Conversations
are written by the chat templates that come with TRL, too.
"""

import argparse
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

TEMPLATE = """\
{%- if tools %}<|tools|>{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|end|>{% endif %}
{%- for message in messages %}
{{- '<|' ~ message.role ~ '|>' }}
{%- if message.role == 'assistant' %}
{%- generation %}
{%- if 'tool_calls' in message %}
{%- for call in message.tool_calls %}<|call|>{{ call.function.name }}
{%- for name, value in call.function.arguments.items() %}
{{- ' ' ~ name ~ '=' ~ value | tojson }}
{%- endfor %}
{%- endfor %}
{%- endif %}
{{- message.content }}<|end|>
{%- endgeneration %}
{%- elif message.role == 'tool' %}{{ message['name'] }}: {{ message.content }}<|end|>
{%- else %}{{ message.content }}<|end|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""
SPECIAL = [
    "<|pad|>",
    "<|end|>",
    *(f"<|{name}|>" for name in ("system", "user", "assistant", "tool", "tools", "call")),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("answer", type=Path, help="a JSON file, written")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/datasets"
        tables = [name for name in TRAINERS if (args.run / name).is_dir()]
        found = {name: TRAINERS[name](load(args.run / name), args.steps, folder) for name in tables}
        if (args.run / "README.md").exists():
            found["by_card"] = by_card(args.run, [*tables, "rejected"])
    args.answer.write_text(json.dumps(found, ensure_ascii=False, indent=1))


def load(table: Path) -> Any:
    """The rows, as every user of the dataset gets them."""
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(table / "*.parquet"), split="train")


def by_card(run: Path, names: list[str]) -> dict[str, list[str]]:
    """The ids of each table as the dataset card of the run leads to it."""
    from datasets import load_dataset

    return {name: load_dataset(str(run), name, split="train")["id"][:] for name in names}


def sft(dataset: Any, steps: int, folder: str) -> dict[str, Any]:
    """Train on conversations, on the assistant's words alone; or on text."""
    from trl import SFTConfig, SFTTrainer

    is_chat = "messages" in dataset.column_names
    config = SFTConfig(assistant_only_loss=is_chat, max_length=1024, **arguments(steps, folder))
    trainer = SFTTrainer(tiny_llama(), config, train_dataset=dataset, processing_class=byte_tokenizer())
    labels = [row["labels"] if "labels" in row else row["input_ids"] for row in trainer.train_dataset]
    n_trained = [sum(label != -100 for label in row) for row in labels]
    texts = [trainer.processing_class.decode(row["input_ids"]) for row in trainer.train_dataset]
    shown = {"templates": errors_of_templates(dataset)} if is_chat else {}
    return train(trainer) | {"n_tokens_trained": n_trained, "texts": texts} | shown


def errors_of_templates(dataset: Any) -> dict[str, str]:
    """What each chat template that comes with TRL says of the conversations; "" where it writes all of them."""
    import trl

    tokenizer, errors = byte_tokenizer(), {}
    for path in sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja")):
        errors[path.stem] = ""
        for row in dataset:
            tools = json.loads(row["tools"]) if row.get("tools") else None
            try:
                tokenizer.apply_chat_template(row["messages"], tools, chat_template=path.read_text(), tokenize=False)
            except Exception as error:  # of any kind: a template raises what it likes
                errors[path.stem] = f"{type(error).__name__}: {error}"
    return errors


def dpo(dataset: Any, steps: int, folder: str) -> dict[str, Any]:
    """Train on pairs."""
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(max_length=1024, **arguments(steps, folder))
    models, tokenizer = (tiny_llama(), tiny_llama()), byte_tokenizer()
    trainer = DPOTrainer(*models, config, train_dataset=dataset, processing_class=tokenizer)
    decode = trainer.processing_class.decode
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    texts = [[decode(row[name]) for name in names] for row in trainer.train_dataset]
    return train(trainer) | {
        "n_tokens_trained": [len(row["chosen_ids"]) for row in trainer.train_dataset],
        "texts": texts,
    }


TRAINERS = {"messages": sft, "preference": dpo, "text": sft}


def train(trainer: Any) -> dict[str, Any]:
    """The losses of all steps, and whether the weights moved."""
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    moved = sum(not value.equal(before[name]) for name, value in trainer.model.named_parameters())
    return {
        "losses": losses,
        "is_finite": all(math.isfinite(loss) for loss in losses),
        "n_weights_moved": moved,
        "n_rows": len(trainer.train_dataset),
    }


def arguments(steps: int, folder: str) -> dict[str, Any]:
    """Of a short training on the CPU that writes nothing."""
    return {
        "output_dir": f"{folder}/out",
        "max_steps": steps,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "bf16": False,
        "seed": 0,
    }


def byte_tokenizer() -> Any:
    """Tokens are bytes, so that every text of any script is encoded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokens = {"pad_token": "<|pad|>", "bos_token": "<|end|>", "eos_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    fast.chat_template = TEMPLATE
    return fast


def tiny_llama() -> Any:
    """A Llama of two layers with random weights, always the same ones."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=256 + len(SPECIAL),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=1,
        )
    )


if __name__ == "__main__":
    main()
