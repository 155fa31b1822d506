"""A real model behind a real server: SmolLM2-135M-Instruct under vLLM, on this machine's processors.

`make judge` builds what serves it; ONGGI_JUDGE_PORT names a server of it that is up already.
"""

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

MODEL = "smollm2-135m-instruct"
PYTHON = Path(os.environ.get("ONGGI_JUDGE_PYTHON", REPOSITORY / ".venv-judge" / "bin" / "python"))
START_S = 600
"""The server is up in half a minute where it has a core of its own."""


@dataclass(frozen=True)
class RealServer:
    """A server that is up."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return str(response.read().decode())

    def n_answered(self) -> dict[str, int]:
        """Requests that the server finished since it started, by the reason for which it ended."""
        found = re.findall(
            r'^vllm:request_success_total\{.*finished_reason="(\w+)".*\} (\S+)$', self.get("/metrics"), re.M
        )
        return {reason: int(float(count)) for reason, count in found if float(count)}


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The server, on a free port of the loopback."""
    if port_in_use := os.environ.get("ONGGI_JUDGE_PORT"):
        yield RealServer(int(port_in_use))
        return
    if not PYTHON.exists():
        pytest.skip(
            f"no vLLM is installed at {PYTHON}: `make judge` builds it, or ONGGI_JUDGE_PYTHON says where it is"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "server.log"
    command = [PYTHON, "benchmarks/judge_server.py", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until_up(RealServer(port), process, log)
        yield RealServer(port)
    finally:
        stop(process)


def wait_until_up(server: RealServer, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            server.get("/health")
            return
        except (urllib.error.URLError, OSError):
            last = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            assert process.poll() is None, f"the server ended:\n{last}"
            assert time.monotonic() < until, f"the server is not up after {START_S} s:\n{last}"
            time.sleep(1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with the engine that it started."""
    everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(everything, timeout=30)
    for one in alive:
        one.kill()
    process.wait()
