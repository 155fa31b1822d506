"""The first thing that runs inside a sandbox: it gives up what a program must not have, and then runs the program.

It stands alone: `python -I -S -B -c` gets it as text, so that nothing of this package has to be readable inside. What
it does comes by a file descriptor, marshalled by the process that started it. The interpreter that gave everything up
is the one that runs the program; no other is executed.
"""

from __future__ import annotations

import builtins
import ctypes
import marshal
import os
import resource
import sys

TYPE_CHECKING = False  # what is imported here is imported for every program, and `typing` takes longer than all else
if TYPE_CHECKING:
    from typing import Any

ModuleType = type(sys)
SIGKILL = 9
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAP_AMBIENT = 1, 24, 38, 22, 47
CAPABILITY_VERSION = 0x20080522
LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 445, 446
O_PATH = 0o10000000
FIRST_ID, FEW_IDS = 1 << 30, 30_000
"""Users that nobody is: from the first on, or, in containers that map only 65,536 of them, from the second."""

_libc: Any = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read what to do, do it, and report `ready` before the program has the say."""
    with open(int(sys.argv[1]), "rb") as file:
        todo = marshal.load(file)
    try:
        give_up(todo)
        if not todo["apart"]:
            _install_filter(todo["filter"])
    except (OSError, ValueError, MemoryError) as error:
        sys.exit(f"sandbox: {error}")
    if todo["apart"]:
        _run_apart(todo)
    else:
        os.write(todo["report"], b"ready\n")
        os.close(todo["report"])
        run_program(todo["program"], todo["folder"])


def give_up(todo: dict[str, Any]) -> None:
    """Environment, limits, user, capabilities and files; the filter of system calls comes last, elsewhere.

    Raises:
        OSError: something could not be given up; the program must not run.
    """
    os.chdir(todo["folder"])
    os.umask(0o077)
    os.environ.clear()
    for which, limit in todo["limits"]:
        hard = resource.getrlimit(which)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        is_cpu = which == resource.RLIMIT_CPU  # a signal says so, a second before the end
        resource.setrlimit(which, (max(0, limit - is_cpu), limit))
    if todo["is_confined"] and 0 in os.getresuid():
        _leave_root(todo["number"])
    _die_with(todo["parent"])
    if not todo["is_confined"]:
        return
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if todo["ruleset"]:
        _restrict_files(todo["ruleset"], todo["rules"])
    _drop_capabilities()


def _leave_root(number: int) -> None:
    """Become a user that nobody else is, so that limits of processes count only ours and nothing is ours.

    Where others cannot reach Python, as under /root, files are still opened as root, yet without capabilities: then
    Landlock alone rules which.
    """
    problem: OSError | None = None
    for user in (FIRST_ID + number, FEW_IDS + number % FEW_IDS):
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            if _others_reach(os.__file__) and _others_reach(os.path.realpath(".")):
                os.chown(".", user, user)
                return os.setresuid(user, user, user)
            return os.setresuid(user, 0, 0)
        except OSError as error:
            problem = error
    raise OSError(f"root cannot become another user here ({problem}); run as a user who is not root")


def _others_reach(path: str) -> bool:
    """Whether everybody may enter every folder above it."""
    folder = os.path.realpath(path)
    while folder := folder.rpartition("/")[0]:
        if not os.lstat(folder).st_mode & 0o001:
            return False
    return True


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when that which started it is gone; 0 where bubblewrap sees to it."""
    if parent:
        _check(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "to die with its parent")
        if os.getppid() != parent:
            sys.exit("sandbox: who started it is gone")


def _restrict_files(attributes: bytes, rules: list[tuple[str, int]]) -> None:
    size = ctypes.c_size_t(len(attributes))
    ruleset = _check(_libc.syscall(444, attributes, size, ctypes.c_uint32(0)), "Landlock's ruleset")
    for path, rights in rules:
        beneath = os.open(path, O_PATH | os.O_CLOEXEC)
        rule = rights.to_bytes(8, "little") + beneath.to_bytes(4, "little")
        done = _libc.syscall(LANDLOCK_ADD_RULE, ruleset, 1, rule, ctypes.c_uint32(0))
        _check(done, f"Landlock's rule for {path}")
        os.close(beneath)
    _check(_libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)), "Landlock")
    os.close(ruleset)


def _drop_capabilities() -> None:
    for capability in range(64):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # only root may, and only root has to
    _libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "to drop capabilities")
    left = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, left), "to look at capabilities")
    if any(left):
        raise OSError("capabilities are left")


def _install_filter(instructions: bytes | None) -> None:
    """Have the kernel refuse what is not on the list, from now on and for good."""
    if instructions is None:
        return

    class Program(ctypes.Structure):
        _fields_ = (("n", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    program = Program(len(instructions) // 8, instructions)
    _check(_libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0), "seccomp")


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def run_program(text: str, folder: str, name: str = "__main__") -> dict[str, Any]:
    """Run a program as its own `program.py` would be; returns its globals."""
    import _sitebuiltins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    module = ModuleType(name)
    module.__file__ = f"{folder}/program.py"
    sys.modules[name] = module
    sys.argv[:] = ["program.py"]
    sys.path.insert(0, folder)
    try:
        exec(compile(text, "program.py", "exec"), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        if name != "__main__":
            raise
        trace = error.__traceback__ and error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)
    return module.__dict__


def _run_apart(todo: dict[str, Any]) -> None:
    """The program in a process of its own that never sees the tests, and the tests in this one."""
    for name, code in todo["apart"]:
        sys.modules[name] = ModuleType(name)
        exec(code, sys.modules[name].__dict__)
    to_program, to_tests = os.pipe(), os.pipe()
    keeper = os.getpid()
    child = os.fork()
    if not child:
        for descriptor in (todo["tests"], todo["report"], to_program[1], to_tests[0]):
            os.close(descriptor)
        _die_with(keeper)
        _install_filter(todo["filter"])
        from synth.sandboxes.code_program import serve

        serve(lambda: run_program(todo["program"], todo["folder"], "program"), to_program[0], to_tests[1])
    from signal import pidfd_send_signal

    from synth.sandboxes.code_tests import judge

    descriptor = os.pidfd_open(child)
    os.close(to_program[0])
    os.close(to_tests[1])
    _install_filter(todo["keeper_filter"])
    os.write(todo["report"], b"ready\n")
    with open(todo["tests"], "rb") as file:
        job = marshal.load(file)
    try:
        report = judge(job, to_tests[0], to_program[1])
    finally:
        pidfd_send_signal(descriptor, SIGKILL)
        os.waitpid(child, 0)
    os.write(todo["report"], report)
    os._exit(0)


if __name__ == "__main__":
    main()
