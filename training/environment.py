"""What a training ran on, as its page tells: versions of what did the work, the machine's processors, its threads.

Read from the installed packages and from the system, so that the process that only watches loads no torch.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "vllm", "flash-attn")
CPU_INFO = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")


def environment(n_processes: int, n_threads: int | None = None) -> dict[str, str]:
    """Names and what they are, in words; what cannot be found out is left out.

    Args:
        n_processes: that train together.
        n_threads: of each, where the manifest says.
    """
    found = {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    gpus = _gpus()
    found |= {"GPU": ", ".join(f"{n} × {name}" if n > 1 else name for name, n in gpus.items()), "CPU": _cpu()}
    found["processes"] = f"{n_processes}, threads of each: {n_threads or n_cores()}"
    return {name: value for name, value in found.items() if value}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu() -> str:
    return _field(CPU_INFO, "model name") or platform.processor()


def _gpus() -> dict[str, int]:
    """How many there are of each model."""
    names = [_field(path / "information", "Model") for path in sorted(GPUS.iterdir())] if GPUS.is_dir() else []
    return {name: names.count(name) for name in names if name}


def _field(path: Path, name: str) -> str:
    """The first value of a field in a file of lines `name: value`."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next(
        (value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == name), ""
    )


def n_cores() -> int:
    """Cores that this process may use, of those that the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
