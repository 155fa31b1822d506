"""Where a file belongs: which repository it is of, and its path there; and whether globs choose it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from curation.code.archives import archive_ending, clean_path
from curation.globs import Glob, Token, literal
from manifests.errors import RequestError
from manifests.schema_readers import Code

OWN_FOLDERS = frozenset({".git", ".hg", ".svn", ".bzr", "CVS", "_darcs"})
"""Folders in which systems of version control keep their own."""


@dataclass(frozen=True)
class Place:
    """A file of a repository, or an archive that is one (`path` is empty)."""

    repository: str
    path: str

    @property
    def is_archive(self) -> bool:
        """Whether it is a repository as a whole."""
        return not self.path

    @property
    def key(self) -> str:
        """The name of the record in its source."""
        return f"{self.repository}/{self.path}" if self.repository and self.path else self.repository or self.path


def place_of(name: str, repositories: str, folder: str = "") -> Place | None:
    """Where a file of an input belongs, by its name below the input's `folder`; None where it is in no repository."""
    clean = clean_path(name) or name
    ending = archive_ending(clean)
    first, _, rest = clean.partition("/")
    if repositories == "path":
        return Place(folder.rstrip("/").rpartition("/")[2], clean)
    if ending and (repositories == "archives" or not rest):
        return Place(clean[: -len(ending)], "")
    return Place(first, rest) if repositories == "folders" and rest else None


def is_own(path: str) -> bool:
    """Whether a path lies where version control keeps its own; the `.git` of a submodule is a file."""
    return not OWN_FOLDERS.isdisjoint(path.split("/"))


class Chooser:
    """Which paths are read: one of `include` if there is any, and none of `exclude`."""

    def __init__(self, settings: Code) -> None:
        """Raises RequestError where a pattern is none, as `[z-a]`."""
        self._include, self._exclude = settings.include, settings.exclude
        for name, globs in (("include", self._include), ("exclude", self._exclude)):
            for glob in globs:
                try:
                    _pattern(glob).check()
                except re.error as error:
                    raise RequestError(f"code.{name}: {glob!r} is no pattern: {error}; as *.py or src/**") from error

    def __call__(self, path: str) -> bool:
        """Whether the file at this path in its repository is read."""
        return (not self._include or _any(self._include, path)) and not _any(self._exclude, path)


def _any(globs: Sequence[str], path: str) -> bool:
    return any(_pattern(glob).fullmatch(path if "/" in glob else path.rpartition("/")[2]) for glob in globs)


@cache
def _pattern(glob: str) -> Glob:
    """A glob as gitignore writes it: `*` and `?` stay within a folder, `**` goes on below, `dir/` is all in it."""
    if glob.endswith("/"):
        glob = f"{glob}**" if "/" in glob[:-1] else f"**/{glob}**"
    parts = _PARTS.findall(glob.removeprefix("./").removeprefix("/"))
    return Glob(tuple(token for part in parts for token in _tokens(part)))


_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)
_SIGNS = {
    "**/": [Token("", "maybe"), Token(".", "star"), Token("/")],
    "**": [Token(".", "star")],
    "*": [Token("[^/]", "star")],
    "?": [Token("[^/]")],
}


def _tokens(part: str) -> list[Token]:
    if part in _SIGNS:
        return _SIGNS[part]
    if len(part) == 1:
        return literal(part)
    negates = part[1] in "!^"
    inside = part[2 if negates else 1 : -1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return [Token(f"(?!/)[{'^' if negates else ''}{inside.replace('^', chr(92) + '^')}]")]
