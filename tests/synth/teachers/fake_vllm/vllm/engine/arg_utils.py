"""Flags of the engine."""

import argparse
from dataclasses import dataclass

from vllm import add_flags


@dataclass
class AsyncEngineArgs:
    flags: argparse.Namespace

    @staticmethod
    def add_cli_args(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return add_flags(parser)

    @classmethod
    def from_cli_args(cls, flags: argparse.Namespace) -> "AsyncEngineArgs":
        return cls(flags)
