"""Messages about fields of a manifest, for who wrote options on a command line instead."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from manifests.errors import RequestError


@contextmanager
def told_as_options(begins: Mapping[str, str], anywhere: Mapping[str, str]) -> Iterator[None]:
    """Have errors of the block name options.

    Args:
        begins: option by the field that a message begins with; an empty one leaves the field out.
        anywhere: option by what a message calls a field anywhere in it.

    Raises:
        RequestError: that of the block.
    """
    try:
        yield
    except RequestError as error:
        raise RequestError(in_options(str(error), begins, anywhere)) from error


def in_options(message: str, begins: Mapping[str, str], anywhere: Mapping[str, str]) -> str:
    """A message with options where it names fields.

    >>> in_options("to.hidden_size: found 65", {"to": ""}, {"hidden_size": "--hidden-size"})
    '--hidden-size: found 65'
    """
    for field, option in begins.items():
        if found := re.match(rf"{re.escape(field)}(\.|: |(?=\[))", message):
            ending = found[1] if option else ""
            message = option + ending + message[found.end() :]
            break
    names = "|".join(map(re.escape, sorted(anywhere, key=len, reverse=True)))
    # What stands in a path or between backticks, as fields of config.json do, is no field of a manifest.
    return re.sub(rf"(?<![\w/`.-])(?:{names})(?![\w/`-])", lambda found: anywhere[found[0]], message)
