"""Exact groups and survivors against brute force, whatever the number of ranges and files."""

import random
from pathlib import Path

import polars as pl
import pytest

from curation.dedup import exact, survivors
from curation.shards import KEY_COLUMNS
from manifests.schema import Dedup
from manifests.store import Folder, KeyRange, to_arrow

Row = tuple[str, str, bytes]  # text digest, id, row hash
TYPES = [pl.String, pl.Float64, pl.String, pl.Int32, pl.String, pl.String]  # of the rows that pass


def random_rows(seed: int, n_rows: int) -> list[Row]:
    rng = random.Random(seed)
    names = [f"{rng.getrandbits(128):032x}" for _ in range(n_rows // 2)]
    texts = {name: f"{rng.getrandbits(128):032x}" for name in names}
    shared = [f"{rng.getrandbits(128):032x}" for _ in range(n_rows // 8)]
    chosen = [rng.choice(names) for _ in range(n_rows)]
    for name in rng.sample(names, len(names) // 2):
        texts[name] = rng.choice(shared)
    return [(texts[name], name, rng.randbytes(16)) for name in chosen]


def write_keys(run: Folder, rows: list[Row], n_files: int) -> None:
    for number in range(n_files):
        part = pl.DataFrame(rows[number::n_files], schema=KEY_COLUMNS, orient="row").sort("text_digest")
        table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        with (run / "keys").table_writer(f"part-{number}.parquet", table.schema, "keys") as writer:
            writer.write(table, 16)


def numbered(rows: list[Row]) -> list[tuple[str, str, int]]:
    """(text, id, copy): copies of an id in the order of their hashes."""
    seen: dict[str, int] = {}
    found = []
    for text, name, _ in sorted(rows, key=lambda row: (row[1], row[2])):
        found.append((text, name, seen.setdefault(name, 0)))
        seen[name] += 1
    return found


@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.parametrize("rows_per_range", [10, 10_000])
def test_groups_and_survivors_equal_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_files: int, rows_per_range: int
) -> None:
    for module in (exact, survivors):
        monkeypatch.setattr(module, "ROWS_PER_RANGE", rows_per_range)
    rows, run = random_rows(n_files, 200), Folder(str(tmp_path))
    write_keys(run, rows, n_files)
    found = exact.find_groups(run, len(rows))
    members: dict[str, list[tuple[str, int]]] = {}
    for text, name, copy in numbered(rows):
        members.setdefault(text, []).append((name, copy))
    groups = {text: sorted(group) for text, group in members.items() if len(group) > 1}
    assert (found.n_groups, found.n_members) == (len(groups), sum(map(len, groups.values())))

    passes = {member for group in groups.values() for member in group if int(member[0][0], 16) % 3}
    passing = [
        (text, 0.0, *member, text, None) for text, group in groups.items() for member in group if member in passes
    ]
    schema = dict(zip(survivors.PASSING.names, TYPES, strict=True))
    survivors.write_passing(run / "passing", "p.parquet", pl.DataFrame(passing, schema=schema, orient="row"))
    n_losers = survivors.choose_survivors(run / "passing", run / "losers", found.n_members)
    expected = {}
    for group in groups.values():
        survivor, *others = [member for member in group if member in passes] or [None]
        expected |= dict.fromkeys(others, survivor)
    losers = (run / "losers").scan().select(survivors.LOSERS.names).collect().rows()
    assert {row[4] for row in losers} == {survivors.EXACT}
    assert {(row[0], row[1]): (row[2], row[3]) for row in losers} == expected
    assert n_losers == len(expected) > 0


def test_ranges_of_ids_see_their_own_groups(tmp_path: Path) -> None:
    rows, run = random_rows(7, 200), Folder(str(tmp_path))
    write_keys(run, rows, 2)
    exact.find_groups(run, len(rows))
    frame = exact.number_copies(pl.DataFrame(rows, schema=KEY_COLUMNS, orient="row"))
    sizes = frame.group_by("text_digest").len().rows()
    low, high = KeyRange(1, 2).bounds
    ids = (pl.col("id") >= low) & (pl.col("id") < high)
    part = survivors.join_groups(frame.filter(ids), run, Dedup(exact=True), KeyRange(1, 2), has_groups=True)
    assert part["exact_size"].to_list() == [dict(sizes)[text] for text in part["text_digest"]]
    assert set(part.filter(pl.col("exact_size") > 1)["exact_group"]) <= set(frame["text_digest"])


def test_groups_are_found_once_for_the_same_parts(tmp_path: Path) -> None:
    rows, run = random_rows(3, 50), Folder(str(tmp_path))
    write_keys(run, rows, 1)
    first = exact.find_groups(run, len(rows))
    marker = (tmp_path / "exact" / "groups.json").stat().st_mtime_ns
    assert exact.find_groups(run, len(rows)) == first
    assert (tmp_path / "exact" / "groups.json").stat().st_mtime_ns == marker


def test_an_empty_exchange_has_its_schema() -> None:
    empty = pl.DataFrame(schema=dict(zip(survivors.PASSING.names, TYPES, strict=True)))
    assert to_arrow(empty, survivors.PASSING).schema == survivors.PASSING
