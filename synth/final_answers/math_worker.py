"""The process that runs Math-Verify and JSON Schema, for another that kills it when it takes too long.

Math-Verify stops itself by SIGALRM, which does nothing outside of a main thread and not always there; SymPy may also
take all memory that there is. So it runs here, a question at a time: lines of JSON come in, lines go out.
"""

import logging
import math
import os
import resource
import sys
from typing import Any

import orjson

WHY_CHARS = 200


def are_equal(gold: str, answer: str) -> tuple[bool | None, str]:
    """Whether two formulas in LaTeX are equal by Math-Verify (to six decimals where they are irrational).

    Returns:
        None where one of them is not read, and why.
    """
    from math_verify import parse, verify

    read = [parse(f"${formula}$", parsing_timeout=None) for formula in (gold, answer)]
    for formula, values in zip((gold, answer), read, strict=True):
        if not any(not isinstance(value, str) for value in values):
            return None, f"Math-Verify does not read {formula}"
    return verify(read[0], read[1], timeout_seconds=None), ""  # the order matters: gold comes first


def fits(schema: str, value: str) -> tuple[bool | None, str]:
    """Whether a value fits a JSON Schema; patterns of a schema may take for ever."""
    from synth.final_answers.json_schema_check import misfit

    why = misfit(orjson.loads(schema), orjson.loads(value))
    return why is None, why or ""


def _answer(message: dict[str, Any]) -> dict[str, Any]:
    try:
        is_so, why = {"equal": are_equal, "fits": fits}[message["job"]](message["first"], message["second"])
    except MemoryError:
        return {"is_so": None, "why": "took too much memory"}
    except Exception as error:  # of SymPy, for what a teacher wrote
        return {"is_so": None, "why": f"cannot be compared: {error!r}"[:WHY_CHARS]}
    return {"is_so": is_so, "why": why[:WHY_CHARS]}


def _limit_cpu(seconds: float) -> None:
    """Let the system end this process where a question takes longer, even if nobody waits for it any more.

    Time of the processor, in whole seconds: what is said of a question does not depend on what else the machine does.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """The process: its arguments are how many bytes it may have, and how many seconds a question may take."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    logging.disable(logging.CRITICAL)
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        replies.write(orjson.dumps({"fatal": str(error)}) + b"\n")
        return
    limit_bytes, limit_s = int(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    sys.set_int_max_str_digits(10_000)
    replies.write(b"{}\n")
    for line in sys.stdin.buffer:
        _limit_cpu(limit_s)
        replies.write(orjson.dumps(_answer(orjson.loads(line))) + b"\n")
