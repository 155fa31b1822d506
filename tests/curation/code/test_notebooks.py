"""Notebooks: cells in order without their outputs, whatever the version."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.code.notebooks import BadNotebookError, read_notebook


def cell(kind: str, source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {}} | more


def notebook(*cells: dict[str, Any], language: str = "python") -> bytes:
    return json.dumps({"nbformat": 4, "cells": cells, "metadata": {"language_info": {"name": language}}}).encode()


def test_cells_in_their_order() -> None:
    output = {"output_type": "stream", "text": ["SECRET OUTPUT"]}
    found = read_notebook(
        notebook(
            cell("markdown", ["# 옹기\n", "글"]),
            cell("code", "x = 1\nprint(x)", outputs=[output]),
            cell("raw", "r"),
            cell("code", ""),
        )
    )
    assert found.text == "# %% [markdown]\n# # 옹기\n# 글\n\n# %%\nx = 1\nprint(x)\n\n# %% [raw]\n# r\n"
    assert (found.language, found.n_cells, found.n_outputs) == ("Python", 4, 1)


def test_the_comment_sign_is_that_of_the_kernel() -> None:
    found = read_notebook(notebook(cell("markdown", "a"), cell("code", "f(x) = x"), language="julia"))
    assert (found.language, found.text) == ("Julia", "# %% [markdown]\n# a\n\n# %%\nf(x) = x\n")
    assert read_notebook(notebook(cell("markdown", "a"), language="scala")).text.startswith("// %%")


def test_version_3() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a\n", "b"], "outputs": []}]}], "metadata": {}}
    assert read_notebook(json.dumps(old).encode()).text == "# %%\na\nb\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"cells": 1}', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_notebook(content: bytes) -> None:
    with pytest.raises(BadNotebookError):
        read_notebook(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["source", "cell_type", "x"]), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=4), JSON)
def test_odd_cells_and_metadata(cells: list[Any], metadata: Any) -> None:
    found = read_notebook(json.dumps({"cells": cells, "metadata": metadata}).encode())
    assert found.n_cells == len(cells)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "worksheets", "metadata", "language_info", "name", "source", "outputs", "cell_type"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_of_any_shape_is_a_notebook_or_is_refused(value: Any) -> None:
    with contextlib.suppress(BadNotebookError):
        read_notebook(json.dumps(value).encode())


def test_outputs_that_are_no_list() -> None:
    assert read_notebook(notebook(cell("code", "x", outputs=5))).n_outputs == 0


def test_what_strict_parsers_refuse_in_outputs_is_read() -> None:
    content = notebook(cell("code", "x", outputs=["@"]))
    for odd in (b"NaN", rb'"\ud83d"'):
        assert read_notebook(content.replace(b'"@"', odd)).text == "# %%\nx\n"
