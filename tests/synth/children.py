"""Processes that a test starts; what other tests in the same process left behind does not count."""

import psutil

_before: set[psutil.Process] = set()


def remember() -> None:
    """Take note of the processes that are there before a test."""
    _before.clear()
    _before.update(psutil.Process().children(recursive=True))


def started(*, recursive: bool = True) -> list[psutil.Process]:
    """Child processes that were not there before."""
    return [child for child in psutil.Process().children(recursive=recursive) if child not in _before]
