"""Errors that a person can act on; each class is one exit code."""


class OnggiError(Exception):
    """Something a person can act on; its message says what happened, where, and what to do."""

    exit_code = 1


class RequestError(OnggiError):
    """The request is wrong: a manifest, an argument or a path. Nothing was done."""

    exit_code = 2


class MissingExtra(RequestError):
    """A field asks for what an extra would install."""


def missing_extra(field: str, libraries: str, extra: str) -> MissingExtra:
    """The error of a field, written as in the manifest, whose libraries are not installed."""
    return MissingExtra(f"{field} needs {libraries}: pip install 'onggi[{extra}]'")


class RunError(OnggiError):
    """The run failed; what is whole is kept and the run can be resumed."""

    exit_code = 1


class FieldError(ValueError):
    """What is wrong with one field of a manifest, and only the whole can tell; the place is added to the message."""

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at
        """Where the field is, from the model that is validated on."""
