"""Who draws answers while a policy is trained: a copy of the policy, the policy itself, or vLLM.

A generator holds the weights of one version of the policy, the number of updates that made them, until it takes
others. What it draws therefore says by which version; nothing else is believed about how old it is.
"""

import contextlib
import importlib.util
import os
from collections.abc import Sequence
from typing import Any, Protocol

import torch
import xxhash

from manifests.errors import RequestError
from manifests.schema_training_preferences import OnlineDpo
from training.chat.rendering import end_ids
from training.online.policy_copies import PolicyCopy, merged_weights
from training.online.sampling import Drawn, draw_ids

VLLM_MEMORY_FRAC = 0.3
"""Share of a GPU's memory that vLLM takes for weights and cache, beside the training on it."""


class Generator(Protocol):
    """Draws answers with weights that it was handed."""

    version: int
    """Updates that made the weights that it holds; -1 before it holds any."""

    def take(self, policy: Any, version: int) -> None:
        """Take the policy's weights; never while it draws. With sharded weights all processes must call it."""

    def draw(self, prompts: Sequence[Sequence[int]], seed: int) -> list[list[Drawn]]:
        """Answers to prompts of token ids, by this seed."""


class ModelGenerator:
    """Draws with transformers, in this process: with a copy of the policy, or with the policy itself."""

    def __init__(
        self,
        policy: Any,
        tokenizer: Any,
        stage: OnlineDpo,
        *,
        copied: bool,
        bfloat16: bool = False,
        at_once: int = 16,
        device: torch.device | None = None,
    ) -> None:
        """A generator that holds no weights yet.

        Args:
            policy: the model that is trained, before it is sharded.
            tokenizer: one of its own, since tokenizers serve one thread at a time.
            stage: how answers are drawn.
            copied: whether it has a copy; without one it must not draw while the policy is trained.
            bfloat16: whether the copy is one in bfloat16.
            at_once: answers that are drawn together.
            device: where the copy goes; without it, where the policy is.
        """
        self._copy = PolicyCopy(policy, torch.bfloat16 if bfloat16 else None, device) if copied else None
        self._policy, self._tokenizer, self._stage = policy, tokenizer, stage
        self._bfloat16, self._at_once = bfloat16, at_once
        self.version = -1

    @property
    def size_bytes(self) -> int:
        """Memory of the weights that it has for itself."""
        return self._copy.size_bytes if self._copy else 0

    @property
    def model(self) -> Any:
        """The model that draws."""
        return self._copy.model if self._copy else self._policy

    def take(self, policy: Any, version: int) -> None:
        """Take the policy's weights, unless it holds this version."""
        if self._copy and version != self.version:
            self._copy.take(policy)
            settle(self._copy.model.device)
        self.version = version

    def draw(self, prompts: Sequence[Sequence[int]], seed: int) -> list[list[Drawn]]:
        """Answers to prompts of token ids; see `training.online.sampling`."""
        device = self.model.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._bfloat16 and not self._copy):
            return draw_ids(
                self.model,
                self._tokenizer,
                prompts,
                n=self._stage.n,
                temperature=self._stage.temperature,
                top_p=self._stage.top_p,
                max_new_tokens=self._stage.max_new_tokens,
                seed=seed,
                batch=self._at_once,
            )


class VllmGenerator:
    """Draws with vLLM's engine in this process, which takes the policy's weights after each update.

    A seed goes with each prompt, but vLLM does not promise the same bits twice. A run that goes on from a checkpoint
    trains on the very answers that lie in it; those that it draws after that may differ from the undisturbed run's.
    """

    def __init__(self, folder: str, tokenizer: Any, generation_config: Any, stage: OnlineDpo, bfloat16: bool) -> None:
        """Start the engine; it reads the model once from its folder.

        Args:
            folder: the model that the stage goes on from.
            tokenizer: the model's.
            generation_config: the model's.
            stage: how answers are drawn.
            bfloat16: whether weights are.

        Raises:
            RequestError: vLLM is not installed.
        """
        if not importlib.util.find_spec("vllm"):
            raise RequestError(
                "generator: `vllm` is not installed; pip install vllm, or take `generator: transformers`, which "
                "draws with a copy of the policy"
            )
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights are handed over within the process
        from vllm import LLM

        self._stage, self._tokenizer = stage, tokenizer
        self._ends = end_ids(tokenizer, generation_config)
        self._engine = LLM(
            model=folder,
            dtype="bfloat16" if bfloat16 else "float32",
            max_model_len=stage.max_prompt_length + stage.max_new_tokens,
            gpu_memory_utilization=VLLM_MEMORY_FRAC,
            distributed_executor_backend="external_launcher" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None,
            generation_config="vllm",  # no settings of the model's own, which would change the distribution
        )
        self.version = -1

    def take(self, policy: Any, version: int) -> None:
        """Load the policy's weights into the engine, and drop what it had cached of the old ones."""
        if version != self.version:
            self._engine.collective_rpc("reload_weights", kwargs={"weights_iterator": merged_weights(policy)})
            self._engine.reset_prefix_cache()
        self.version = version

    def draw(self, prompts: Sequence[Sequence[int]], seed: int) -> list[list[Drawn]]:
        """Answers to prompts of token ids."""
        from vllm import SamplingParams

        settings = [
            SamplingParams(
                n=self._stage.n,
                temperature=self._stage.temperature,
                top_p=self._stage.top_p,
                max_tokens=self._stage.max_new_tokens,
                stop_token_ids=self._ends,
                seed=xxhash.xxh3_64_intdigest(repr((seed, number)).encode()) >> 32,
                detokenize=False,
            )
            for number in range(len(prompts))
        ]
        asked = [{"prompt_token_ids": list(ids)} for ids in prompts]
        answered = self._engine.generate(asked, settings, use_tqdm=False)
        return [[self._drawn(list(one.token_ids)) for one in answers.outputs] for answers in answered]

    def _drawn(self, ids: list[int]) -> Drawn:
        """An answer; what ends it is its last token, as vLLM gives it."""
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        return Drawn(tuple(ids), text, bool(ids) and ids[-1] in self._ends)


def is_vllm(stage: OnlineDpo) -> bool:
    """Whether vLLM draws: where the manifest says so, or by itself where it is installed and a GPU is there."""
    if stage.generator == "auto":
        return torch.cuda.is_available() and importlib.util.find_spec("vllm") is not None
    return stage.generator == "vllm"


def settle(device: torch.device) -> None:
    """Wait until what was asked of a GPU is done, so that another stream finds it."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def apart(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A stream of its own on a GPU, so that what a thread asks for does not wait for what another one does."""
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else contextlib.nullcontext()
