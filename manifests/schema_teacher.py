"""The part of a manifest that names a teacher: the model that labels or writes, and how it is asked."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from manifests.errors import FieldError
from manifests.schema import Argument, Model

ArgumentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

SET_BY_ONGGI = {
    "model": "name the checkpoint in `weights`",
    "served_model_name": "it is teacher.model",
    "runner": "it is teacher.serve.runner",
    "host": "leave it out",
    "port": "leave it out",
    "uds": "leave it out",
}
"""Flags of vLLM that no `args` may name, and where it is said what they say."""


class Sampling(Model):
    """How the teacher draws its answers."""

    temperature: float = Field(0.0, ge=0, le=2)
    """0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Share of the probability that is drawn from."""
    max_tokens: int = Field(512, ge=1)
    """Longest answer. One that is cut off is never used."""
    seed: int = Field(0, ge=0)
    """Of each request; another try at the same request adds to it."""
    extra: dict[str, Argument] = Field(default_factory=dict)
    """Further fields of the request, as {top_k: 20}, {stop: ["###"]} or {chat_template_kwargs: {enable_thinking:
    false}}. Servers ignore what they do not know."""


class OfflineEngine(Model):
    """vLLM in a process that the run starts when something must be asked, and that ends with it."""

    weights: str = Field(min_length=1)
    """Folder of a checkpoint (relative paths start at the manifest's folder), or its name on the model hub where
    there is no such folder."""
    python: str | None = None
    """Interpreter that has vLLM, as .venv-vllm/bin/python; without it, the one that Onggi runs on. Relative paths
    start at the manifest's folder."""
    args: dict[ArgumentName, Argument] = Field(default_factory=dict)
    """vLLM's flags without their dashes: {max_model_len: 4096, dtype: bfloat16, enforce_eager: true} becomes
    `--max-model-len 4096 --dtype bfloat16 --enforce-eager`; false becomes `--no-...`. They change between versions of
    vLLM, which stops at one that it does not know."""
    env: dict[VariableName, str] = Field(default_factory=dict)
    """Further variables of its environment, as {CUDA_VISIBLE_DEVICES: "0"}. They are kept with the manifest: no
    secrets."""
    startup_s: float = Field(600.0, gt=0)
    """How long it may take until it answers."""

    @model_validator(mode="after")
    def _no_flag_of_ours(self) -> "OfflineEngine":
        for name, instead in SET_BY_ONGGI.items():
            if name in self.args:
                raise FieldError(f"is set by Onggi: {instead}", "args", name)
        return self


class OwnServer(OfflineEngine):
    """vLLM's server, on a free port of this machine that only this machine reaches."""

    runner: Literal["generate", "pooling"] = "generate"
    """`pooling` for a reward model, which scores and writes nothing."""


class Logprobs(Model):
    """The tokens of each answer with their probabilities, to distil from. Of vLLM; where another server ignores it,
    the run ends."""

    top: int = Field(20, ge=0, le=1024)
    """How many of the likeliest tokens are kept at each place. vLLM gives up to 20, or `--max-logprobs`."""
    tokenizer: str = Field(min_length=1)
    """Folder with the teacher's tokenizer.json, whose hash is kept with the ids; it is compared with the server's.
    Relative paths start at the manifest's folder."""


class Teacher(Model):
    """A model behind an OpenAI-compatible server (vLLM and others), one that the run starts itself, or answers that
    were recorded: exactly one of `url`, `serve`, `offline` and `replay`."""

    model: str = Field(min_length=1)
    """Name under which the server has it, or is to have it."""
    url: str | None = Field(None, pattern=r"^https?://")
    """Where a server's API begins that is up already, as http://127.0.0.1:8000/v1."""
    serve: OwnServer | None = None
    """A server of vLLM that the run starts when something must be asked, and stops."""
    offline: OfflineEngine | None = None
    """vLLM without a server: its engine, for runs on one machine. It writes, and does not score."""
    replay: str | None = None
    """A JSONL file of recorded answers; nothing is asked. Relative paths start at the manifest's folder."""
    revision: str = ""
    """What pins the weights, as a commit: answers of another revision are not taken for this one's."""
    api_key: str | None = Field(None, pattern=r"^[A-Z_][A-Z0-9_]*$")
    """Name of the environment variable that holds the key; the key itself is written nowhere."""
    sampling: Sampling = Sampling()
    """How answers are drawn."""
    concurrency: int = Field(64, ge=1, le=4096)
    """Most requests in flight. Of a server that tells of its queue, as vLLM's does at /metrics, no more are used than
    it works on at once and a tenth that waits; of one that answers 429, fewer for a while."""
    logprobs: Logprobs | None = None
    """Keep the tokens of answers and their probabilities."""
    timeout_s: float = Field(300.0, gt=0)
    """How long one answer may take."""
    retries: int = Field(6, ge=0, le=100)
    """How often a request is sent again where the server is busy, gone or failing, at growing intervals."""
    answers: str | None = None
    """SQLite file that keeps every answer, so that none is paid twice; several manifests may share one. Without it,
    `answers.sqlite` in the run's folder. Relative paths start at the manifest's folder."""
    price_input: float = Field(0.0, ge=0)
    """Of a million tokens of prompts, in your currency; for the cost that is shown."""
    price_output: float = Field(0.0, ge=0)
    """Of a million tokens of answers."""

    @model_validator(mode="after")
    def _one_backend(self) -> "Teacher":
        if sum(backend is not None for backend in (self.url, self.serve, self.offline, self.replay)) != 1:
            raise ValueError(
                "name exactly one of `url`, a server's address; `serve`, a server to start; `offline`, an engine to "
                "start; and `replay`, a file of recorded answers"
            )
        if self.url and "@" in urlsplit(self.url).netloc:
            raise FieldError(
                "holds a name or a password, which records would show; `api_key` names a variable", "url"
            )
        if self.offline and "reasoning_parser" in self.offline.args:
            raise FieldError(
                "is for `serve`: an engine leaves thoughts in the text", "offline", "args", "reasoning_parser"
            )
        return self
