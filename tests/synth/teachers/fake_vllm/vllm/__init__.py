"""Stands in for vLLM in fast tests: the flags, processes, endpoints and classes that Onggi touches, and no model.

FAKE_VLLM says what goes wrong: `deaf` never is up.
"""

import argparse
import os
import subprocess
import sys

from vllm.sampling_params import SamplingParams

__all__ = ["SamplingParams", "add_flags", "start_core"]


def add_flags(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Those of the engine that the tests use."""
    for name in ("--model", "--max-model-len", "--dtype", "--structured-outputs-config"):
        parser.add_argument(name)
    parser.add_argument("--enforce-eager", action=argparse.BooleanOptionalAction)
    return parser


def start_core() -> None:
    """A process of the engine's own, as vLLM's EngineCore; it lives on when its parent is killed."""
    core = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"core {core.pid} of {os.getpid()}: {sys.argv[1:]}", flush=True)
