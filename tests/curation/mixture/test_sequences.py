import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.mixture.sequences import SequenceFiles
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.mixture.mixtures import Mixture, write_mixture


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return write_mixture(tmp_path_factory.mktemp("mixture"))


def test_every_sequence_comes_once_in_order(mixture: Mixture) -> None:
    parts = list(SequenceFiles(str(mixture.path)).read())
    assert len(parts) > 3
    assert np.array_equal(np.concatenate([part.input_ids for part in parts]), mixture.ids)
    assert [n for part in parts for n in part.n_tokens] == [row.n_tokens for row in mixture.rows]
    assert [crosses for part in parts for crosses in part.cross_document] == [row.cross for row in mixture.rows]
    assert [part.starts_of(row).tolist() for part in parts for row in range(len(part))] == [
        row.starts for row in mixture.rows
    ]
    assert [stage for part in parts for stage in part.stages] == [row.stage for row in mixture.rows]


def test_any_range_is_what_stands_there(mixture: Mixture) -> None:
    files = SequenceFiles(str(mixture.path))
    for first, end in ((0, 1), (3, 5), (7, 30), (len(mixture.rows) - 1, len(mixture.rows))):
        found = list(files.read(first, end))
        assert found[0].first == first
        assert np.array_equal(np.concatenate([part.input_ids for part in found]), mixture.ids[first:end])


def test_stages_follow_each_other(mixture: Mixture) -> None:
    files = SequenceFiles(str(mixture.path))
    stretches = files.stretches()
    assert [stretch.stage for stretch in stretches] == ["stage1", "stage2"]
    assert stretches[0].first == 0
    assert stretches[0].end == stretches[1].first == len(mixture.of("stage1"))
    assert stretches[1].end == len(mixture.rows) == files.n_sequences
    assert files.stretches("stage2") == stretches[1:]
    with pytest.raises(RequestError, match=r"no stage 'stage3'; valid: stage1, stage2"):
        files.stretches("stage3")


def test_held_out_sequences_are_a_split(mixture: Mixture) -> None:
    files = SequenceFiles(str(mixture.path), "validation")
    found = next(files.read())
    assert found.first == 0
    assert found.input_ids.tolist()[0] == mixture.held_out[0].padded(mixture.length)
    assert [stretch.stage for stretch in files.stretches()] == ["validation"]


def test_span_ends_with_and_without_padding(mixture: Mixture) -> None:
    files = SequenceFiles(str(mixture.path))
    with_padding, without, at = list[int](), list[int](), 0
    for number, row in enumerate(mixture.rows):
        base = number * mixture.length
        ends = [*row.starts[1:], row.n_tokens]
        with_padding += [base + end for end in ends] + [base + mixture.length] * (row.n_tokens < mixture.length)
        without += [at + end for end in ends]
        at += row.n_tokens
    found, bare, at, n_tokens = list[int](), list[int](), 0, 0
    for part in files.read():
        found += (part.span_ends(padding=True) + at).tolist()
        bare += (part.span_ends(padding=False) + n_tokens).tolist()
        at, n_tokens = found[-1], bare[-1]
    assert found == with_padding
    assert bare == without


def test_it_goes_to_other_processes(mixture: Mixture) -> None:
    files = SequenceFiles(str(mixture.path))
    first = next(files.read())
    again = pickle.loads(pickle.dumps(files))
    assert np.array_equal(next(again.read()).input_ids, first.input_ids)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture")
    (mixture.path / "tokens" / "part-00001.parquet").unlink()
    with pytest.raises(RequestError, match="a file is missing"):
        SequenceFiles(str(mixture.path))


def test_files_of_another_order_are_noticed(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture")
    one, two = (mixture.path / "tokens" / f"part-0000{number}.parquet" for number in (1, 2))
    aside = tmp_path / "aside"
    one.rename(aside), two.rename(one), aside.rename(two)
    with pytest.raises(
        RequestError, match=r"part-00001.parquet: row group 0 begins with sequence 16, expected 8 to 11"
    ):
        list(SequenceFiles(str(mixture.path)).read())


def test_a_version_to_come_is_refused(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture")
    path = mixture.path / "tokens" / "part-00000.parquet"
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"onggi.schema_version": b"99.0"}
    assert set(metadata) == set(table.schema.metadata)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(RequestError, match=r"written with schema 99.0"):
        SequenceFiles(str(mixture.path))


def test_another_length_than_the_record_says_is_refused(tmp_path: Path) -> None:
    mixture, other = write_mixture(tmp_path / "mixture"), write_mixture(tmp_path / "other", length=8)
    for name in Folder(str(other.path / "tokens")).names():
        (mixture.path / "tokens" / name).write_bytes((other.path / "tokens" / name).read_bytes())
    with pytest.raises(RequestError, match=r"sequences of 8 tokens; the record of the mixture says 16"):
        SequenceFiles(str(mixture.path))


def test_an_unfinished_mixture_is_refused(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture")
    (mixture.path / "run.json").unlink()
    with pytest.raises(RequestError, match=r"no run\.json"):
        SequenceFiles(str(mixture.path))


def test_the_helper_writes_to_the_contract(mixture: Mixture) -> None:
    from manifests.contracts import conform, tokens_schema

    table = pq.read_table(mixture.path / "tokens")
    assert isinstance(conform(table.replace_schema_metadata(), tokens_schema(mixture.length), "tokens"), pa.Table)
