"""The table of answer forms, and what is said of batches, majorities and limits."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from synth.final_answers.expected import Expected
from synth.verify import Case, Verdict, verify_all

TABLE = Path(__file__).with_name("answer_forms.tsv")


def rows() -> list[dict[str, str]]:
    """`⏎` stands for a line break; `given` holds what else is known, as `unit=%`."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def case_of(row: dict[str, str]) -> Case:
    given = dict(one.split("=", 1) for one in row["given"].split() if one)
    expected = Expected(
        row["kind"],  # type: ignore[arg-type]
        row["gold"],
        unit=given.get("unit", ""),
        tolerance=given.get("tolerance", "0"),
        options=tuple(given["options"].split(";")) if "options" in given else (),
    )
    return Case(row["response"].replace("⏎", "\n"), expected, given.get("finish", "stop"))


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[dict[str, str], Verdict]]:
    pytest.importorskip("math_verify")
    table = rows()
    return list(zip(table, verify_all(map(case_of, table)), strict=True))


def test_table(verdicts: list[tuple[dict[str, str], Verdict]]) -> None:
    unlike = [
        f"{row['outcome']} expected of `{row['response']}` for `{row['gold']}`: {verdict}"
        for row, verdict in verdicts
        if verdict.outcome != row["outcome"]
    ]
    assert not unlike, "\n".join(unlike)


def test_table_is_broad() -> None:
    table = rows()
    assert len(table) >= 250
    counted = Counter((row["language"], row["outcome"]) for row in table)
    assert (
        min(counted[language, outcome] for language in ("ko", "en") for outcome in ("right", "wrong", "form")) >= 25
    )
    assert len({tuple(row.values()) for row in table}) == len(table)
