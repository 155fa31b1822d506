"""Programs that attack what runs them end as failed tests, and leave nothing behind."""

import os
import platform
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from manifests.errors import RequestError, RunError
from synth.sandboxes import sandbox as sandbox_module
from synth.sandboxes import sandbox_bwrap, sandbox_landlock
from synth.sandboxes.sandbox import Sandbox, choose_sandbox, why_not
from synth.sandboxes.sandbox_inside import FIRST_ID
from synth.sandboxes.sandbox_limits import Limits
from tests.synth.attacks import ATTACKS, HARMLESS, NATIVE, Attack
from tests.synth.children import remember, started

LIMITS = Limits(time_s=20, memory_bytes=256 << 20, output_bytes=1 << 18, file_bytes=8 << 20)
KINDS = ["bubblewrap", "landlock"]
OLD = "landlock of Linux 5.13"
"""Which rules neither truncation nor TCP nor signals."""

NAMES = [attack.name for attack in ATTACKS]
OF_FILES = ATTACKS[NAMES.index("/etc/shadow") : NAMES.index("hostile modes") + 1]


class Place(NamedTuple):
    """A sandbox, a folder that its programs must not reach, and a server that they must not."""

    sandbox: Sandbox
    outside: Path
    port: int


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The users that programs were, where root starts them."""
    found: list[int] = []

    def randbelow(limit: int) -> int:
        found.append(secrets.randbits(30))
        return found[-1]

    monkeypatch.setattr(sandbox_module.secrets, "randbelow", randbelow)
    return found


@pytest.fixture(autouse=True)
def processes() -> None:
    remember()


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: list[int]
) -> Iterator[Place]:
    kind = request.param.partition(" ")[0]
    if reason := why_not(kind):
        pytest.skip(f"{kind}: {reason}")
    if " of " in request.param:
        monkeypatch.setattr(sandbox_landlock, "version", lambda: 1)
    outside, inner = tmp_path / "outside", tmp_path / "inner"
    outside.mkdir(0o777)
    outside.chmod(0o777)
    inner.mkdir()
    (outside / "secret").write_text("secret")
    (outside / "secret").chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(outside / "socket"))
        other.listen()
        yield Place(Sandbox(kind, str(inner)), outside, server.getsockname()[1])
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (outside / "secret").read_text() == "secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret", "socket"]
    assert list(inner.iterdir()) == []
    assert left_over(numbers) == []


def left_over(numbers: list[int]) -> list[psutil.Process]:
    """Processes of sandboxes that are still there: our children, and those of the users that programs were."""
    users = {FIRST_ID + number for number in numbers}
    found = started()
    for process in psutil.process_iter(["uids"]):
        if process.info["uids"] and users & set(process.info["uids"]):
            found.append(process)
    return found


@pytest.mark.parametrize(
    ("place", "attack"),
    [*((kind, attack) for kind in KINDS for attack in ATTACKS), *((OLD, attack) for attack in OF_FILES)],
    indirect=["place"],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_attack_is_a_failed_test_and_nothing_else(attack: Attack, place: Place) -> None:
    program = attack.program
    for name, value in {"outside": place.outside, "pid": os.getpid(), "port": place.port}.items():
        program = program.replace(f"{{{name}}}", str(value))
    began_s = time.monotonic()
    limits = replace(LIMITS, time_s=1 if "timeout" in attack.outcomes else 20)
    ran = place.sandbox.run(program, limits=limits)
    assert ran.outcome in attack.outcomes.split(), (ran.outcome, ran.exit_code, ran.stderr[-1000:])
    assert len(ran.stdout) <= limits.output_bytes
    assert time.monotonic() - began_s < 30
    assert b"secret" not in ran.stdout.replace(b"outside/secret", b"")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86-64")
def test_calls_of_32_bits_are_no_way_round(place: Place) -> None:
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
    assert place.sandbox.run(NATIVE.format(machine_code=code), limits=LIMITS).outcome == "killed"
    code = b"\xb8\x27\x00\x00\x00\x0f\x05\xc3"  # mov eax, 39 (getpid); syscall; ret
    assert place.sandbox.run(NATIVE.format(machine_code=code), limits=LIMITS).outcome == "passed"


@pytest.mark.parametrize(("name", "program", "stdin", "stdout"), HARMLESS, ids=lambda value: str(value)[:20])
def test_what_is_harmless_runs(name: str, program: str, stdin: bytes, stdout: bytes, place: Place) -> None:
    ran = place.sandbox.run(program, stdin, Limits(time_s=10))
    assert (ran.outcome, ran.stdout, ran.stderr) == ("passed", stdout, b"")


DESCRIPTORS = """
import os
def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
print([number for number in range(64) if is_open(number)])
"""


def test_nothing_is_open_but_what_has_to_be(place: Place) -> None:
    """An open folder would be a way out."""
    assert place.sandbox.run(DESCRIPTORS, limits=LIMITS).stdout == b"[0, 1, 2]\n"


def test_input_may_be_long(place: Place) -> None:
    ran = place.sandbox.run("import sys\nprint(len(sys.stdin.read()))", b"x" * 5_000_000)
    assert ran.stdout == b"5000000\n"


def test_a_traceback_shows_the_program_alone(place: Place) -> None:
    said = place.sandbox.run("def f():\n    return 1 / 0\nf()").stderr.decode()
    assert [line.strip() for line in said.splitlines() if "^" not in line and "~" not in line] == [
        "Traceback (most recent call last):",
        'File "program.py", line 3, in <module>',
        "f()",
        'File "program.py", line 2, in f',
        "return 1 / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_output_is_cut_and_time_is_counted(place: Place) -> None:
    ran = place.sandbox.run("import time\nprint('x' * 1000, flush=True)\ntime.sleep(.3)", limits=LIMITS)
    assert (ran.outcome, len(ran.stdout)) == ("passed", 1001)
    assert 0.3 <= ran.seconds < 5


def test_time_of_many_processors_is_a_timeout(place: Place) -> None:
    program = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 3))\nwhile True: pass"
    ran = place.sandbox.run(program, limits=Limits(time_s=30))
    assert ran.outcome == "timeout"
    assert ran.seconds < 25


def test_many_at_once_leave_nothing(place: Place) -> None:
    programs = [
        f"print({number})\nopen('x', 'w').write('x' * 10000)\n"
        + ["", "raise SystemExit(1)", "while True: pass", "import os; os.fork()", "import os; os.mkdir('d', 0)"][
            number % 5
        ]
        for number in range(50)
    ]
    with ThreadPoolExecutor(8) as pool:
        ran = list(pool.map(lambda program: place.sandbox.run(program, limits=Limits(time_s=2)), programs))
    assert [one.outcome for one in ran] == ["passed", "failed", "timeout", "failed", "passed"] * 10
    assert [one.stdout for one in ran if one.outcome != "timeout"] == [
        b"%d\n" % number for number in range(50) if number % 5 != 2
    ]


SUBPROCESS = """
import subprocess, sys
subprocess.run([sys.executable, "-I", "-c", "print(6 * 7)"], check=True)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3):
            os.close(descriptor)
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()
"""


def test_processes_of_a_program_end_with_it(place: Place) -> None:
    if place.sandbox.kind == "landlock":
        with pytest.raises(RequestError, match="8 processes need bubblewrap"):
            place.sandbox.run("1", limits=Limits(n_processes=8))
        return
    limits = Limits(time_s=2, n_processes=8)
    ran = place.sandbox.run(SUBPROCESS, limits=limits)
    assert (ran.outcome, ran.stdout) == ("passed", b"42\n"), ran
    assert place.sandbox.run(DAEMON, limits=limits).outcome == "passed"


def test_a_fork_bomb_among_processes_meets_the_limit(place: Place) -> None:
    if place.sandbox.kind == "landlock" or os.geteuid():
        pytest.skip("counts exactly only where root starts bubblewrap")
    ran = place.sandbox.run(BOMB, limits=Limits(time_s=5, n_processes=4))
    assert (ran.outcome, int(ran.stdout)) == ("failed", pytest.approx(320, abs=5))


BOMB = """
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(100)
        n += 1
except BlockingIOError:
    print(n)
    raise
"""
KILLED = """
import sys
from synth.sandboxes.sandbox import Sandbox
from synth.sandboxes.sandbox_limits import Limits
Sandbox({kind!r}, {folder!r}).run("import time; time.sleep(100)", limits=Limits(time_s=100))
"""


def test_a_program_dies_with_who_started_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    code = KILLED.format(kind=place.sandbox.kind, folder=place.sandbox.folder)
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) as starter:
        deadline_s = time.monotonic() + 20
        while not (found := descendants(starter.pid)) or all("python" not in name for _, name in found):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        time.sleep(0.5)
        found = descendants(starter.pid)
        starter.kill()
    assert found
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid, _ in found):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    (left,) = Path(place.sandbox.folder or "").iterdir()
    os.utime(left, (0, 0))
    assert sandbox_module.sweep(place.sandbox.folder) == 1


def descendants(pid: int) -> list[tuple[int, str]]:
    return [(child.pid, child.name()) for child in psutil.Process(pid).children(recursive=True)]


def test_folders_in_use_are_not_swept(place: Place) -> None:
    def sweep() -> None:
        time.sleep(0.3)
        for path in Path(place.sandbox.folder or "").iterdir():
            os.utime(path, (0, 0))
        swept.append(sandbox_module.sweep(place.sandbox.folder))

    swept: list[int] = []
    thread = threading.Thread(target=sweep)
    thread.start()
    ran = place.sandbox.run("import time\ntime.sleep(1)\nopen('x', 'w').write('x')")
    thread.join()
    assert (ran.outcome, swept) == ("passed", [0])


def test_no_descriptor_is_left_open(place: Place) -> None:
    def run() -> None:
        for program in ("1", "while True: pass"):
            place.sandbox.run(program, limits=Limits(time_s=0.2))

    run()
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    run()
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


def test_what_cannot_be_watched_does_not_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    began_s = time.monotonic()
    with pytest.raises(RunError, match=r"could not be set up \(.*Too many open files"):
        place.sandbox.run("import time\ntime.sleep(100)", limits=Limits(time_s=100))
    assert time.monotonic() - began_s < 20


def test_the_setup_failing_is_told_and_nothing_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_filter", lambda *_: b"no filter")
    with pytest.raises(RunError, match=rf"sandbox {place.sandbox.kind}: could not be set up.*seccomp"):
        place.sandbox.run(f"open('{place.outside}/new', 'w')")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"sandbox unsafe: could not be set up .*No such file"):
        Sandbox("unsafe", str(tmp_path / "missing")).run("1")


def test_auto_is_the_best_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    works = {"bubblewrap": "", "landlock": ""}
    monkeypatch.setattr(sandbox_module, "why_not", lambda kind, folder=None: works.get(kind, ""))
    assert choose_sandbox().kind == "bubblewrap"
    assert choose_sandbox("landlock").kind == "landlock"
    works["bubblewrap"] = "there is none"
    assert choose_sandbox() == Sandbox("landlock", None, ("bubblewrap: there is none",))
    with pytest.raises(RequestError, match="bubblewrap: there is none"):
        choose_sandbox("bubblewrap")
    works["landlock"] = "the kernel is old"
    with pytest.raises(
        RequestError,
        match=r"cannot be run safely here.*there is none; landlock: the kernel is old.*`sandbox: unsafe`",
    ):
        choose_sandbox()
    assert choose_sandbox("unsafe").kind == "unsafe"
    with pytest.raises(RequestError, match="'docker' is none of auto"):
        choose_sandbox("docker")  # type: ignore[arg-type]


def test_why_one_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why = sandbox_module.why_not.__wrapped__
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox_bwrap.find.cache_clear()
    assert "`bwrap` is not on the PATH" in why("bubblewrap")
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho bubblewrap 0.3.1\n")
    fake.chmod(0o755)
    assert "is bubblewrap 0.3.1, and at least 0.4 is needed" in why("bubblewrap")
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.8.0 || { echo no namespaces >&2; exit 1; }\n'
    )
    assert "no namespaces" in why("bubblewrap")
    sandbox_bwrap.find.cache_clear()
    monkeypatch.setattr(sandbox_landlock, "version", lambda: 0)
    assert "the kernel has no Landlock" in why("landlock")
    monkeypatch.setattr(platform, "machine", lambda: "sparc")
    assert why("landlock") == "no filter of system calls for sparc"


def test_a_sandbox_that_lets_something_through_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe sees what is open: here there is neither confinement of files nor a filter."""
    found = sandbox_module._probe(Sandbox("unsafe"))
    assert "must not" in found or "write outside" in found


def test_unsafe_has_limits_all_the_same(tmp_path: Path) -> None:
    sandbox = Sandbox("unsafe", str(tmp_path))
    assert sandbox.run("while True: pass", limits=Limits(time_s=0.3)).outcome == "timeout"
    assert sandbox.run("x = bytearray(10 << 30)").outcome == "memory"
    assert sandbox.run("import os\nassert not os.environ").outcome == "passed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"time_s": 0}, "above 0 and finite: .'time_s': 0"),
        ({"time_s": float("inf")}, "above 0 and finite"),
        ({"time_s": float("nan")}, "above 0 and finite"),
        ({"memory_bytes": 1000}, "less than Python takes: 67108864"),
    ],
)
def test_limits_that_are_none(limits: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Limits(**limits)  # type: ignore[arg-type]
