"""Jupyter notebooks as text: their cells in order, with the markers of the percent format; outputs are left out."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from curation.code.headers import SIGNS
from curation.code.languages import all_languages

_KERNELS = {
    "ir": "R",
    "r": "R",
    "bash": "Shell",
    "octave": "MATLAB",
    "c++17": "C++",
    "xcpp": "C++",
    "sos": "Python",
    "xpython": "Python",
}


class BadNotebookError(ValueError):
    """Not a notebook: no JSON, or no cells."""


@dataclass(frozen=True)
class Notebook:
    """Its cells as one text, the language that they are in, and how many cells and outputs there were."""

    text: str
    language: str | None
    n_cells: int
    n_outputs: int


def read_notebook(content: bytes) -> Notebook:
    """The cells of a notebook (nbformat 2 to 4) in their order.

    Each code cell follows a line `# %%`, each other one a line `# %% [markdown]` or `# %% [raw]` and stands in line
    comments, all in the comment sign of the kernel's language (jupytext's percent format).

    Raises:
        BadNotebookError: the content is no notebook.
    """
    try:
        notebook = _parsed(content.removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        raise BadNotebookError(f"{error.msg}, at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:
        raise BadNotebookError(f"{type(error).__name__}: {error}"[:200]) from error
    cells = _cells(notebook)
    language = _language(notebook)
    sign = (*SIGNS.get(language or "", (("//",), ()))[0], "#")[0] if language else "#"
    blocks = [block for cell in cells if isinstance(cell, dict) and (block := _block(cell, sign))]
    outputs = [cell.get("outputs") for cell in cells if isinstance(cell, dict)]
    n_outputs = sum(len(of_cell) for of_cell in outputs if isinstance(of_cell, list))
    return Notebook("\n\n".join(blocks) + "\n" if blocks else "", language, len(cells), n_outputs)


def _parsed(content: bytes) -> Any:
    """What Python writes as JSON and strict parsers refuse is read as well: NaN, and halves of surrogate pairs."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)


def _cells(notebook: Any) -> list[Any]:
    if not isinstance(notebook, dict):
        raise BadNotebookError("the file holds no JSON object")
    sheets = notebook.get("worksheets")  # up to nbformat 3
    found = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    cells = [cell for cells in found if isinstance(cells, list) for cell in cells] or notebook.get("cells")
    if not isinstance(cells, list):
        raise BadNotebookError("it has no cells")
    return cells


def _language(notebook: dict[str, Any]) -> str | None:
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for field, name in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        value = metadata.get(field)
        word = value.get(name) if isinstance(value, dict) else None
        if isinstance(word, str):
            lower = word.lower().rstrip("0123456789.")
            found = _KERNELS.get(word.lower()) or _KERNELS.get(lower) or all_languages().get(lower)
            if found:
                return found
    return None


def _block(cell: dict[str, Any], sign: str) -> str:
    source = cell.get("source", cell.get("input", ""))
    parts = source if isinstance(source, list) else [source]
    text = "".join(part for part in parts if isinstance(part, str)).rstrip()
    text = text.encode("utf-8", "replace").decode()  # a half of a surrogate pair is no text
    if not text:
        return ""
    kind = cell.get("cell_type")
    if kind == "code":
        return f"{sign} %%\n{text}"
    name = "markdown" if kind in ("markdown", "heading") else "raw"
    return f"{sign} %% [{name}]\n" + "\n".join(f"{sign} {line}".rstrip() for line in text.split("\n"))
