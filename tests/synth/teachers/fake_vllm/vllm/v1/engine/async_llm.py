"""An engine that says what it was asked: the prompt and the parameters. One token is one character."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

from vllm import SamplingParams, start_core
from vllm.engine.arg_utils import AsyncEngineArgs


class Tokenizer:
    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [0] * add_special_tokens + [ord(character) for character in text]

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool, **more: Any) -> str:
        if messages[0]["role"] == "system":
            raise ValueError("this model has no system message")
        end = "|>" if more.pop("add_generation_prompt") else ""
        return "".join(f"<{message['role']}|{message['content']}" for message in messages) + end + str(more or "")


@dataclass
class ModelConfig:
    max_model_len: int

    def get_diff_sampling_param(self) -> dict[str, Any]:
        return {"repetition_penalty": 1.1, "top_p": 0.5, "max_tokens": 3}


class AsyncLLM:
    def __init__(self, args: AsyncEngineArgs) -> None:
        print("engines print where they like")
        start_core()
        if os.environ.get("FAKE_VLLM") == "deaf":
            time.sleep(600)
        self.model_config = ModelConfig(int(args.flags.max_model_len or 1000))

    @classmethod
    def from_engine_args(cls, args: AsyncEngineArgs) -> "AsyncLLM":
        return cls(args)

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()

    async def generate(self, prompt: Any, params: SamplingParams, request_id: str) -> AsyncIterator[Any]:
        ids = prompt["prompt_token_ids"]
        said = "".join(map(chr, ids))
        if "die" in said:
            os.kill(os.getpid(), signal.SIGKILL)
        if "break" in said:
            raise RuntimeError("the engine is dead")
        await asyncio.sleep(0.05 if "slow" in said else 0)
        told = {name: value for name, value in asdict(params).items() if name not in ("output_kind", "n")}
        text = json.dumps({"prompt": said, **told})
        steps = [{ord("a"): _Logprob(-0.5), ord("b"): _Logprob(-1.0), ord("c"): _Logprob(-2.0)}]
        output = SimpleNamespace(text=text, finish_reason="stop", token_ids=[ord("a")])
        output.logprobs = steps if params.logprobs is not None else None
        yield SimpleNamespace(outputs=[output], prompt_token_ids=ids)

    def shutdown(self) -> None:
        pass


@dataclass
class _Logprob:
    logprob: float
