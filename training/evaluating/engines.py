"""Opens a model that is evaluated: in this process with transformers, or behind a server of vLLM."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from manifests.schema_evaluation import VllmServer
from training.evaluating.decoding import decode
from training.evaluating.engine import Engine, Said, Told
from training.evaluating.harness_models import LocalModel
from training.evaluating.jobs import EvaluateJob
from training.evaluating.reading import Reader, ReadingEngine
from training.measuring.open_model import OpenModel


def open_engine(job: EvaluateJob) -> AbstractContextManager[Engine]:
    """The model of a job, until it has been asked everything.

    Raises:
        RequestError: it cannot be read or served as the manifest says.
        RunError: its server did not start.
    """
    if isinstance(job.engine, VllmServer):
        from training.evaluating.vllm_engine import vllm_engine

        return vllm_engine(job, job.engine)
    return _in_this_process(job)


@contextmanager
def _in_this_process(job: EvaluateJob) -> Iterator[Engine]:
    yield LocalEngine(OpenModel(job.folder, precision=job.precision), job.batch)


class LocalEngine(ReadingEngine):
    """See `Engine`; the model runs in this process."""

    def __init__(self, opened: OpenModel, batch: int) -> None:
        """Read the weights.

        Raises:
            RequestError: the model or its tokenizer cannot be read.
        """
        self._model, self._batch = opened.model, batch
        config = self._model.generation_config
        self._reader = Reader(opened.tokenizer, opened.window(), config, str(opened.folder))
        self._lm = LocalModel(
            pretrained=self._model, tokenizer=opened.tokenizer, batch_size=batch, max_length=self.window
        )
        self._lm.engaged(self.write)

    def write(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        """See `Engine`.

        Raises:
            RequestError: the window has no room for such answers.
        """
        return decode(
            self._model,
            self.tokenizer,
            [self._reader.before_answer(prompt, max_new_tokens) for prompt in prompts],
            self._reader.ends,
            max_new_tokens,
            stop,
            temperature,
            seed,
            self._batch,
            told,
        )
