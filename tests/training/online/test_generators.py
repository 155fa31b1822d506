"""Who draws: with which weights, with which numbers, and what is handed over to vLLM."""

import importlib.machinery
import os
import subprocess
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from manifests.errors import RequestError
from manifests.schema_training_preferences import OnlineDpo
from tests.conftest import REPOSITORY
from training.online.generators import ModelGenerator, VllmGenerator, is_vllm
from training.online.sampling import draw_ids
from training.trainers import load_model

PROMPTS = [[5, 6, 7], [8, 9]]
END = 1
VLLM_PYTHON = Path(os.environ.get("ONGGI_JUDGE_PYTHON", REPOSITORY / ".venv-judge" / "bin" / "python"))


def stage(**changes: Any) -> OnlineDpo:
    settings: dict[str, Any] = {"n": 3, "max_new_tokens": 4, "temperature": 0.7, "top_p": 0.9}
    return OnlineDpo(kind="online_dpo", name="online", prompts="p", reward="rm", **(settings | changes))


@pytest.mark.parametrize("copied", [True, False])
def test_it_draws_with_the_weights_that_it_took(tiny_model: Path, copied: bool) -> None:
    policy, tokenizer = load_model(str(tiny_model)), AutoTokenizer.from_pretrained(tiny_model)
    policy.train()
    generator = ModelGenerator(policy, tokenizer, stage(), copied=copied)
    assert generator.version == -1
    generator.take(policy, 0)
    options: dict[str, Any] = {"n": 3, "max_new_tokens": 4, "temperature": 0.7, "top_p": 0.9, "seed": 9}
    before = draw_ids(policy, tokenizer, PROMPTS, **options)
    assert generator.draw(PROMPTS, 9) == before
    with torch.no_grad():
        policy.lm_head.weight.mul_(-20)
    after = draw_ids(policy, tokenizer, PROMPTS, **options)
    assert after != before
    assert generator.draw(PROMPTS, 9) == (before if copied else after)
    generator.take(policy, 1)
    assert generator.version == 1
    assert generator.draw(PROMPTS, 9) == after
    assert policy.training
    assert (generator.size_bytes > 0) == copied


def test_a_copy_in_bfloat16(tiny_model: Path) -> None:
    policy, tokenizer = load_model(str(tiny_model)), AutoTokenizer.from_pretrained(tiny_model)
    generator = ModelGenerator(policy, tokenizer, stage(), copied=True, bfloat16=True)
    generator.take(policy, 0)
    assert [len(answers) for answers in generator.draw(PROMPTS, 9)] == [3, 3]
    assert generator.model.dtype == torch.bfloat16
    assert generator.size_bytes == 2 * sum(one.numel() for one in policy.parameters())


def test_the_numbers_of_torch_are_left_alone(tiny_model: Path) -> None:
    """Else a thread that draws would change dropout of the update beside it."""
    policy, tokenizer = load_model(str(tiny_model)), AutoTokenizer.from_pretrained(tiny_model)
    generator = ModelGenerator(policy, tokenizer, stage(), copied=True)
    state = torch.get_rng_state()
    generator.take(policy, 0)
    generator.draw(PROMPTS, 9)
    assert torch.equal(torch.get_rng_state(), state)


# vLLM


class Settings:
    """Stands in for `vllm.SamplingParams`."""

    def __init__(self, **values: Any) -> None:
        self.__dict__ |= values


class Engine:
    """Stands in for `vllm.LLM`: answers with the sum of its weights and its seed."""

    def __init__(self, **options: Any) -> None:
        self.options, self.loaded, self.n_resets, self.asked = options, dict[str, float](), 0, list[Any]()

    def collective_rpc(self, method: str, *, kwargs: dict[str, Iterable[tuple[str, torch.Tensor]]]) -> None:
        assert method == "reload_weights"
        self.loaded = {name: float(weight.sum()) for name, weight in kwargs["weights_iterator"]}

    def reset_prefix_cache(self) -> None:
        self.n_resets += 1

    def generate(self, prompts: Sequence[Any], settings: Sequence[Settings], use_tqdm: bool) -> Iterator[Any]:
        self.asked = [*zip(prompts, settings, strict=True)]
        for _ in prompts:
            outputs = [types.SimpleNamespace(token_ids=[40, END] if k else [41, 42]) for k in range(settings[0].n)]
            yield types.SimpleNamespace(outputs=outputs)


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("vllm")
    module.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    module.LLM, module.SamplingParams = Engine, Settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)


@pytest.mark.usefixtures("vllm")
def test_vllm_is_handed_the_weights_of_each_version(tiny_model: Path) -> None:
    policy, tokenizer = load_model(str(tiny_model)), AutoTokenizer.from_pretrained(tiny_model)
    generator = VllmGenerator(str(tiny_model), tokenizer, policy.generation_config, stage(), bfloat16=False)
    engine: Any = generator._engine
    assert engine.options["model"] == str(tiny_model)
    assert engine.options["max_model_len"] == 1024 + 4
    generator.take(policy, 0)
    assert engine.loaded == {name: float(one.detach().sum()) for name, one in policy.named_parameters()}
    generator.take(policy, 0)
    assert engine.n_resets == 1
    with torch.no_grad():
        policy.lm_head.weight.zero_()
    generator.take(policy, 1)
    assert (engine.loaded["lm_head.weight"], engine.n_resets, generator.version) == (0.0, 2, 1)

    first, second = generator.draw(PROMPTS, 9), generator.draw(PROMPTS, 9)
    assert first == second
    assert [(one.ids, one.ended) for one in first[0]] == [((41, 42), False), ((40, END), True), ((40, END), True)]
    prompts, settings = zip(*engine.asked, strict=True)
    assert [prompt["prompt_token_ids"] for prompt in prompts] == PROMPTS
    assert (settings[0].n, settings[0].max_tokens, settings[0].temperature, settings[0].top_p) == (3, 4, 0.7, 0.9)
    assert END in settings[0].stop_token_ids
    assert len({one.seed for one in settings}) == 2


def test_without_vllm_the_manifest_hears_of_it(tiny_model: Path) -> None:
    assert not is_vllm(stage())
    assert is_vllm(stage(generator="vllm"))
    assert not is_vllm(stage(generator="transformers"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    with pytest.raises(RequestError, match=r"`vllm` is not installed.*`generator: transformers`"):
        VllmGenerator(str(tiny_model), tokenizer, None, stage(generator="vllm"), bfloat16=False)


@pytest.mark.slow
def test_real_vllm_draws_by_the_weights_that_it_was_handed(tmp_path: Path) -> None:
    """vLLM on a CPU: all weights, low-rank updates, and a whole stage; in an interpreter of its own."""
    if not VLLM_PYTHON.exists():
        pytest.skip(
            f"no vLLM is installed at {VLLM_PYTHON}: `make judge` builds it, or ONGGI_JUDGE_PYTHON says where"
        )
    done = subprocess.run(
        [VLLM_PYTHON, REPOSITORY / "tests/training/vllm_draws.py", tmp_path, sysconfig.get_path("purelib")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in done.stdout.splitlines() if line.startswith(("likeliest:", "seeds:", "run:"))]
    assert said == ["likeliest: 9 9 9", "seeds: True True True", "run: 4 1.0"]
