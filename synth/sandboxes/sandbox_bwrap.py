"""bubblewrap: a program in namespaces of its own, where only what it needs to read is there at all."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

WORKSPACE = "/tmp"
"""Where the workspace is inside."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
VERSION_MIN = (0, 4)
"""The first that has all that is asked of it (Debian 11, Ubuntu 20.04)."""


@functools.cache
def find() -> str:
    """Path of the program.

    Raises:
        OSError: there is none, or one that is too old.
    """
    path = shutil.which("bwrap")
    if not path:
        raise OSError("`bwrap` is not on the PATH (Debian, Ubuntu: apt-get install bubblewrap)")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < VERSION_MIN:
        raise OSError(f"{path} is {said.strip() or 'no bubblewrap'}, and at least 0.4 is needed")
    return path


def command(bwrap: str, readable: Sequence[str], workspace: str, inside: Sequence[str]) -> list[str]:
    """What to execute.

    Root keeps three capabilities until it has become another user inside; everybody else gets a user namespace.

    Args:
        bwrap: path of bubblewrap.
        readable: files and folders, those within another left out; links stay links.
        workspace: folder that is /tmp inside.
        inside: what is executed there.
    """
    names = ["ipc", "pid", "net", "uts", "cgroup-try", *([] if os.geteuid() == 0 else ["user"])]
    words = [bwrap, *(f"--unshare-{name}" for name in names), "--die-with-parent", "--new-session"]
    words += ["--hostname", "sandbox", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        words += [word for name in ("SETUID", "SETGID", "CHOWN") for word in ("--cap-add", f"CAP_{name}")]
    parents = {str(parent) for path in readable for parent in Path(path).parents[:-1]}
    words += [word for parent in sorted(parents) for word in ("--dir", parent)]  # else only root may enter them
    for path in readable:
        if Path(path).is_symlink():
            words += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            words += ["--ro-bind", path, path]
    for device in DEVICES:
        words += ["--dev-bind", device, device]
    return [*words, "--bind", workspace, WORKSPACE, "--remount-ro", "/", "--chdir", WORKSPACE, "--", *inside]
