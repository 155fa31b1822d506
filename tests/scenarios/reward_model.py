"""A reward model with random weights, and what transformers says that it says: runs where vLLM is installed.

python reward_model.py write TOKENIZER_FOLDER FOLDER    # a Llama of two layers with one label
python reward_model.py score FOLDER < chats.json        # one logit a line
"""

import json
import shutil
import sys
from pathlib import Path

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def write(tokenizer: Path, folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(tokenizer)),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,  # vLLM's kernels for CPUs have no 16
        max_position_embeddings=512,
        initializer_range=0.2,  # else all scores are nearly 0
        num_labels=1,
        pad_token_id=0,
    )
    LlamaForSequenceClassification(config).float().save_pretrained(folder)
    for name in TOKENIZER:
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder / name)


def score(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    for messages in json.load(sys.stdin):
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            print(float(model(input_ids=ids).logits[0, 0]))


if __name__ == "__main__":
    {"write": write, "score": score}[sys.argv[1]](*map(Path, sys.argv[2:]))
