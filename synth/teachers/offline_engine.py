"""vLLM's engine without a server: requests come in as lines of JSON, answers go out as they are ready.

It is run by its path, with an interpreter that has vLLM and nothing of Onggi's; its arguments are vLLM's flags. In
come {id, messages, sampling, schema, kind}, as `synth.teachers.answers.Request` has them, with JSON in place of its
text, and {id, text, kind: tokenize}. Out go {id, answer}, an answer being what vLLM's server says of a chat;
{id, rejected: why}; {id, ids}; and first {ready: true}. What others print goes to the standard error.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 1 << 30

OF_THE_PROMPT = ("add_generation_prompt", "continue_final_message")
"""Fields of a request that say how a chat becomes a prompt, beside chat_template_kwargs."""

OF_THE_RESPONSE = ("return_token_ids", "return_tokens_as_token_ids")
"""Fields that say what the server is to tell, which is told here anyway."""

NOT_FOR_REQUESTS = {"n", "output_kind", "structured_outputs"}
"""Parameters of vLLM that are not for a request to set: it has one answer, and a schema where it wants one."""

LOGPROB_MIN = -9999.0
"""What JSON has in place of minus infinity, in the server as well."""

WHERE_THE_MODEL_SAYS = ("repetition_penalty", "temperature", "top_p", "top_k", "min_p", "stop_token_ids")
"""Fields whose default is what the model's generation_config.json says, as in the server."""


class Rejected(Exception):
    """This request will have no answer; others may."""


def engine_of(flags: list[str]) -> Any:
    """The engine that the flags describe."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        from vllm.utils.argparse_utils import FlexibleArgumentParser
    except ImportError:  # where it was until 2025
        from vllm.utils import FlexibleArgumentParser
    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    return AsyncLLM.from_engine_args(AsyncEngineArgs.from_cli_args(parser.parse_args(flags)))


def prompt_ids(tokenizer: Any, request: dict[str, Any], sampling: dict[str, Any]) -> list[int]:
    """The prompt's token ids, as the server makes them; takes out of `sampling` what is said of that."""
    if request["kind"] == "text":
        special = sampling.pop("add_special_tokens", True)
        return list(tokenizer.encode(request["messages"][0][1], add_special_tokens=special))
    if request["kind"] != "chat":
        raise Rejected("the offline engine writes and does not score: use teacher.serve with runner: pooling")
    messages = [{"role": role, "content": content} for role, content in request["messages"]]
    said = {"add_generation_prompt": True, **(sampling.pop("chat_template_kwargs", None) or {})}
    said |= {name: sampling.pop(name) for name in OF_THE_PROMPT if name in sampling}
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, **said)
    except Exception as error:  # a template is a program of the model's, and may raise anything
        raise Rejected(f"the model's chat template does not take this chat: {error}") from error
    return list(tokenizer.encode(text, add_special_tokens=False))


def params_of(fields: dict[str, Any], schema: Any, room: int, defaults: dict[str, Any]) -> Any:
    """vLLM's sampling parameters.

    Args:
        fields: of the request.
        schema: JSON Schema of the answer, if any.
        room: tokens that fit after the prompt.
        defaults: what the model says of sampling.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    if unknown := sorted(set(fields) - set(SamplingParams.__struct_fields__) | set(fields) & NOT_FOR_REQUESTS):
        raise Rejected(f"this engine knows no {', '.join(unknown)}: remove it from teacher.sampling.extra")
    said = {name: value for name, value in defaults.items() if name in WHERE_THE_MODEL_SAYS} | fields
    said["max_tokens"] = min(said.get("max_tokens") or room, room)
    if schema is not None:
        said["structured_outputs"] = StructuredOutputsParams(json=schema)
    try:
        return SamplingParams(**said, output_kind=RequestOutputKind.FINAL_ONLY)
    except (ValueError, TypeError) as error:
        raise Rejected(f"the engine does not take the sampling: {error}") from error


def n_logprobs(fields: dict[str, Any]) -> int | None:
    """How many tokens are to be given with their logprobs at each place; takes out of `fields` what says so."""
    wanted, top = fields.pop("logprobs", None), fields.pop("top_logprobs", None)
    for name in OF_THE_RESPONSE:
        fields.pop(name, None)
    if wanted is None or wanted is False:
        return None
    return int(top or 0) if wanted is True else int(wanted)


async def answer_of(engine: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    sampling = dict(request["sampling"])
    sampling["logprobs"] = n_logprobs(sampling)
    ids = prompt_ids(engine.get_tokenizer(), request, sampling)
    room = engine.model_config.max_model_len - len(ids)
    if room < 1:
        raise Rejected(
            f"the prompt has {len(ids)} tokens and the engine room for {engine.model_config.max_model_len}"
        )
    params = params_of(sampling, request["schema"], room, engine.model_config.get_diff_sampling_param())
    try:
        async for said in engine.generate({"prompt_token_ids": ids}, params, str(request["id"])):
            last = said
    except ValueError as error:  # what it says of a schema that it does not know
        raise Rejected(f"the engine does not take the request: {error}") from error
    (output,) = last.outputs
    output_ids = list(output.token_ids)
    steps = [
        {**_token(token, found), "top_logprobs": [_token(other, found) for other in found]}
        for token, found in zip(output_ids, output.logprobs or [], strict=False)
    ]
    choice = {"message": {"content": output.text}, "finish_reason": output.finish_reason, "token_ids": output_ids}
    return {
        "choices": [{**choice, "logprobs": {"content": steps} if output.logprobs is not None else None}],
        "prompt_token_ids": ids,
        "usage": {"prompt_tokens": len(ids), "completion_tokens": len(output_ids)},
    }


def _token(token: int, found: dict[int, Any]) -> dict[str, Any]:
    return {"token": f"token_id:{token}", "logprob": max(found[token].logprob, LOGPROB_MIN)}


class Replies:
    """Lines for whoever started this."""

    def __init__(self, descriptor: int) -> None:
        self._out = os.fdopen(descriptor, "wb")

    def send(self, value: dict[str, Any]) -> None:
        """Write one."""
        self._out.write(json.dumps(value).encode() + b"\n")
        self._out.flush()


class Serving:
    """Answers requests, each as it comes, until nobody asks any more."""

    def __init__(self, engine: Any, replies: Replies) -> None:
        self._engine, self._replies = engine, replies
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def run(self, requests: asyncio.StreamReader) -> None:
        """Until there are no more requests: then nobody waits for answers.

        Raises:
            Exception: what broke the engine.
        """
        while True:
            line: asyncio.Future[Any] = asyncio.ensure_future(requests.readline())
            await asyncio.wait({line, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                line.cancel()
                self._broken.result()
            if not line.result():
                return
            task = asyncio.create_task(self._answer(json.loads(line.result())))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _answer(self, request: dict[str, Any]) -> None:
        if request["kind"] == "tokenize":
            ids = self._engine.get_tokenizer().encode(request["text"], add_special_tokens=False)
            return self._replies.send({"id": request["id"], "ids": list(ids)})
        try:
            self._replies.send({"id": request["id"], "answer": await answer_of(self._engine, request)})
        except Rejected as error:
            self._replies.send({"id": request["id"], "rejected": str(error)})

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)


async def serve(flags: list[str], replies: Replies) -> None:
    """Start the engine, and have it answer what comes in."""
    engine = engine_of(flags)
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    replies.send({"ready": True})
    try:
        await Serving(engine, replies).run(reader)
    finally:
        engine.shutdown()


def main() -> None:
    """The process; what fails beyond one request ends it, and its log says why."""
    replies = Replies(os.dup(1))
    os.dup2(2, 1)  # vLLM prints there, and so do the processes that it starts
    asyncio.run(serve(sys.argv[1:], replies))


if __name__ == "__main__":
    if sys.path[0] == str(Path(__file__).parent):  # its modules' names are not for others to find
        del sys.path[0]
    main()
