"""Online DPO with answers drawn ahead and without: time per step on two cores, each thread of torch on one.

    OMP_NUM_THREADS=1 python benchmarks/online_dpo.py [--width 256] [--layers 6] [--steps 12] [--rounds 3]

Both arms train a random Llama on the same prompts with the same seeds and a reward model of the same size, in turn,
each in a process of its own; the first two steps are not counted. Printed: seconds per step of each round, how much
processor time that took (of the thread that trains, and of all), how long training waited for answers, and the ratio.
Processor time does not depend on what else the machine does: on free cores a step that draws ahead cannot take less
than its busier thread, and one in turn takes what both do together.
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
            print(f"{name:8}", *(f"{key} {value:.3f}" for key, value in found[-1].items()), flush=True)
    middle = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in rounds.items()
    }
    ahead, in_turn = middle["ahead"], middle["in turn"]
    print(f"{ahead['n_weights'] / 1e6:.1f} M weights, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"medians: ahead {ahead['step_s']:.3f} s, in turn {in_turn['step_s']:.3f} s per step", end=": ")
    print(f"{in_turn['step_s'] / ahead['step_s']:.2f} times as fast")
    busier = max(ahead["trains_s"], ahead["cpu_s"] - ahead["trains_s"])
    print(f"by processor time at most {in_turn['cpu_s'] / busier:.2f} times as fast on free cores")


def in_a_process(name: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--arm", name]
    here = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": here, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def arm(options: argparse.Namespace) -> dict[str, float]:
    import torch

    from manifests.schema_training_preferences import OnlineDpo
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
        at: list[tuple[float, float, float]] = []

        def progress(_: str, done: float, total: float, note: str = "") -> None:
            at.append((time.perf_counter(), time.process_time(), time.thread_time()))

        made = run(job, progress)
    first, last = at[1 + N_WARM], at[-1]  # the first call says where it begins
    wall_s, all_s, trains_s = ((b - a) / (len(at) - 2 - N_WARM) for a, b in zip(first, last, strict=True))
    found = {"step_s": wall_s, "cpu_s": all_s, "trains_s": trains_s, "n_weights": n_weights}
    return found | {"waited_frac": made.figures["waited_frac"]}


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
