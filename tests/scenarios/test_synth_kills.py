"""`onggi synth` killed at random moments: the data is that of an undisturbed run, and no answer is paid twice."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import xxhash
import yaml

from manifests.record import RECORD
from manifests.store import Folder
from synth.record import SynthesisRecord
from synth.teachers.answers import AnswerStore
from tests.conftest import REPOSITORY
from tests.synth.chat_server import ChatServer

N_QUESTIONS, N_SAMPLES, CONCURRENCY = 60, 4, 8


def say(body: dict[str, Any], _: int) -> str:
    """Works out a sum, and is wrong in a third of all cases: which ones follows from the request alone."""
    question = body["messages"][-1]["content"]
    first, second = map(int, re.findall(r"(\d+) and (\d+)", question)[-1])
    chance = xxhash.xxh3_64_intdigest(json.dumps(body, sort_keys=True).encode())
    total = first + second + (chance % 3 == 0)
    words = ["First", "Then", "So", "Next", "Now"]
    steps = " ".join(
        f"{words[(chance >> n) % 5]} add {first} and {second}, step {(chance >> 8) % 9973}." for n in range(4)
    )
    return f"{steps}\n\nThe answer is \\boxed{{{total}}}."


def write_manifest(folder: Path, url: str) -> Path:
    rows = [{"q": f"How much are {n} and {n * 7 % 31}?", "a": str(n + n * 7 % 31)} for n in range(N_QUESTIONS)]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    manifest = {
        "kind": "synthesis",
        "name": "sums",
        "task": {"kind": "reasoning", "samples": N_SAMPLES, "keep": 2, "language": "en"},
        "seeds": [{"path": "seeds.jsonl", "text": "q", "answer": "a", "set": {"language": "en"}}],
        "teacher": {"model": "judge-1", "url": url, "concurrency": CONCURRENCY, "sampling": {"temperature": 0.8}},
        "gates": ["language", "repetition", "near"],
        "output": "out",
    }
    path = folder / "sums.yaml"
    path.write_text(yaml.safe_dump(manifest), "utf-8")
    return path


def start(manifest: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "onggi", "synth", str(manifest)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def digests(folder: Path) -> dict[str, str]:
    return SynthesisRecord.model_validate(Folder(str(folder / "out")).read_json(RECORD)).digests


def requests(server: ChatServer) -> list[str]:
    return [json.dumps(body, sort_keys=True) for body in server.bodies]


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True], ids=["the run", "the run and who asks for it"])
def test_five_kills_change_nothing(tmp_path: Path, everything: bool) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        folder.mkdir()
    with ChatServer(say, pause_s=0.05) as server:
        assert start(write_manifest(undisturbed, server.url)).wait() == 0
        wanted = requests(server)
    assert len(wanted) == len(set(wanted)) == N_QUESTIONS * N_SAMPLES
    chance, n_lost = random.Random(7), 0
    with ChatServer(say, pause_s=0.05) as server:
        manifest = write_manifest(killed, server.url)
        for number in range(5):
            process = start(manifest)
            wait_for_requests(server, process, (number + 1) * len(wanted) // 7)
            time.sleep(chance.uniform(0, 0.2))
            kill(process, everything)
            if everything:  # what was on its way, or not yet on disk
                n_in_flight = len(server.bodies) - n_lost - n_kept(killed)
                assert n_in_flight <= 2 * CONCURRENCY
                n_lost += n_in_flight
        assert start(manifest).wait() == 0
        asked = requests(server)
    assert set(asked) == set(wanted)
    assert len(asked) == len(wanted) + n_lost
    assert digests(killed) == digests(undisturbed)
    assert tables(killed) == tables(undisturbed)


def wait_for_requests(server: ChatServer, process: subprocess.Popen[bytes], n: int) -> None:
    until = time.monotonic() + 60
    while len(server.bodies) < n and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes], everything: bool) -> None:
    """Kill a run, and all that it started where that is wanted, too."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    for child in children if everything else []:
        child.kill()
    psutil.wait_procs(children, timeout=60)


def n_kept(folder: Path) -> int:
    """Answers that are on disk."""
    with AnswerStore(folder / "out/answers.sqlite") as store:
        return len(store)


def tables(folder: Path) -> dict[str, bytes]:
    """The files of the data, by name."""
    found = [*(folder / "out/messages").iterdir(), *(folder / "out/rejected").iterdir()]
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}
