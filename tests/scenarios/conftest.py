"""Fixtures of scenarios."""

from tests.scenarios.real_server import real_server

__all__ = ["real_server"]
