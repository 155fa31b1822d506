"""Tables hold their contracts, and files of another version are refused."""

import pyarrow as pa
import pytest

from manifests import contracts
from manifests.errors import RequestError, RunError

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64())])


def test_conform_orders_columns_and_states_the_version() -> None:
    table = contracts.conform(pa.table({"n": [1], "id": ["a"]}), SCHEMA, "things")
    assert table.column_names == ["id", "n"]
    contracts.check_version(table.schema, "things", "x")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"]}, r"missing \['n'\], surplus \[\]"),
        ({"id": ["a"], "n": [1], "m": [1]}, r"missing \[\], surplus \['m'\]"),
        ({"id": ["a"], "n": ["1"]}, r"things\.n: type is string, the contract says int64"),
        ({"id": [None], "n": [1]}, r"things\.id"),
    ],
)
def test_broken_contracts_are_named(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(RunError, match=message):
        contracts.conform(pa.table(columns), SCHEMA, "things")


def test_nulls_where_none_are_allowed() -> None:
    table = pa.table({"id": pa.array([None], pa.string()), "n": [1]})
    with pytest.raises(RunError, match="1 nulls in a column that allows none"):
        contracts.conform(table, SCHEMA, "things")


@pytest.mark.parametrize(("version", "ok"), [("1.0", True), ("1.7", True), ("2.0", False), ("0.9", False)])
def test_unknown_major_versions_are_refused(version: str, ok: bool) -> None:
    schema = SCHEMA.with_metadata({contracts.TABLE_KEY: b"things", contracts.VERSION_KEY: version.encode()})
    if ok:
        contracts.check_version(schema, "things", "x")
    else:
        with pytest.raises(RequestError, match=rf"x: written with schema {version}, this Onggi reads 1\.x"):
            contracts.check_version(schema, "things", "x")


def test_metadata_is_a_column_only_where_asked_for() -> None:
    assert "metadata" not in contracts.records_schema([]).names
    assert contracts.records_schema(["b"]).field("metadata").type == pa.struct([("b", pa.string())])
