"""Expressions and what they mean, against the reading of packaging, another parser of SPDX."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from curation.licenses.verdicts import TABLE, all_of, any_of, canonical, join, verdict_of

PERMISSIVE, COPYLEFT, OTHER = ("MIT", "Apache-2.0", "0BSD"), ("GPL-3.0-only", "MPL-2.0"), ("SSPL-1.0", "JSON")
KINDS = dict.fromkeys(PERMISSIVE, "permissive") | dict.fromkeys(COPYLEFT, "copyleft") | dict.fromkeys(OTHER, "other")

trees = st.recursive(
    st.sampled_from([*KINDS]),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), inner, inner),
    max_leaves=6,
)


def written(tree: object) -> str:
    return tree if isinstance(tree, str) else f"({written(tree[1])} {tree[0]} {written(tree[2])})"  # type: ignore[index]


def permissive(tree: object) -> bool:
    """The rule by itself: of a choice one must be permissive, of what holds together all."""
    if isinstance(tree, str):
        return KINDS[tree] == "permissive"
    sign, left, right = tree  # type: ignore[misc]
    return (all if sign == "AND" else any)([permissive(left), permissive(right)])


@given(trees)
def test_permissive_is_all_of_and_any_of(tree: object) -> None:
    assert (verdict_of(written(tree)) == "permissive") == permissive(tree)


@given(trees)
def test_the_canonical_form_means_the_same_and_is_one(tree: object) -> None:
    form = canonical(written(tree))
    assert form is not None and canonical(form) == form
    assert verdict_of(form) == verdict_of(written(tree))
    assert canonicalize_license_expression(form) == form


@pytest.mark.parametrize(
    ("expression", "form", "verdict"),
    [
        ("gpl-2.0+", "GPL-2.0-or-later", "copyleft"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0", "permissive"),
        ("Apache-2.0+", "Apache-2.0", "permissive"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", "copyleft"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception", "permissive"),
        (
            "MIT WITH LicenseRef-scancode-commons-clause",
            "MIT WITH LicenseRef-scancode-commons-clause",
            "other",
        ),
        ("MIT AND LicenseRef-scancode-commons-clause", "MIT AND LicenseRef-scancode-commons-clause", "other"),
        ("LicenseRef-ours", "LicenseRef-ours", "unknown"),
        ("MIT AND LicenseRef-ours", "MIT AND LicenseRef-ours", "unknown"),
        ("MIT OR LicenseRef-ours", "MIT OR LicenseRef-ours", "permissive"),
    ],
)
def test_expressions(expression: str, form: str, verdict: str) -> None:
    assert (canonical(expression), verdict_of(expression)) == (form, verdict)


@pytest.mark.parametrize(
    "text", ["", "MIT AND", "(((", "GNU GPL v2", "SEE LICENSE IN x", "MIT\nOR", "MIT " * 400, "; rm"]
)
def test_what_is_no_expression_is_unknown(text: str) -> None:
    assert (canonical(text), verdict_of(text)) == (None, "unknown")


@given(st.text(max_size=40))
def test_any_text_has_a_verdict(text: str) -> None:
    assert (verdict_of(text) != "permissive") or canonical(text) is not None


def test_a_text_that_a_choice_offers_is_not_named_again() -> None:
    assert join(["MIT OR GPL-2.0-only", "GPL-2.0-only", "MIT"]) == "MIT OR GPL-2.0-only"
    assert join(["MIT OR GPL-2.0-or-later", "GPL-3.0-only"]) == "GPL-3.0-only AND (MIT OR GPL-2.0-or-later)"
    assert join(["MIT OR GPL-2.0-or-later", "GPL-3.0-only"], one_offer=True) == "MIT OR GPL-2.0-or-later"
    assert join(["MIT AND ISC", "ISC"]) == "ISC AND MIT"
    assert join([]) is None


def test_nothing_together_is_none() -> None:
    assert (all_of([]), any_of([])) == ("none", "none")
    assert (all_of(["permissive", "unknown"]), any_of(["other", "permissive"])) == ("unknown", "permissive")


def test_the_table_is_whole_and_restrictions_are_not_permissive() -> None:
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) > 2000 and all(len(row) == 4 for row in rows)
    assert {row[2] for row in rows} == {"permissive", "copyleft", "other", "unknown"}
    assert len({row[0].lower() for row in rows}) == len(rows)
    for name in ("JSON", "BUSL-1.1", "SSPL-1.0", "CC-BY-NC-4.0", "Elastic-2.0", "HPND-export-US"):
        assert verdict_of(name) == "other"
