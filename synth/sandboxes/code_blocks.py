"""Code out of what a teacher says."""

import ast
import re

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_THOUGHT = re.compile(r"\A.*</think>", re.DOTALL)
PYTHON = {"python", "python3", "py", ""}
"""What blocks of Python are called; many are called nothing."""


def blocks(text: str) -> list[tuple[str, str]]:
    """Fenced blocks as (language, lower case; code). The last one may lack its closing fence."""
    found: list[tuple[str, str]] = []
    at = 0
    while opening := _FENCE.search(text, at):
        fence, language = opening[1], opening[2].lower()
        closing = re.compile(rf"^[ \t]*{re.escape(fence)}[ \t]*$", re.MULTILINE).search(text, opening.end())
        end = closing.start() if closing else len(text)
        found.append((language, text[opening.end() : end].strip("\n") + "\n"))
        if not closing:
            break
        at = closing.end()
    return found


def extract_code(response: str, entry_point: str | None = None) -> str | None:
    """The Python program in a response; None where there is none that parses.

    What was thought before `</think>` does not count. Of several blocks it is the last that defines `entry_point`;
    without one, the longest, since short ones show its use. A response without fences is code as a whole, or not.

    Args:
        response: what the teacher said.
        entry_point: the function or class that is asked for.
    """
    said = _THOUGHT.sub("", response)
    fenced = blocks(said)
    codes = [code for language, code in fenced if language in PYTHON] if fenced else [said]
    parsed = [(code, tree) for code in codes if (tree := _parse(code)) is not None and _does_something(tree)]
    if entry_point is not None:
        parsed = [(code, tree) for code, tree in parsed if entry_point in _defined(tree)][-1:]
    return max((code for code, _ in parsed), key=len, default=None)


def _parse(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _does_something(tree: ast.Module) -> bool:
    """Whether it is more than a word or a sum, which parse as well."""
    return any(not isinstance(part, ast.Expr) or isinstance(part.value, ast.Call) for part in tree.body)


def _defined(tree: ast.Module) -> set[str]:
    names = {
        part.name for part in tree.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    targets = [target for part in tree.body if isinstance(part, ast.Assign) for target in part.targets]
    return names | {target.id for target in targets if isinstance(target, ast.Name)}
