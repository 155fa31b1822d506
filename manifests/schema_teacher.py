"""The part of a manifest that names a teacher: the model that labels or writes, and how it is asked."""

from pydantic import Field, model_validator

from manifests.schema import Model, Scalar


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
    extra: dict[str, Scalar | dict[str, Scalar]] = Field(default_factory=dict)
    """Further fields of the request, as {top_k: 20} or {chat_template_kwargs: {enable_thinking: false}}. Servers
    ignore what they do not know."""


class Logprobs(Model):
    """The tokens of each answer with their probabilities, to distil from. Of vLLM's server; where another ignores it,
    the run ends."""

    top: int = Field(20, ge=0, le=1024)
    """How many of the likeliest tokens are kept at each place. vLLM gives up to 20, or `--max-logprobs`."""
    tokenizer: str = Field(min_length=1)
    """Folder with the teacher's tokenizer.json, whose hash is kept with the ids; it is compared with the server's.
    Relative paths start at the manifest's folder."""


class Teacher(Model):
    """A model behind an OpenAI-compatible server (vLLM and others), or answers that were recorded."""

    model: str = Field(min_length=1)
    """Name under which the server has it."""
    url: str | None = Field(None, pattern=r"^https?://")
    """Where the server's API begins, as http://127.0.0.1:8000/v1."""
    replay: str | None = None
    """Instead of `url`: a JSONL file of recorded answers; nothing is asked. Relative paths start at the manifest's
    folder."""
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
        if (self.url is None) == (self.replay is None):
            raise ValueError("name either `url`, a server's address, or `replay`, a file of recorded answers")
        return self
