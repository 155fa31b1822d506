"""Scores that a teacher gives with a reason: the form in which they are asked for."""

from typing import Any


def score_schema(low: int, high: int) -> dict[str, Any]:
    """JSON Schema of a whole number from `low` to `high`, behind its reason, since it is to follow from that."""
    return {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": 600},
            "score": {"type": "integer", "enum": [*range(low, high + 1)]},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
