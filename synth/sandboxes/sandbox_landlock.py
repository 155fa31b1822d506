"""Landlock: what an unprivileged process may open, by rules that it gives itself (linux/landlock.h)."""

import ctypes
import struct
from collections.abc import Sequence
from pathlib import Path

CREATE_RULESET = 444
"""The number of landlock_create_ruleset, the same on every machine."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
MAKE_CHAR, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = (1 << bit for bit in (6, 9, 10, 11))
TRUNCATE = 1 << 14
OF_DEVICES = EXECUTE | MAKE_CHAR | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | 1 << 15
"""What a program needs in no folder."""

N_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Rights over files that each version of Landlock knows; later ones know as many as 5, so far as is used here."""

TCP_RIGHTS, SCOPES = 0b11, 0b11
"""Bind and connect, from version 4; abstract sockets and signals of others, from version 6."""

Rule = tuple[str, int]
"""A path and what is allowed beneath it."""


def version() -> int:
    """Of Landlock in this kernel; 0 where there is none or it is switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def ruleset(abi: int) -> bytes:
    """`struct landlock_ruleset_attr`: everything that this version can forbid is forbidden, but for the rules."""
    files = (1 << N_RIGHTS[min(abi, 5)]) - 1
    fields = [files, *([TCP_RIGHTS] if abi >= 4 else []), *([SCOPES] if abi >= 6 else [])]
    return struct.pack(f"<{len(fields)}Q", *fields)


def rules(abi: int, readable: Sequence[str], workspace: str) -> list[Rule]:
    """What may be read, and where a program may write.

    Args:
        abi: the version.
        readable: files and folders; those that are not there are left out.
        workspace: the folder for writing.
    """
    known = (1 << N_RIGHTS[min(abi, 5)]) - 1
    read = [(path, READ_FILE | (READ_DIR if Path(path).is_dir() else 0)) for path in readable if Path(path).exists()]
    null = ("/dev/null", (READ_FILE | WRITE_FILE | TRUNCATE) & known)
    return [*read, null, (workspace, known & ~OF_DEVICES)]
