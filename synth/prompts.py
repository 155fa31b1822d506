"""Prompts: Jinja files in Korean and English, with a block `user` and, where there is one, a block `system`.

They lie in `synth/prompts/TASK/NAME_LANGUAGE.jinja`. Values that are filled in are text and stay text; templates run
in Jinja's sandbox. What a prompt is known by is the digest of its file.
"""

import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jinja2
import xxhash
from jinja2.sandbox import ImmutableSandboxedEnvironment

from manifests.errors import RequestError

Turn = tuple[Literal["system", "user", "assistant"], str]


@dataclass(frozen=True)
class Prompt:
    """A prompt that was filled in."""

    messages: tuple[Turn, ...]
    template: str
    """As `reasoning/solve_ko`."""
    digest: str


class Prompts:
    """The prompts of Onggi, some of which a folder of the user's may replace."""

    def __init__(self, folder: str | None = None) -> None:
        """Look for prompts in a folder first.

        Raises:
            RequestError: it is no folder.
        """
        if folder is not None and not Path(folder).is_dir():
            raise RequestError(f"task.prompts: {folder}: there is no such folder")
        own = jinja2.FunctionLoader(_own)
        loader = own if folder is None else jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder), own])
        self._jinja = ImmutableSandboxedEnvironment(
            loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
        )
        self._digest = functools.cache(self._digest_of)

    def __call__(self, name: str, language: str, **values: Any) -> Prompt:
        """Fill in a prompt.

        Args:
            name: as `reasoning/solve`.
            language: `ko` or `en`; other languages get the English prompt.
            values: what its blocks name.

        Raises:
            RequestError: there is no such prompt, or it wants something else; names the file.
        """
        template = f"{name}_{'ko' if language == 'ko' else 'en'}"
        try:
            found = self._jinja.get_template(f"{template}.jinja")
            turns = [
                (role, "".join(found.blocks[role](found.new_context(values))).strip())
                for role in ("system", "user")
                if role in found.blocks
            ]
        except jinja2.TemplateNotFound:
            raise RequestError(f"prompt {template}.jinja: there is none") from None
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise RequestError(f"prompt {template}.jinja: {type(error).__name__}: {error}") from error
        if not any(role == "user" for role, _ in turns):
            raise RequestError(f"prompt {template}.jinja: has no block `user`")
        return Prompt(tuple((role, text) for role, text in turns if text), template, self._digest(template))

    def _digest_of(self, template: str) -> str:
        assert self._jinja.loader
        source, _, _ = self._jinja.loader.get_source(self._jinja, f"{template}.jinja")
        return xxhash.xxh3_64_hexdigest(source.encode())


def _own(name: str) -> str | None:
    path = files("synth").joinpath("prompts", *name.split("/"))
    return path.read_text("utf-8") if ".." not in name and path.is_file() else None
