"""The record of a mixture is read where there is one, and what is wrong is said where there is none."""

from pathlib import Path

import orjson
import pytest

from curation.mixture.record import read_mixture
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.mixture import small


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = small.mixed(small.lay_out(tmp_path, 30))
    assert read_mixture(Folder(str(tmp_path / "out"))) == record
    assert {entry.source for entry in record.inputs} == {"ko", "en"}
    assert [entry.path for entry in record.outputs] == ["tokens", "validation", "ledger"]
    assert sum(source.taken_tokens for source in record.sources) == record.counts["tokens"]


def test_what_is_no_mixture(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with pytest.raises(RequestError, match=r"holds no mixture \(no run\.json\)"):
        read_mixture(folder)
    (tmp_path / "work").mkdir()
    with pytest.raises(RequestError, match="is not complete: run the same command again"):
        read_mixture(folder)
    (tmp_path / "run.json").write_bytes(orjson.dumps({"kind": "corpus"}))
    with pytest.raises(RequestError, match="is a run of `kind: corpus`; expected one of `kind: mixture`"):
        read_mixture(folder)
    (tmp_path / "run.json").write_bytes(orjson.dumps({"kind": "mixture"}))
    with pytest.raises(RequestError, match=r"run\.json: not a record that this version of Onggi reads"):
        read_mixture(folder)
    (tmp_path / "run.json").write_bytes(b"[]")
    with pytest.raises(RequestError, match="is a run of `kind: None`"):
        read_mixture(folder)
