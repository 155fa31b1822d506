"""What all parts of a manifest are made of."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

MIB = 1 << 20

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
"""A name that can stand in a path, a column name and a ledger reason."""


class Model(BaseModel):
    """A part of a manifest: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


def one_field(name: str) -> Any:
    """A validator that takes what is written alone, as `crawl: CC-MAIN-2025-05`, for a mapping of this one field."""
    return lambda value: {name: value} if isinstance(value, str) else value


def percent(value: Any) -> Any:
    """The share that a text such as `10%` says, exactly as its decimals do."""
    if not isinstance(value, str) or not value.endswith("%"):
        return value
    try:
        return float(Decimal(value[:-1]) / 100)
    except InvalidOperation:
        return value
