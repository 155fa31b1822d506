"""Online DPO with answers drawn ahead and without: time per step on two cores, each thread of torch on one.

    OMP_NUM_THREADS=1 python benchmarks/online_dpo.py [--width 256] [--layers 6] [--steps 12] [--rounds 3]

Both arms train a random Llama on the same prompts with the same seeds and a reward model of the same size, in turn,
each in a process of its own; the first two steps are not counted. Printed: seconds per step of each round, how long
training waited for answers, and the ratio. What can be gained at most is drawing or training, whichever is shorter.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

N_WARM = 2
WORDS = ("what", "where", "who", "when", "why", "how", "is", "are", "was", "did", "we", "they", "it", "this", "that")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--arm", choices=("ahead", "in turn"))
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(arm(options)))
        return
    rounds: dict[str, list[dict[str, float]]] = {"ahead": [], "in turn": []}
    for _ in range(options.rounds):
        for name, found in rounds.items():
            found.append(in_a_process(name))
            print(f"{name:8} {found[-1]['step_s']:.3f} s per step, waited {found[-1]['waited_frac']:.0%}", flush=True)
    ahead, in_turn = (statistics.median(one["step_s"] for one in rounds[name]) for name in ("ahead", "in turn"))
    n_weights = rounds["ahead"][0]["n_weights"]
    print(f"{n_weights / 1e6:.1f} M weights, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"medians: drawn ahead {ahead:.3f} s, in turn {in_turn:.3f} s per step: {in_turn / ahead:.2f} times as fast"
    )


def in_a_process(name: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--arm", name]
    here = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": here, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def arm(options: argparse.Namespace) -> dict[str, float]:
    import torch

    from manifests.schema_training import OnlineDpo
    from training.jobs import Job
    from training.online.online_dpo import run

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_weights = save_models(folder, options.width, options.layers)
        prompts = [{"prompt": f"{a} {b} {c}"} for a in WORDS for b in WORDS for c in WORDS[:4]]
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
        stage = OnlineDpo(
            kind="online_dpo", name="online", prompts="prompts.jsonl", reward="rm", steps=options.steps, n=2,
            batch=options.batch, max_new_tokens=options.new_tokens, temperature=1.0, learning_rate=1e-5,
            checkpoints={"every": 10_000}, asynchronous=options.arm == "ahead", precision="float32",
        )  # fmt: skip
        job = Job(
            stage=stage, folder=str(folder / "work"), manifest_base=name, seed=1, threads=1,
            models={"model": str(folder / "policy"), "rm": str(folder / "reward")},
        )  # fmt: skip
        job.path.mkdir()
        at: list[float] = []

        def progress(_: str, done: float, total: float, note: str = "") -> None:
            at.append(time.perf_counter())

        made = run(job, progress)
    times = at[1:]  # the first call says where it begins
    step_s = (times[-1] - times[N_WARM]) / (len(times) - 1 - N_WARM)
    return {"step_s": step_s, "n_weights": n_weights, "waited_frac": made.figures["waited_frac"]}


def save_models(folder: Path, width: int, n_layers: int) -> int:
    """A policy and a reward model of random weights; how many weights the policy has."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", pad_token="<|pad|>")
    settings: dict[str, Any] = {
        "vocab_size": 8192, "hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": n_layers,
        "num_attention_heads": width // 32, "num_key_value_heads": width // 64, "head_dim": 32,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    policy = LlamaForCausalLM(LlamaConfig(**settings))
    reward = LlamaForSequenceClassification(LlamaConfig(**settings, num_labels=1))
    for name, model in (("policy", policy), ("reward", reward)):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return sum(one.numel() for one in policy.parameters())


if __name__ == "__main__":
    main()
