"""The rule of a merge as it is written on a command line."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.schema_merge import MergeRule


def rule_of(
    method: str,
    models: Sequence[str],
    t: Sequence[str] | None = None,
    base: str | None = None,
    weights: Sequence[str] | None = None,
    densities: Sequence[str] | None = None,
    dtype: str | None = None,
    tokenizer: str = "same",
) -> MergeRule:
    """The rule that options ask for.

    Args:
        method: as in the schema.
        models: folders.
        t: of slerp, `0.5`, `0,0.5,1` or `mlp=0,0.5,1`.
        base: a folder.
        weights: of each model, or none.
        densities: of each model, one for all, or none.
        dtype: as in the schema.
        tokenizer: as in the schema.

    Raises:
        RequestError: an option is no number, too many or too few are given, or they do not go together.
    """
    if not models:
        raise RequestError("MODEL: missing; name the folders of the models that are merged")
    if t and method != "slerp":
        raise RequestError(f"--t: is for slerp; `{method}` has --weight, one for each model")
    if weights and method == "slerp":
        raise RequestError("--weight: slerp has --t")
    if densities and method not in ("ties", "dare_linear", "dare_ties"):
        raise RequestError(f"--density: is for ties and dare; `{method}` keeps all changes")
    items: list[dict[str, Any]] = [{"model": model} for model in models]
    for field, given in (("weight", weights), ("density", densities)):
        for item, value in zip(items, _for_each(f"--{field}", given, len(models)), strict=True):
            item |= {field: value} if value is not None else {}
    rule: dict[str, Any] = {"method": method, "models": items, "base": base, "dtype": dtype, "tokenizer": tokenizer}
    if t:
        rule["t"] = _schedule("--t", t)
    try:
        return MergeRule.model_validate(rule)
    except ValidationError as error:
        raise RequestError("\n".join(_said(detail) for detail in error.errors(include_url=False))) from None


def _for_each(option: str, given: Sequence[str] | None, n_models: int) -> list[Any]:
    """The value of each model; one that is given once holds for all densities."""
    if not given:
        return [None] * n_models
    if len(given) == 1 and option == "--density":
        given = list(given) * n_models
    if len(given) != n_models:
        raise RequestError(f"{option}: found {len(given)} for {n_models} models; give one for each, in their order")
    return [_schedule(option, [value]) for value in given]


def _schedule(option: str, given: Sequence[str]) -> list[dict[str, Any]]:
    """`mlp=0,0.5,1` and the like, those for a part of names before the one for all."""
    found = []
    for text in given:
        match, _, numbers = text.rpartition("=")
        try:
            anchors = [float(number) for number in numbers.split(",")]
        except ValueError:
            raise RequestError(
                f"{option} {text}: write a number, a gradient as 0,0.5,1, or one for a part of names as mlp=0.3"
            ) from None
        found.append({"match": match or None, "value": anchors if len(anchors) > 1 else anchors[0]})
    return sorted(found, key=lambda where: where["match"] is None)


def _said(detail: Any) -> str:
    error = detail.get("ctx", {}).get("error")
    at = ".".join(str(part) for part in (*detail["loc"], *getattr(error, "at", ())))
    return f"{at}: {error or detail['msg']}".removeprefix(": ")
