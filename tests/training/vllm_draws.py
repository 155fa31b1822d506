"""Run by an interpreter that has vLLM: it draws by the policy's own weights, after each handing over of them.

    python tests/training/vllm_draws.py FOLDER

On a CPU, with the wheel of `make judge`; what that lacks of Onggi's own needs is taken from the paths after FOLDER.
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path += sys.argv[2:]
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
PROMPTS = [[5, 6, 7, 8], [9, 10, 11], [20, 21, 22, 23, 24]]


def main(folder: Path) -> None:
    import peft
    import torch

    from tests.training import planted, tiny
    from training.online import generators
    from training.online.generators import VllmGenerator
    from training.online.online_dpo import run
    from training.trainers import load_model, load_tokenizer

    torch.set_num_threads(1)
    generators.VLLM_MEMORY_FRAC = 0.2
    model = str(tiny.save_model(folder / "model", initializer_range=0.3))
    reward = planted.save_reward_model(folder / "reward")
    settings = {"n": 3, "temperature": 0.01, "max_prompt_length": 64, "generator": "vllm"}
    job = planted.online_job(folder, Path(model), reward, **settings)
    policy, tokenizer = load_model(model), load_tokenizer(model)
    generator = VllmGenerator(model, tokenizer, policy.generation_config, job.stage, bfloat16=False)

    def n_likeliest(policy: Any, version: int) -> int:
        """Answers, of nine, of which each token is the likeliest one to the policy itself, or nearly so.

        vLLM draws at a temperature of 0.01, where a token whose logit is 0.2 lower has a chance of e^-20.
        """
        generator.take(policy, version)
        count = 0
        for prompt, answers in zip(PROMPTS, generator.draw(PROMPTS, 3), strict=True):
            for answer in answers:
                with torch.no_grad():
                    logits = policy.eval()(input_ids=torch.tensor([[*prompt, *answer.ids]])).logits[0]
                given = logits[len(prompt) - 1 : -1]
                chosen = given.gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
                count += bool((chosen > given.max(-1).values - 0.2).all())
        return count

    def disturb(weights: list[Any], by: float) -> None:
        with torch.no_grad():
            for weight in weights:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * by)

    found = [n_likeliest(policy, 0)]
    disturb(list(policy.parameters()), 0.3)
    found.append(n_likeliest(policy, 1))
    adapted = peft.get_peft_model(policy, peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    disturb([weight for name, weight in adapted.named_parameters() if "lora_B" in name], 0.5)
    found.append(n_likeliest(adapted, 2))
    print("likeliest:", *found)

    generator._stage = job.stage.model_copy(update={"temperature": 1.0})
    first, again, other = (generator.draw(PROMPTS, seed) for seed in (3, 3, 4))
    print("seeds:", first == again, first != other, len({answer.ids for answer in first[0]}) > 1)
    generators.VllmGenerator = lambda *_: generator  # type: ignore[assignment,misc]
    import training.online.online_dpo

    training.online.online_dpo.VllmGenerator = lambda *_: generator  # type: ignore[assignment,misc]
    generator.version = -1
    made = run(job.model_copy(update={"stage": job.stage.model_copy(update={"temperature": 1.0})}), lambda *_: None)
    print("run:", made.counts["steps"], made.figures["staleness"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
