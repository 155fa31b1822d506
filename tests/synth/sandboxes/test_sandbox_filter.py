"""The filter of system calls, run here by an interpreter of its instructions, for machines that this is not, too."""

import errno
import platform
import re
import struct
from pathlib import Path

import pytest

from synth.sandboxes.sandbox_filter import ALLOWED, MACHINES, NUMBERS, OF_PROCESSES, REFUSED, filter_program, machine

ALLOW, KILL = "allow", "kill"
NAMES = {item.partition("=")[0]: item.partition("=")[2].split("/") for item in NUMBERS.split()}
HEADERS = {
    0: [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")],
    1: [Path("/usr/include/asm-generic/unistd.h")],
}


def decide(program: bytes, name: str, *args: int, machine: str = "x86_64", number: int | None = None) -> str | int:
    """What the kernel would do with a call: allow, kill, or the number of an error."""
    column, audit = MACHINES[machine]
    number = int(NAMES[name][column]) if number is None else number
    data = struct.pack("<IIQ6Q", number, audit, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    return execute(program, data)


def execute(program: bytes, data: bytes) -> str | int:
    """Of the instructions in use: load, and, equal, at least, return (linux/filter.h)."""
    instructions = list(struct.iter_unpack("<HBBI", program))
    at, held = 0, 0
    while True:
        operation, if_true, if_false, constant = instructions[at]
        at += 1
        if operation == 0x20:
            (held,) = struct.unpack_from("<I", data, constant)
        elif operation == 0x54:
            held &= constant
        elif operation in (0x15, 0x35):
            at += if_true if (held == constant if operation == 0x15 else held >= constant) else if_false
        else:
            assert operation == 0x06
            action = constant & 0xFFFF0000
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(action, constant & 0xFFFF)


@pytest.fixture(params=list(MACHINES))
def machine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def has(name: str, machine: str) -> bool:
    return NAMES[name][MACHINES[machine][0]] != "-"


def test_every_name_has_its_decision(machine_name: str) -> None:
    program = filter_program(machine_name)
    for name in ALLOWED.split():
        assert not has(name, machine_name) or decide(program, name, machine=machine_name) == ALLOW, name
    for name in REFUSED.split():
        assert not has(name, machine_name) or decide(program, name, machine=machine_name) == errno.EPERM, name
    assert len(program) // 8 < 4096


def test_nothing_else_is_allowed(machine_name: str) -> None:
    """Numbers from 0 to 1,000, with arguments that would pass nowhere."""
    program, column = filter_program(machine_name), MACHINES[machine_name][0]
    known = {int(NAMES[name][column]) for name in ALLOWED.split() if has(name, machine_name)}
    arguments = {"fcntl", "open", "openat", "prlimit64"}  # to which 0 is harmless
    known |= {int(NAMES[name][column]) for name in arguments if has(name, machine_name)}
    allowed = {number for number in range(1000) if decide(program, "", machine=machine_name, number=number) == ALLOW}
    assert allowed <= known | {int(NAMES["sendto"][column])}
    assert not set(ALLOWED.split()) & set(REFUSED.split())


def test_another_machine_is_killed(machine_name: str) -> None:
    program = filter_program(machine_name)
    other = next(name for name in MACHINES if name != machine_name)
    assert decide(program, "read", machine=other) == KILL
    assert execute(program, struct.pack("<IIQ6Q", 20, 0x40000003, 0, *[0] * 6)) == KILL  # i386
    assert decide(program, "read", machine=machine_name, number=0x40000000) == errno.ENOSYS  # x32


AF_UNIX, AF_INET, STREAM, DATAGRAM, CLOEXEC = 1, 2, 1, 2, 0o2000000
THREAD = 0x3D0F00
"""What glibc starts a thread with."""


@pytest.mark.parametrize(
    ("name", "args", "decision"),
    [
        ("clone", (THREAD,), ALLOW),
        ("clone", (17,), errno.EPERM),
        ("clone", (0x4111,), errno.EPERM),
        ("clone", (THREAD | 0x10000000,), errno.EPERM),
        ("openat", (0, 0, 0), ALLOW),
        ("openat", (0, 0, 0o1101), ALLOW),
        ("openat", (0, 0, 0o1002), ALLOW),
        ("openat", (0, 0, 0o1000), errno.EPERM),
        ("openat", (0, 0, 0o3), errno.EPERM),
        ("openat", (0, 0, 0o1003), errno.EPERM),
        ("fcntl", (0, 1030), ALLOW),
        ("fcntl", (0, 8), errno.EINVAL),
        ("fcntl", (0, 10), errno.EINVAL),
        ("fcntl", (0, 15), errno.EINVAL),
        ("ioctl", (0, 0x5421), ALLOW),
        ("ioctl", (0, 0x5412), errno.ENOTTY),
        ("prctl", (15,), ALLOW),
        ("prctl", (1,), errno.EPERM),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (1,), errno.EPERM),
        ("socketpair", (AF_UNIX, STREAM | CLOEXEC), ALLOW),
        ("socketpair", (AF_UNIX, DATAGRAM), errno.EPERM),
        ("socketpair", (AF_INET, STREAM), errno.EPERM),
        ("sendto", (3, 0, 0, 0, 0), ALLOW),
        ("sendto", (3, 0, 0, 0, 1), errno.EPERM),
        ("sendto", (3, 0, 0, 0, 1 << 32), errno.EPERM),
        ("socket", (AF_UNIX, STREAM), errno.EPERM),
    ],
)
def test_arguments_decide(name: str, args: tuple[int, ...], decision: str | int, machine_name: str) -> None:
    assert decide(filter_program(machine_name), name, *args, machine=machine_name) == decision


def test_processes_only_where_they_may_be(machine_name: str) -> None:
    usual, roomy = filter_program(machine_name), filter_program(machine_name, has_processes=True)
    for name in OF_PROCESSES.split():
        if has(name, machine_name):
            assert decide(usual, name, machine=machine_name) == errno.EPERM
            assert decide(roomy, name, machine=machine_name) == ALLOW
    assert decide(roomy, "clone", 17, machine=machine_name) == ALLOW
    assert decide(roomy, "clone", 17 | 0x10000000, machine=machine_name) == errno.EPERM
    keeper = filter_program(machine_name, is_keeper=True)
    assert decide(usual, "pidfd_send_signal", machine=machine_name) == errno.EPERM
    assert decide(keeper, "pidfd_send_signal", machine=machine_name) == ALLOW
    assert decide(keeper, "kill", machine=machine_name) == errno.EPERM


@pytest.mark.parametrize("column", HEADERS)
def test_numbers_are_those_of_linux(column: int) -> None:
    header = next((path for path in HEADERS[column] if path.exists()), None)
    if not header:
        pytest.skip("the headers of Linux are not installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    numbers = dict(defined)
    wrong = {
        name: (both[column], numbers[name])
        for name, both in NAMES.items()
        if name in numbers and both[column] not in (numbers[name], "-")
    }
    assert wrong == {}
    assert len(numbers) > 200


def test_a_machine_without_a_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine() in (*MACHINES, None)
    monkeypatch.setattr(platform, "machine", lambda: "sparc64")
    assert machine() is None
