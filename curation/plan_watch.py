"""What each step of a run took: seconds, memory, and the size of every table when it ended."""

import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from manifests.engine import resident_bytes
from manifests.store import Folder

GAPS = {"place pairs": "components", "contamination": "benchmark index"}
"""Steps before which much happens that reports no progress of its own."""

_KEYED = re.compile(r"^(near|repeats|staging|held)-[0-9a-f]{16}$")


@dataclass
class Took:
    """What one step took."""

    seconds: float = 0.0
    peak_bytes: int = 0
    """Resident memory of the process and its children."""
    tables: dict[str, int] = field(default_factory=dict)
    """Bytes of each table on disk when the step ended."""

    @property
    def disk_bytes(self) -> int:
        """What was on disk when the step ended."""
        return sum(self.tables.values())


class StepWatch:
    """Progress that keeps account: time since the last call belongs to the step that the call names.

    Memory is sampled by a thread of its own between `with` and its end.
    """

    def __init__(self, run: Folder, every_s: float = 0.01) -> None:
        self.steps: dict[str, Took] = {}
        self._run = run
        self._every_s = every_s
        self._last = time.perf_counter()
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "StepWatch":
        self._last = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __call__(self, step: str, done: float, total: float, note: str = "") -> None:
        """Progress of a step."""
        seconds = time.perf_counter() - self._last
        took = self.steps.setdefault(GAPS.get(step, step) if done == 0 else step, Took())
        took.seconds += seconds
        took.peak_bytes = max(took.peak_bytes, self._peak, resident_bytes())
        took.tables = table_bytes(self._run)
        self._peak = 0
        self._last = time.perf_counter()

    def _sample(self) -> None:
        while not self._stop.wait(self._every_s):
            self._peak = max(self._peak, resident_bytes())


def table_bytes(run: Folder) -> dict[str, int]:
    """Bytes on disk of each table of a run, by its folder without fingerprints; "" is what lies in the run itself."""
    sizes: Counter[str] = Counter()
    for path, info in run.fs.find(run.root, detail=True).items() if run.fs.isdir(run.root) else ():
        sizes[table_of(path[len(run.root) + 1 :].split("/")[:-1])] += info["size"] or 0
    return dict(sizes)


def table_of(folders: Sequence[str]) -> str:
    """The name of a table by the folders that lead to it."""
    return "/".join(found.group(1) if (found := _KEYED.match(name)) else name for name in folders)
