"""A reward model with a known preference, made by hand, and prompts and policies that go with it.

Its reward grows with the share of plain tokens, those of lower-case Latin letters and spaces; what the chat template
writes counts as none, and prompts hold digits. So it pays to write plain tokens, and less with each one more, while
an answer that is cut off pays `missing_eos_penalty`.
"""

import string
from pathlib import Path
from typing import Any

from tests.training import tiny

PLAIN = set(string.ascii_lowercase + " ")


def save_reward_model(folder: Path, *, scale: float = 0.25) -> Path:
    """A folder with the reward model: a Llama of one layer whose attention takes the mean over all tokens.

    Each token's embedding says in its second place whether it is plain; the one head that is not zero writes the mean
    of that into the third place, which is the score.
    """
    import torch
    from transformers import AutoTokenizer, LlamaForSequenceClassification

    tiny.save_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForSequenceClassification(tiny.config(num_hidden_layers=1, num_labels=1))
    model.config.pad_token_id = tokenizer.pad_token_id
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        layer, embeddings = model.model.layers[0].self_attn, model.model.embed_tokens.weight
        embeddings[:, 0] = 1.0
        embeddings[:, 1] = torch.tensor([is_plain(tokenizer, one) for one in range(len(embeddings))]).float()
        layer.v_proj.weight[0, 1] = 1.0
        layer.o_proj.weight[2, 0] = scale
        model.score.weight[0, 2] = 1.0
    model.save_pretrained(folder)
    return folder


def is_plain(tokenizer: Any, token: int) -> bool:
    """Whether a token stands for plain letters alone, and is none of the chat template's."""
    of_template = tokenizer.apply_chat_template(tiny.conversation(""), add_generation_prompt=True, return_dict=False)
    return token not in {*of_template, *range(len(tiny.SPECIAL))} and set(tokenizer.decode([token])) <= PLAIN


def save_prompts(path: Path, n: int = 24) -> Path:
    """Rows with `messages`: n prompts."""
    return tiny.write_jsonl(path, [{"messages": tiny.conversation(str(10**6 + 7919 * i))} for i in range(n)])


def online_job(folder: Path, policy: Path, reward: Path, *, seed: int = 1, **changes: Any) -> Any:
    """A stage that trains a policy by the reward model, in a folder of its own, a second or two long."""
    from manifests.schema_training_preferences import OnlineDpo
    from training.jobs import Job

    folder.mkdir(parents=True, exist_ok=True)
    prompts = save_prompts(folder / "prompts.jsonl")
    settings: dict[str, Any] = {
        "kind": "online_dpo",
        "name": "online",
        "prompts": str(prompts),
        "reward": "rm",
        "steps": 4,
        "batch": 4,
        "n": 2,
        "max_new_tokens": 6,
        "temperature": 1.0,
        "missing_eos_penalty": 0.1,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "checkpoints": {"every": 1, "keep": 9},
    }
    return Job(
        stage=OnlineDpo(**(settings | changes)),
        folder=str(folder / "work"),
        manifest_base=str(folder),
        models={"model": str(policy), "rm": str(reward)},
        seed=seed,
        threads=1,
    )
