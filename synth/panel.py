"""The teachers of a run by their role: who writes, who judges, who scores; asked at once, waited for together."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Self, TypeVar

from manifests.errors import RequestError
from manifests.schema_synthesis import SynthesisManifest
from synth.samples import Role
from synth.teacher import Failure, Reply, Teacher, Usage, received, streamed
from synth.teachers.answers import Answer, Request

T = TypeVar("T")


class Panel:
    """The teachers of a manifest. Each is opened when it is asked first, so one that nobody asks is none."""

    def __init__(self, manifest: SynthesisManifest, base: str, folder: str) -> None:
        """A panel of which nobody is there yet.

        Args:
            manifest: names them.
            base: where its relative paths start.
            folder: of the run, on local disk. The teacher's answers lie in it, those of the others in `judge` and
                `reward` below it, unless the manifest says where.
        """
        self._settings = {"teacher": manifest.teacher, "judge": manifest.judge, "reward": manifest.reward}
        self._base, self._folder = base, folder
        self._teachers: dict[Role, Teacher] = {}

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def n_open(self) -> int:
        """Tickets without a reply."""
        return sum(teacher.n_open for teacher in self._teachers.values())

    @property
    def wants_more(self) -> bool:
        """Whether there is room for more requests: all teachers have, as what is asked of one ends up at the next."""
        return all(teacher.wants_more for teacher in self._teachers.values())

    @property
    def usage(self) -> dict[Role, Usage]:
        """What was asked of each and what it took; what is asked of a judge that is the teacher, is the teacher's."""
        return {role: teacher.usage for role, teacher in self._teachers.items()}

    def submit(self, ticket: int, role: Role, request: Request) -> None:
        """Have a request answered by a role; `receive` brings what came of it.

        Equal requests on their way are asked once, and those whose answers are kept not at all.

        Args:
            ticket: a number by which the reply is known.
            role: who is asked: a `judge` that the manifest does not name is the teacher.
            request: what is asked.

        Raises:
            RequestError: see `Teacher`; the manifest names no reward model.
        """
        self._teacher(role).submit(ticket, request)

    def receive(self) -> list[Reply]:
        """Wait until at least one ticket has its reply; nothing where no ticket is open.

        Raises:
            RequestError, RunError: see `Teacher.receive`.
        """
        return received(list(self._teachers.values()))

    def answers(self, role: Role, keys: Sequence[str]) -> dict[str, Answer]:
        """What there is of these answers of a role, by key; see `tables.key_of`."""
        return self._teacher(role).answers(keys)

    def ask(self, role: Role, pairs: Iterable[tuple[T, Request]]) -> Iterator[tuple[T, Answer | Failure]]:
        """Ask one role for many things while no other tickets are open; see `streamed`."""
        return streamed(self, lambda ticket, request: self.submit(ticket, role, request), pairs)

    def _teacher(self, role: Role) -> Teacher:
        role = "teacher" if role == "judge" and self._settings["judge"] is None else role
        if role not in self._teachers:
            settings = self._settings[role]
            if settings is None:
                raise RequestError(f"{role}: the manifest names no {role} model, and one is asked for")
            folder = self._folder if role == "teacher" else f"{self._folder}/{role}"
            self._teachers[role] = self._stack.enter_context(Teacher(settings, self._base, folder))
        return self._teachers[role]
