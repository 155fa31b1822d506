"""Runs what is not done, several at once: a run starts when all that it reads is there, and each folder once.

One that fails does not end the others: what reads it is left out, and all is told in the end.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manifests.engine import Progress, silent
from manifests.errors import OnggiError
from training.experiments.chain import Shared
from training.experiments.outcome import is_done, manifest_of, set_stamp, stamp_of
from training.experiments.step_kinds import run_step
from training.experiments.summary_models import Failed

GRACE_S = 10.0
"""That runs have to end after Ctrl-C, before the command ends and their processes with it."""
POLL_S = 0.2


class StoppedError(Exception):
    """The command was stopped."""


@dataclass
class Ran:
    """What came of all runs."""

    reused: set[str] = field(default_factory=set)
    """Folders of those that were there before."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """By folder."""


def run_all(
    runs: Sequence[Shared], store: Path, progress: Progress = silent, n_jobs: int = 1, n_processes: int | None = None
) -> Ran:
    """Run what is not done; a run that failed before is tried again.

    Args:
        runs: each once, what is read before what reads it.
        store: where trainings keep their stages, which they share.
        progress: is told of each: which arm, seed, step and stage.
        n_jobs: runs at once.
        n_processes: of each training; None is one per GPU, or one.
    """
    board = _Board(runs, store, progress, n_processes)
    if n_jobs == 1:
        board.work("run")
        return board.ran
    threads = [threading.Thread(target=board.work, args=(f"run {n + 1}",), daemon=True) for n in range(n_jobs)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(POLL_S)
    except KeyboardInterrupt:
        board.stop()
        for thread in threads:  # their processes end with this one in any case
            thread.join(GRACE_S / n_jobs)
        raise
    if board.broken is not None:
        raise board.broken
    return board.ran


class _Board:
    """What is to be run, is running, and is done."""

    def __init__(self, runs: Sequence[Shared], store: Path, progress: Progress, n_processes: int | None) -> None:
        self.ran = Ran()
        self.broken: BaseException | None = None
        """What a thread ended with that is no failure of its run."""
        self._waiting = list(runs)
        self._running, self._done = set[str](), set[str]()
        self._n_runs, self._is_stopped = len(runs), False
        self._store, self._progress, self._n_processes = store, progress, n_processes
        self._changed = threading.Condition()
        self._told = threading.Lock()

    def stop(self) -> None:
        """Let runs end at the next word that they say."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def work(self, label: str) -> None:
        """Run one after the other until there is none left; in several threads at once."""
        try:
            while (shared := self._take()) is not None:
                failed = self._run(shared, label)
                self._settle(shared, failed)
        except StoppedError:
            pass
        except BaseException as error:
            self.stop()
            if threading.current_thread() is threading.main_thread():
                raise
            self.broken = error

    def _take(self) -> Shared | None:
        """The first run of which all that it reads is there; waits for one, and is None where none comes any more."""
        with self._changed:
            while True:
                self._leave_out()
                if self._is_stopped or not self._waiting:
                    return None
                for shared in self._waiting:
                    if all(str(run.folder) in self._done for run in shared.run.reads.values()):
                        self._waiting.remove(shared)
                        self._running.add(str(shared.run.folder))
                        return shared
                self._changed.wait()

    def _leave_out(self) -> None:
        """Runs that read what failed."""
        for shared in list(self._waiting):
            lost = [run for run in shared.run.reads.values() if str(run.folder) in self.ran.failed]
            if lost:
                self._waiting.remove(shared)
                why = f"was not run: it reads {lost[0].step}, which failed"
                self.ran.failed[str(shared.run.folder)] = _failed(shared, why, is_left_out=True)

    def _run(self, shared: Shared, label: str) -> Failed | None:
        run, about = shared.run, said_of(shared)
        self._tell(label, 0, 1, about)
        if is_done(run):
            self.ran.reused.add(str(run.folder))
            return None

        def tell(step: str, done: float, total: float, note: str = "") -> None:
            self._tell(label, done, total, f"{about}: {step}{f' {note}' if note else ''}")

        try:
            stamp = stamp_of(run)
            run_step(manifest_of(run), run.base, run.folder, self._store, tell, self._n_processes)
            set_stamp(run, stamp)
        except OnggiError as error:
            return _failed(shared, str(error))
        except StoppedError:
            raise
        except Exception as error:  # of a library, each of which has its own: the others go on
            return _failed(shared, f"{type(error).__name__}: {error}")
        return None

    def _settle(self, shared: Shared, failed: Failed | None) -> None:
        folder = str(shared.run.folder)
        with self._changed:
            self._running.discard(folder)
            if failed is None:
                self._done.add(folder)
            else:
                self.ran.failed[folder] = failed
            self._changed.notify_all()
        self._tell("runs", len(self._done) + len(self.ran.failed), self._n_runs, self._so_far())

    def _so_far(self) -> str:
        n_failed = len(self.ran.failed)
        return f"{len(self._done)} of {self._n_runs}" + (f", {n_failed} failed" if n_failed else "")

    def _tell(self, step: str, done: float, total: float, note: str) -> None:
        if self._is_stopped and threading.current_thread() is not threading.main_thread():
            raise StoppedError
        with self._told:
            self._progress(step, done, total, note)


def said_of(shared: Shared) -> str:
    """A run in a few words: arms, seed, step."""
    arms = shared.arms if len(shared.arms) <= 2 else [*shared.arms[:1], f"{len(shared.arms) - 1} others"]
    seeds = f"seed {', '.join(map(str, shared.seeds))}" if shared.seeds else ""
    return ", ".join(part for part in (" and ".join(arms), seeds, shared.run.step) if part)


def _failed(shared: Shared, why: str, is_left_out: bool = False) -> Failed:
    return Failed(step=shared.run.step, arms=shared.arms, seeds=shared.seeds, why=why, is_left_out=is_left_out)
