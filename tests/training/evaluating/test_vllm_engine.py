"""A model behind vLLM: what is asked of the server, by a stand-in; and, slow, a real one on a CPU."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from manifests.errors import RequestError, RunError
from manifests.schema_evaluation import Benchmark, VllmServer
from tests.training import tiny
from tests.training.evaluating.questions import choice_rows, gsm8k, job_of, kmmlu, sum_rows
from tests.training.online.test_generators import VLLM_PYTHON
from training.evaluating import vllm_engine
from training.evaluating.engine import Engine, Said
from training.evaluating.engines import open_engine
from training.evaluating.harness import run_task
from training.evaluating.local_data import file_rows
from training.evaluating.reading import Reader
from training.evaluating.vllm_engine import Server, VllmEngine
from training.trainers import load_model, load_tokenizer

ON_CPUS: dict[str, Any] = {
    "enforce_eager": True,
    "dtype": "float32",
    "max_model_len": 2048,
    "max_num_seqs": 16,
    "enable_chunked_prefill": False,
    "max_num_batched_tokens": 4096,
    "gpu_memory_utilization": 0.2,
}
"""As benchmarks/judge_server.py has them, with a shorter window."""
SEED = 7


class Handler(BaseHTTPRequestHandler):
    """vLLM's part of `/v1/completions` that is used, by the tiny model in this process."""

    model: Any
    tokenizer: Any
    asked: list[dict[str, Any]]
    failures: list[tuple[int, str]]
    knows_ids = True
    """Whether it tells the log-likelihoods of ids that are asked for."""

    def do_GET(self) -> None:
        self._say(200, {"data": [{"max_model_len": 512}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        if self.failures:
            code, said = self.failures.pop()
            self._say(code, {"error": said})
            return
        ids = torch.tensor([body["prompt"]])
        with torch.no_grad():
            told = self.model(ids).logits[0].log_softmax(-1)
        choice: dict[str, Any] = {"text": "wa STOP it", "finish_reason": "length"}
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = [None, *(self._told(told[k - 1], ids[0, k]) for k in range(1, ids.shape[1]))]
        if self.knows_ids and (wanted := body.get("logprob_token_ids")):
            assert len(wanted) == body["logprobs"] <= 20
            told_ids = {f"token_id:{token}": float(told[-1][token]) for token in wanted}
            choice["logprobs"] = {"top_logprobs": [told_ids], "tokens": [f"token_id:{int(told[-1].argmax())}"]}
        self._say(200, {"choices": [choice], "usage": {"completion_tokens": body["max_tokens"]}})

    def _told(self, row: torch.Tensor, token: torch.Tensor) -> dict[str, Any]:
        value = float(row[token])
        return {str(int(token)): {"logprob": value, "rank": int((row > value).sum()) + 1}}

    def _say(self, code: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *said: Any) -> None:
        pass


class Running:
    """Stands in for the server's process."""

    has_ended = False

    def failed(self, what: str, then: str | None = None) -> RunError:
        return RunError(what)


@contextmanager
def stand_in(folder: Path) -> Iterator[tuple[Engine, type[Handler]]]:
    """The engine on a server of this process."""
    import asyncio

    fields = {"model": load_model(str(folder)).eval(), "tokenizer": load_tokenizer(str(folder))}
    handler = type("OfThis", (Handler,), {**fields, "asked": [], "failures": []})
    http = ThreadingHTTPServer((vllm_engine.HOST, 0), handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        with asyncio.Runner() as runner:
            server = Server(runner, Running(), http.server_port, 4)  # type: ignore[arg-type]
            yield VllmEngine(server, Reader(fields["tokenizer"], server.window(), None, str(folder))), handler
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("vllm")
    tiny.write_jsonl(here / "kmmlu.jsonl", choice_rows(12))
    tiny.write_jsonl(here / "sums.jsonl", sum_rows(8))
    return here


def both(engine: Engine, folder: Path, shots: int = 0, limit: int | None = None) -> list[Any]:
    """What an engine comes to on choices and on answers: results and items."""
    found = list[Any]()
    for task, name in ((kmmlu(), "kmmlu.jsonl"), (gsm8k(), "sums.jsonl")):
        benchmark = Benchmark(name=task.name, data=name, examples=name, shots=shots, limit=limit)
        found.append(run_task(engine, task, benchmark, False, str(folder), SEED))
    return found


@pytest.mark.parametrize("knows_ids", [True, False])
def test_log_likelihoods_are_those_of_transformers(tiny_model: Path, folder: Path, knows_ids: bool) -> None:
    with stand_in(tiny_model) as (engine, handler), open_engine(job_of(tiny_model, folder)) as other:
        assert engine.window == other.window == 512
        benchmark = Benchmark(name="kmmlu", data="kmmlu.jsonl", shots=0)
        handler.knows_ids = knows_ids
        task = kmmlu(delimiter="")  # of this tokenizer " A" is two tokens
        ours, our_items = run_task(engine, task, benchmark, False, str(folder), SEED)
        assert len(handler.asked) == 12 + (0 if knows_ids else 48), "a question with four letters is read once"
        theirs, items = run_task(other, task, benchmark, False, str(folder), SEED)
        pairs = [("옹기는", " 숨을 쉬는 그릇이라"), ("", "no prompt"), ("trailing  ", "space"), ("가", " 나")]
        from lm_eval.api.instance import Instance

        requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
        one, another = engine.lm.loglikelihood(requests), other.lm.loglikelihood(requests)
        texts = [Instance("loglikelihood_rolling", {}, ("긴 글 " * 300,), 0)]
        rolling, by_hf = engine.lm.loglikelihood_rolling(texts), other.lm.loglikelihood_rolling(texts)
    assert [value for value, _ in one] == pytest.approx([value for value, _ in another], abs=1e-3)
    assert [greedy for _, greedy in one] == [greedy for _, greedy in another]
    assert rolling == pytest.approx(by_hf, rel=0.01), "windows are one token shorter"
    assert ours.scores == theirs.scores
    assert our_items == items


@pytest.mark.parametrize("more", [-1, 0, 40])
def test_a_continuation_that_fills_the_window_loses_its_beginning(tiny_model: Path, more: int) -> None:
    """The first id that is read has no log-likelihood; the others are those of the model."""
    from lm_eval.api.instance import Instance

    with stand_in(tiny_model) as (engine, handler):
        n_read = engine.lm.max_length
        ids = engine.tokenizer("긴 글은 wide " * 200, add_special_tokens=False)["input_ids"][: n_read + more]
        (found,) = engine.lm._loglikelihood_tokens([(None, [0], ids)])
        whole = Instance("loglikelihood", {}, ("a", " 긴 글은 wide" * 200), 0)
        (by_text,) = engine.lm.loglikelihood([whole])
        kept = torch.tensor([([0, *ids])[-n_read:]])
        with torch.no_grad():
            told = handler.model(kept).logits[0].log_softmax(-1)
    right = sum(float(told[place - 1, kept[0, place]]) for place in range(1, n_read))
    assert found[0] == pytest.approx(right, abs=1e-3)
    assert by_text[0] < 0


def test_what_is_asked(tiny_model: Path) -> None:
    with stand_in(tiny_model) as (engine, handler):
        ids = engine.tokenizer("오늘 날씨가 옹기 STOP")["input_ids"]
        told = list[tuple[int, int]]()
        found = engine.write(["가", "b" * 3000], 9, stop=["STOP", ""], told=lambda *done: told.append(done))
        greedy = {tuple(body["prompt"]): body for body in handler.asked}
        handler.asked.clear()
        engine.write(["가", "가"], 9, temperature=0.5, seed=3)
        drawn = list(handler.asked)
    assert [said.text for said in found] == ["wa ", "wa "], "of a server that tells no ids of the answer"
    choice = {"text": "??", "token_ids": [*ids, 1, 0], "finish_reason": "stop", "usage": {"completion_tokens": 9}}
    read = vllm_engine._said(choice, engine._reader, ["옹기 STOP"])  # type: ignore[attr-defined]
    assert read == Said("오늘 날씨가 ", len(ids) + 1, True)
    assert [(said.ended, said.n_tokens) for said in found] == [(False, 9), (False, 9)]
    assert told[-1] == (2, 2)
    assert sorted(len(ids) for ids in greedy)[-1] == 512 - 9
    body = next(iter(greedy.values()))
    assert body["stop"] == ["STOP"]
    assert body["stop_token_ids"] == [1, 3], "the end of texts, and that of a turn"
    assert (body["temperature"], "seed" in body) == (0.0, False)
    assert len({body["seed"] for body in drawn}) == 2


def test_a_server_that_fails(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_engine, "WAIT_S", 0.01)
    with stand_in(tiny_model) as (engine, handler):
        handler.failures[:] = [(503, "busy")] * 2
        assert engine.write(["가"], 3)[0].n_tokens == 3
        handler.failures[:] = [(400, "too long")]
        with pytest.raises(RequestError, match=r"the server refuses a request: .*too long"):
            engine.write(["가"], 3)
        handler.failures[:] = [(500, "broken")] * 20
        with pytest.raises(RunError, match=r"the server fails: .*broken"):
            engine.write(["가", "나", "다"], 3)
        monkeypatch.setattr(Running, "has_ended", True)
        with pytest.raises(RunError, match=r"the server ended"):
            engine.write(["가"], 3)


def test_settings_that_are_wrong(tiny_model: Path, tmp_path: Path) -> None:
    def opened(**settings: Any) -> None:
        with open_engine(job_of(tiny_model, tmp_path, engine=VllmServer(**settings))):
            pass

    with pytest.raises(RequestError, match=r"engine.args.port: is set by Onggi"):
        opened(args={"port": 1})
    with pytest.raises(RequestError, match=r"engine.python: .*has no vLLM"):
        opened(env={"PYTHONPATH": ""})
    with pytest.raises(RequestError, match=r"engine.python: .*nowhere/python is no Python that runs"):
        opened(python="nowhere/python")


SERVER = """
import http.server, json, os, sys
print(sys.argv[1:], os.getpid(), flush=True)
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"max_model_len": 77}]}).encode())
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Stands in for vLLM's server, as far as it is started, says how much it reads, and is stopped."""


def test_the_server_is_there_as_long_as_it_is_needed(tiny_model: Path, tmp_path: Path) -> None:
    package = tmp_path / "lib/vllm/entrypoints/openai"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    (package / "api_server.py").write_text(SERVER)
    settings = VllmServer(env={"PYTHONPATH": str(tmp_path / "lib")}, args={"max_model_len": 77})
    with open_engine(job_of(tiny_model, tmp_path, precision="float32", engine=settings)) as engine:
        assert engine.window == 77
        said = (tmp_path / "cache/vllm-m.log").read_text()
        process = psutil.Process(int(said.splitlines()[0].rpartition(" ")[2]))
        assert process.is_running()
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    for part in ("'--generation-config', 'vllm'", "'--max-model-len', '77'", "'--dtype', 'float32'"):
        assert part in said
    assert f"'--model', '{tiny_model}'" in said


# A real one


def real(folder: Path, here: Path) -> Any:
    if not VLLM_PYTHON.exists():
        pytest.skip(
            f"no vLLM is installed at {VLLM_PYTHON}: `make judge` builds it, or ONGGI_JUDGE_PYTHON says where"
        )
    settings = VllmServer(python=str(VLLM_PYTHON), args=ON_CPUS, env={"VLLM_CPU_KVCACHE_SPACE": "1"})
    return open_engine(job_of(folder, here, engine=settings))


@pytest.mark.slow
def test_real_vllm_comes_to_the_same(folder: Path, tmp_path: Path) -> None:
    model = tiny.save_model(tmp_path / "model", seed=3, template=None, max_position_embeddings=2048)
    with real(model, tmp_path) as engine:
        assert engine.window == 2048
        found = both(engine, folder, shots=0) + both(engine, folder, shots=2)
        drawn = engine.write(["가", "가", "옹기"], 8, temperature=1.0, seed=3)
        assert drawn == engine.write(["가", "가", "옹기"], 8, temperature=1.0, seed=3)
        assert drawn[0] != drawn[1]
    with open_engine(job_of(model, tmp_path)) as engine:
        expected = both(engine, folder, shots=0) + both(engine, folder, shots=2)
    for (ours, items), (theirs, others) in zip(found, expected, strict=True):
        assert ours.scores == theirs.scores
        assert [item.answer for item in items] == [item.answer for item in others]
        print(ours.name, ours.scores[ours.main])


@pytest.mark.slow
def test_a_real_model_comes_to_the_same(shared_data: Path, tmp_path: Path) -> None:
    """SmolLM2-135M on KMMLU's questions of criminal law and on GSM8K."""
    smol = VLLM_PYTHON.parent.parent / "smollm2-135m-instruct"
    task = kmmlu(
        columns=("question", "choices", "answer"),
        ask=lambda doc: "\n".join(
            [doc["question"], *map(". ".join, zip("ABCD", doc["choices"], strict=True)), "정답："]
        ),
        right=lambda doc: "ABCD".index(doc["answer"]),
        group=None,
    )
    rows = file_rows("kmmlu_criminal_law_test.jsonl", str(shared_data / "benchmarks"), "data")
    law = sorted((row.doc for row in rows), key=lambda doc: len(str(doc)))[:12]  # the shortest take seconds
    tiny.write_jsonl(tmp_path / "law.jsonl", law)

    def asked(engine: Engine) -> list[Any]:
        choices = Benchmark(name="kmmlu", data="law.jsonl", shots=0)
        sums = Benchmark(name="gsm8k", data=str(shared_data / "benchmarks/gsm8k_test.jsonl"), shots=0, limit=6)
        return [
            run_task(engine, task, choices, False, str(tmp_path), SEED),
            run_task(engine, gsm8k(), sums, True, "/", SEED),
        ]

    with real(smol, tmp_path) as engine:
        found = asked(engine)
    with open_engine(job_of(smol, tmp_path)) as engine:
        expected = asked(engine)
    for (ours, items), (theirs, others) in zip(found, expected, strict=True):
        assert ours.scores == theirs.scores
        assert [item.answer for item in items] == [item.answer for item in others]
        print(ours.name, ours.scores[ours.main])
