"""Programs that nobody has read run here: without network, without files outside their folder, within limits.

bubblewrap where it works, else Landlock; both with a filter of system calls, and both tried for real before they are
trusted. Where neither works nothing runs, unless it is asked for by its name: `unsafe`. See docs/sandbox.md.
"""

import functools
import marshal
import os
import platform
import secrets
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Literal

from manifests.errors import RequestError, RunError
from synth.sandboxes import sandbox_bwrap, sandbox_filter, sandbox_landlock
from synth.sandboxes.sandbox_limits import Limits, Ran, outcome, resource_limits
from synth.sandboxes.sandbox_process import Bounds, Ended, handed, pipe, run_bounded
from synth.sandboxes.sandbox_workspace import Workspace, sweep, workspace

Kind = Literal["bubblewrap", "landlock", "unsafe"]

SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/etc/ld.so.cache"),
    *("/etc/localtime", "/usr/share/zoneinfo", "/dev/zero", "/dev/urandom"),
)
"""What Python reads besides its own library: shared objects and time zones."""

START_TRIES = 3
INSIDE = Path(__file__).with_name("sandbox_inside.py")


@dataclass(frozen=True)
class Apart:
    """Tests for a program, run in a process of their own: see `synth.sandboxes.code_tests`."""

    modules: tuple[tuple[str, CodeType], ...]
    """Names and code of the modules that run there."""
    job: dict[str, Any]
    """What its `judge` is given, in the process that the program does not see."""


@dataclass(frozen=True)
class Sandbox:
    """A way of running programs; from `choose_sandbox`."""

    kind: Kind
    folder: str | None = None
    """Where folders for writing are made; None for the system's place for temporary files."""
    reasons: tuple[str, ...] = ()
    """Why better ones are not used."""

    def run(self, program: str, stdin: bytes = b"", limits: Limits | None = None) -> Ran:
        """Run Python source as a script, with the standard library and nothing else, in an empty folder.

        Nothing of it is left when this returns: no process and no file. Threads may call this at once.

        Raises:
            RequestError: this sandbox cannot keep such limits.
            RunError: the sandbox could not be set up; the program has not run.
        """
        limits = limits or Limits()
        return _ran(self._run(program, stdin, limits, None), limits)

    def judge(self, program: str, apart: Apart, limits: Limits | None = None) -> tuple[Ran, bytes]:
        """Run a program in one process and its tests in another; returns also what the tests reported, if they ended.

        The program has no descriptor that the report goes through, so what is reported is what the tests said.
        `time_s` holds for both together; memory for each.

        Raises:
            RequestError, RunError: see `run`.
        """
        limits = limits or Limits()
        ended = self._run(program, b"", limits, apart)
        report = ended.streams["report"].removeprefix(b"ready\n")
        return _ran(ended, limits), b"" if ended.stop else report

    def _run(self, program: str, stdin: bytes, limits: Limits, apart: Apart | None) -> Ended:
        if limits.n_processes > 1 and self.kind == "landlock":
            raise RequestError(
                f"limits.n_processes: {limits.n_processes} processes need bubblewrap, which ends all of them; "
                "under Landlock a program is one process"
            )
        problem = ""
        for _ in range(START_TRIES):
            try:
                ended = self._try(program, stdin, limits, apart)
            except OSError as error:
                problem = str(error)
                continue
            if ended.is_ready:
                return ended
            said = ended.streams["stderr"].decode(errors="replace").strip()
            problem = f"exit code {ended.exit_code}: {said[-500:] or 'no word'}"
        raise RunError(f"sandbox {self.kind}: could not be set up ({problem})")

    def _try(self, program: str, stdin: bytes, limits: Limits, apart: Apart | None) -> Ended:
        with ExitStack() as stack:
            space = stack.enter_context(workspace(self.folder))
            _put_program(space, program)
            report = stack.enter_context(pipe())
            tests = [stack.enter_context(handed(marshal.dumps(apart.job)))] if apart else []
            todo = self._todo(program, limits, space.path)
            todo |= {"report": report[1].fileno(), "apart": apart and apart.modules, "tests": tests and tests[0]}
            told = stack.enter_context(handed(marshal.dumps(todo)))
            command = [_python(), "-I", "-S", "-B", "-c", _inside(), str(told)]
            if self.kind == "bubblewrap":
                command = sandbox_bwrap.command(sandbox_bwrap.find(), _readable(True), space.path, command)
            read = stack.enter_context(handed(stdin))
            bounds = Bounds(limits.time_s, limits.output_bytes, lambda: space.is_overfull(limits.file_bytes))
            return run_bounded(command, space.path, read, [told, *tests], report, bounds)

    def _todo(self, program: str, limits: Limits, folder: str) -> dict[str, Any]:
        """What `sandbox_inside` does."""
        is_confined, is_bwrap = self.kind != "unsafe", self.kind == "bubblewrap"
        machine, has_processes = platform.machine(), limits.n_processes > 1
        abi = sandbox_landlock.version() if self.kind == "landlock" else 0
        return {
            "program": program,
            "folder": sandbox_bwrap.WORKSPACE if is_bwrap else folder,
            "limits": resource_limits(limits, is_confined),
            "is_confined": is_confined,
            "number": secrets.randbelow(1 << 30),
            "parent": 0 if is_bwrap else os.getpid(),
            "ruleset": sandbox_landlock.ruleset(abi) if abi else b"",
            "rules": sandbox_landlock.rules(abi, _readable(False), folder) if abi else [],
            "filter": _filter(machine, has_processes, False) if is_confined else None,
            "keeper_filter": _filter(machine, has_processes, True) if is_confined else None,
        }


@functools.cache
def _filter(machine: str, has_processes: bool, is_keeper: bool) -> bytes:
    return sandbox_filter.filter_program(machine, has_processes=has_processes, is_keeper=is_keeper)


@functools.cache
def _inside() -> str:
    return INSIDE.read_text("utf-8")


@functools.cache
def _python() -> str:
    """The interpreter itself, not that of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@functools.cache
def _readable(with_links: bool) -> tuple[str, ...]:
    """Python and what it needs, outer folders only; links as they are, or what they lead to."""
    own = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), _python()]
    if sys.base_prefix not in ("/", "/usr", "/usr/local"):
        own.append(f"{sys.base_prefix}/lib")
    links = [path for path in SYSTEM if with_links and Path(path).is_symlink()]
    rest = {os.path.realpath(path) for path in (*own, *SYSTEM) if Path(path).exists() and path not in links}
    outer = [path for path in sorted(rest) if not any(path.startswith(f"{other}/") for other in rest)]
    return (*outer, *links)


def _put_program(space: Workspace, program: str) -> None:
    """Where Python looks for the lines of a traceback."""
    path = os.open("program.py", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=space.descriptor)
    os.fchmod(path, 0o644)
    with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(program)


def _ran(ended: Ended, limits: Limits) -> Ran:
    stdout, stderr = (ended.streams[name] for name in ("stdout", "stderr"))
    return Ran(outcome(ended, limits), ended.exit_code, stdout, stderr, ended.seconds)


PROBE = """
import os, socket, threading
said = {"environment": dict(os.environ), "may": []}
def may(name, act, *args, **more):
    try:
        act(*args, **more)
    except (OSError, RuntimeError):
        return
    said["may"].append(name)
may("open a socket", socket.socket)
may("open a socket to processes here", socket.socket, socket.AF_UNIX)
may("start a process", os.fork)
may("execute a program", os.execv, "/bin/true", ["true"])
may("signal who started it", os.kill, os.getppid(), 0)
may("read the environment of who started it", open, f"/proc/{PARENT}/environ")
may("write outside its folder", open, f"{OUTSIDE}/written", "w")
may("read outside its folder", open, f"{OUTSIDE}/secret")
may("change modes of files", os.chmod, "program.py", 0o600)
open("inside", "w").write("x")
thread = threading.Thread(target=int)
thread.start()
thread.join()
import json, hashlib, decimal, ctypes
print(said)
"""


@functools.cache
def why_not(kind: Kind, folder: str | None = None) -> str:
    """Why a sandbox does not work here, found out by a program that tries what it must not; empty if it works."""
    if not _has_pidfd():
        return "the system has no pidfd_open (Linux 5.3 or later)"
    if kind == "unsafe":
        return ""
    if not sandbox_filter.machine():
        return f"no filter of system calls for {platform.machine()}"
    if kind == "landlock" and not sandbox_landlock.version():
        return "the kernel has no Landlock (Linux 5.13 or later, with `landlock` among `lsm=`)"
    try:
        return _probe(Sandbox(kind, folder))
    except (OSError, RunError) as error:
        return str(error)


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def _probe(sandbox: Sandbox) -> str:
    with tempfile.TemporaryDirectory(prefix="onggi-probe-", dir=sandbox.folder) as outside:
        Path(outside).chmod(0o777)
        (Path(outside) / "secret").write_text("x")
        lines = f"PARENT, OUTSIDE = {os.getpid()}, {outside!r}\n"
        ran = sandbox.run(lines + PROBE)
        if (Path(outside) / "written").exists():
            return "a program could write outside its folder"
    if ran.outcome != "passed":
        return f"a program that should pass ended as {ran.outcome}: {ran.stderr.decode(errors='replace')[-300:]}"
    said = ran.stdout.decode().strip()
    return "" if said == str({"environment": {}, "may": []}) else f"a program could do what it must not: {said[:300]}"


def choose_sandbox(asked: Literal["auto"] | Kind = "auto", folder: str | None = None) -> Sandbox:
    """The best sandbox that works here, or the one that is asked for. Each is tried once per process.

    Args:
        asked: `auto` for bubblewrap, else Landlock.
        folder: where folders for writing are made; None for the system's place for temporary files.

    Raises:
        RequestError: it does not work here, or none does; says why, and what would help.
    """
    if asked not in ("auto", "bubblewrap", "landlock", "unsafe"):
        raise RequestError(f"sandbox: {asked!r} is none of auto, bubblewrap, landlock, unsafe")
    kinds: tuple[Kind, ...] = ("bubblewrap", "landlock") if asked == "auto" else (asked,)
    reasons: list[str] = []
    sweep(folder)
    for kind in kinds:
        if not (reason := why_not(kind, folder)):
            return Sandbox(kind, folder, tuple(reasons))
        reasons.append(f"{kind}: {reason}")
    raise RequestError(
        f"sandbox: code cannot be run safely here. {'; '.join(reasons)}. Install bubblewrap where user namespaces "
        "are allowed, or use Linux 5.13 or later with Landlock; `sandbox: unsafe` runs code without protection"
    )
