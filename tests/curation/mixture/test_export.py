"""Exports read back with parsers of their own; the trainers' readers have them in tests/scenarios/test_exports.py."""

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from curation.mixture import export_datatrove, export_mds
from curation.mixture.export import FORMATS, Export, export, requested
from manifests.errors import RequestError
from tests.curation.mixture.mixtures import EOD, Mixture, taken, write_mixture


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return write_mixture(tmp_path_factory.mktemp("mixture"))


def run(mixture: Mixture, output: Path, format_: str, **options: Any) -> Any:
    return export(Export(str(mixture.path), format_, str(output), **options))  # type: ignore[arg-type]


def read_megatron(prefix: Path) -> tuple[dict[str, int], list[list[int]], list[int], list[int]]:
    """The header, the ids of each entry, where each begins, and the documents, by struct and nothing else."""
    index, data = prefix.with_suffix(".idx").read_bytes(), prefix.with_suffix(".bin").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, n_entries, n_documents = struct.unpack_from("<QBQQ", index, 9)
    at = 34
    lengths = struct.unpack_from(f"<{n_entries}i", index, at)
    at += 4 * n_entries
    pointers = struct.unpack_from(f"<{n_entries}q", index, at)
    at += 8 * n_entries
    documents = struct.unpack_from(f"<{n_documents}q", index, at)
    assert at + 8 * n_documents == len(index)
    letter, width = {8: ("H", 2), 4: ("i", 4)}[code]
    entries = [
        list(struct.unpack_from(f"<{n}{letter}", data, start)) for n, start in zip(lengths, pointers, strict=True)
    ]
    assert sum(lengths) * width == len(data)
    return {"version": version, "code": code}, entries, list(pointers), list(documents)


def test_megatron_holds_the_packed_sequences_of_each_stage(mixture: Mixture, tmp_path: Path) -> None:
    record = run(mixture, tmp_path / "out", "megatron")
    assert sorted(record.files) == ["stage1.bin", "stage1.idx", "stage2.bin", "stage2.idx"]
    for stage in ("stage1", "stage2"):
        header, entries, pointers, documents = read_megatron(tmp_path / "out" / stage)
        rows = mixture.of(stage)
        assert header == {"version": 1, "code": 8}
        assert entries == [row.padded(mixture.length) for row in rows]
        assert pointers == [2 * mixture.length * number for number in range(len(rows))]
        assert documents == list(range(len(rows) + 1))


def test_megatron_by_document_leaves_padding_out(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "megatron", documents=True)
    _, entries, _, _ = read_megatron(tmp_path / "out" / "stage1")
    assert entries == [list(span.ids) for row in mixture.of("stage1") for span in row.spans]
    assert sum(entry[-1] == EOD for entry in entries) == 40


def test_megatron_with_a_large_vocabulary_has_four_bytes(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture", vocab_size=200_000)
    run(mixture, tmp_path / "out", "megatron")
    header, entries, _, _ = read_megatron(tmp_path / "out" / "stage1")
    assert header["code"] == 4
    assert entries == [row.padded(mixture.length) for row in mixture.of("stage1")]
    assert max(map(max, entries)) > 1 << 16


def test_megatron_index_in_chunks_is_the_same(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mixture, tmp_path / "one", "megatron", documents=True)
    monkeypatch.setattr("curation.mixture.export_megatron.AT_ONCE", 7)
    run(mixture, tmp_path / "two", "megatron", documents=True)
    assert (tmp_path / "one" / "stage1.idx").read_bytes() == (tmp_path / "two" / "stage1.idx").read_bytes()


def read_mds(folder: Path) -> list[dict[str, Any]]:
    """The samples of all shards, by struct and nothing else."""
    index, samples = json.loads((folder / "index.json").read_text()), list[dict[str, Any]]()
    assert index["version"] == 2
    for shard in index["shards"]:
        content = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(content) == shard["raw_data"]["bytes"]
        (n_samples,) = struct.unpack_from("<I", content)
        assert n_samples == shard["samples"]
        offsets = struct.unpack_from(f"<{n_samples + 1}I", content, 4)
        assert offsets[-1] == len(content)
        told = json.loads(content[4 * (n_samples + 2) : offsets[0]])
        assert told == {key: shard[key] for key in told}
        samples += [_mds_sample(content[a:b], shard) for a, b in pairwise(offsets)]
    return samples


def _mds_sample(content: bytes, shard: dict[str, Any]) -> dict[str, Any]:
    sizes, at = list[int](), 0
    for size in shard["column_sizes"]:
        if size is None:
            (size,) = struct.unpack_from("<I", content, at)
            at += 4
        sizes.append(size)
    values = dict[str, Any]()
    for name, encoding, size in zip(shard["column_names"], shard["column_encodings"], sizes, strict=True):
        values[name] = _mds_value(encoding, content[at : at + size])
        at += size
    assert at == len(content)
    return values


def _mds_value(encoding: str, content: bytes) -> Any:
    if encoding == "int":
        return struct.unpack("<q", content)[0]
    if encoding == "str":
        return content.decode()
    if encoding == "ndarray:int32":
        width = 1 << (content[0] & 3)
        assert content[0] >> 2 == 1
        values = np.frombuffer(content[1 + width :], "<i4").tolist()
        assert int.from_bytes(content[1 : 1 + width], "little") == len(values)
        return values
    assert encoding.startswith("ndarray:int32:")
    return np.frombuffer(content, "<i4").tolist()


def expected_samples(mixture: Mixture) -> list[dict[str, Any]]:
    return [
        {
            "cross_document": int(row.cross),
            "document_starts": row.starts,
            "n_tokens": row.n_tokens,
            "sequence": number,
            "stage": row.stage,
            "tokens": row.padded(mixture.length),
        }
        for number, row in enumerate(mixture.rows)
    ]


def test_mds_holds_every_sequence_in_order(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "mds")
    assert read_mds(tmp_path / "out") == expected_samples(mixture)


def test_mds_shards_are_no_larger_than_the_limit(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_mds, "SHARD_BYTES", 2000)
    record = run(mixture, tmp_path / "out", "mds")
    sizes = [size for name, size in record.files.items() if name.endswith(".mds")]
    assert len(sizes) > 3
    assert max(sizes) <= 2000
    assert min(sizes[:-1]) > 1700
    assert read_mds(tmp_path / "out") == expected_samples(mixture)


def test_mds_arrays_of_many_documents(tmp_path: Path) -> None:
    for size in (1, 255, 256, 65535, 65536):
        values = np.arange(size, dtype=np.int32)
        assert _mds_value("ndarray:int32", export_mds._array(values)) == values.tolist()


def read_ds(path: Path) -> tuple[list[int], list[int], list[str]]:
    about = Path(f"{path}.metadata").read_text().splitlines()
    kind = {"2": "<u2", "4": "<u4"}[about[0].split("|")[1]]
    return (
        np.frombuffer(path.read_bytes(), kind).tolist(),
        np.frombuffer(Path(f"{path}.index").read_bytes(), "<u8").tolist(),
        about,
    )


@pytest.mark.parametrize("per_file", [1000, 6])
def test_datatrove_files_hold_whole_sequences(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_file: int
) -> None:
    monkeypatch.setattr(export_datatrove, "FILE_TOKENS", per_file * mixture.length)
    run(mixture, tmp_path / "out", "datatrove")
    found, paths = list[list[int]](), sorted((tmp_path / "out").glob("*.ds"))
    for path in paths:
        ids, ends, about = read_ds(path)
        windows = [ids[at : at + mixture.length] for at in range(0, len(ids), mixture.length)]
        assert len(windows) <= per_file
        assert ends[-1] == len(ids) == int(about[1])
        assert set(range(mixture.length, len(ids), mixture.length)) <= set(ends)
        found += windows
    assert found == mixture.ids.tolist()
    assert [path.name.split("_")[1] for path in paths] == sorted(path.name.split("_")[1] for path in paths)
    if per_file == 6:
        assert len(paths) > 10


def test_datatrove_by_document_leaves_padding_out(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "datatrove", documents=True, stage="stage2")
    ids, ends, about = read_ds(tmp_path / "out" / "00000_stage2.ds")
    spans = [list(span.ids) for row in mixture.of("stage2") for span in row.spans]
    assert [ids[a:b] for a, b in zip([0, *ends], ends, strict=False)] == spans
    assert about == ["tokenizer.json|2", str(len(ids)), f"{len(ids)} T"]


@pytest.mark.parametrize(
    ("n_tokens", "said"), [(7, "7 T"), (1000, "1.00 kT"), (12_345, "12.3 kT"), (2_700_000_000_000, "2.70 TT")]
)
def test_datatrove_counts_for_people(n_tokens: int, said: str) -> None:
    assert export_datatrove._metric(n_tokens) == said


def test_sequences_whose_documents_were_taken_down(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture", emptied=(0, 1, 5, 86))
    for documents in (False, True):
        wanted = [list(span.ids) for row in mixture.of("stage1") for span in row.spans]
        run(mixture, tmp_path / "out", "megatron", documents=documents)
        entries = read_megatron(tmp_path / "out" / "stage1")[1]
        assert entries == (wanted if documents else [row.padded(mixture.length) for row in mixture.of("stage1")])
        run(mixture, tmp_path / "out", "datatrove", documents=documents)
        ids, ends, _ = read_ds(tmp_path / "out" / "00000_stage1.ds")
        pieces = [ids[a:b] for a, b in pairwise([0, *ends])]
        assert [piece for piece in pieces if any(piece)] == wanted
        assert all(pieces)
    run(mixture, tmp_path / "out", "mds")
    assert read_mds(tmp_path / "out") == expected_samples(mixture)


def test_held_out_documents_can_be_exported(mixture: Mixture, tmp_path: Path) -> None:
    record = run(mixture, tmp_path / "out", "megatron", split="validation")
    assert record.stages == ["validation"]
    _, entries, _, _ = read_megatron(tmp_path / "out" / "validation")
    assert entries == [row.padded(mixture.length) for row in mixture.held_out]


def test_a_stage_alone(mixture: Mixture, tmp_path: Path) -> None:
    record = run(mixture, tmp_path / "out", "mds", stage="stage2")
    assert record.n_sequences == len(mixture.of("stage2"))
    assert [sample["stage"] for sample in read_mds(tmp_path / "out")] == ["stage2"] * record.n_sequences


def token_fracs(mixture: Mixture, stage: str) -> dict[str, float]:
    counts = {source: taken(mixture.of(stage), source)[0] for source in ("ko", "en")}
    return {source: count / sum(counts.values()) for source, count in counts.items()}


def test_olmo_core_sources(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "olmo-core", paths="s3://bucket/{source}/*.npy")
    for stage in ("stage1", "stage2"):
        spec = yaml.safe_load((tmp_path / "out" / f"{stage}.yaml").read_text())
        assert list(spec) == ["sources"]
        fracs = {source["source_name"]: source["target_ratio"] for source in spec["sources"]}
        assert fracs == pytest.approx(token_fracs(mixture, stage))
        assert sum(fracs.values()) == pytest.approx(1)
        assert [source["paths"] for source in spec["sources"]] == [["s3://bucket/ko/*.npy"], ["s3://bucket/en/*.npy"]]
        assert [(of["max_repetition_ratio"], of["max_source_fraction"]) for of in spec["sources"]] == [
            (4.0, 1.0),
            (1.0, 0.5),
        ]


def test_megatron_blend(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "megatron-blend", paths="data/{source}_text")
    words = (tmp_path / "out" / "stage2.txt").read_text().split()
    assert words[1::2] == ["data/ko_text", "data/en_text"]
    assert dict(zip(("ko", "en"), map(float, words[::2]), strict=True)) == pytest.approx(
        token_fracs(mixture, "stage2")
    )
    with pytest.raises(RequestError, match="white space"):
        run(mixture, tmp_path / "out", "megatron-blend", paths="my data/{source}")


def test_interleave_draws_documents(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "hf-interleave")
    spec = json.loads((tmp_path / "out" / "stage1.json").read_text())
    counts = [taken(mixture.of("stage1"), source)[1] for source in ("ko", "en")]
    assert counts == [20, 20]
    assert spec["probabilities"] == pytest.approx([count / sum(counts) for count in counts])
    assert spec["n_documents"] == sum(counts)
    assert spec["seed"] == 7
    korean, english = spec["sources"]
    assert (korean["format"], korean["data_files"]) == ("parquet", ["/data/ko-0.parquet", "/data/ko-1.parquet"])
    assert (english["format"], english["data_files"]) == ("json", ["/data/en.jsonl.zst"])
    assert korean["where"] == "edu_score >= 3"
    assert english["repeat"] == 1
    assert korean["repeat"] in (2, 3)


def test_interleave_drives_the_real_library(mixture: Mixture, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for source in ("ko", "en"):
        lines = [json.dumps({"text": f"{source} {number}"}) for number in range(60)]
        (tmp_path / f"{source}.jsonl").write_text("\n".join(lines))
    run(mixture, tmp_path / "out", "hf-interleave", paths=f"{tmp_path}/{{source}}.jsonl")
    spec = json.loads((tmp_path / "out" / "stage1.json").read_text())
    parts = [
        datasets.load_dataset(of["format"], data_files=of["data_files"], split="train", streaming=True).repeat(
            of["repeat"]
        )
        for of in spec["sources"]
    ]
    mixed = datasets.interleave_datasets(
        parts, probabilities=spec["probabilities"], seed=spec["seed"], stopping_strategy=spec["stopping_strategy"]
    )
    texts = [row["text"] for row in mixed.take(spec["n_documents"])]
    assert len(texts) == 40
    assert {text.split()[0] for text in texts} == {"ko", "en"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "mds", "documents": True}, "--documents is for megatron and datatrove"),
        ({"format": "mds", "paths": "x/{source}"}, "--paths is for olmo-core"),
        ({"format": "olmo-core", "split": "validation"}, "--split is for token formats"),
        ({"format": "olmo-core", "paths": "x"}, "write {source} where the name of the source stands"),
        ({"format": "mds", "stage": "other"}, "no stage 'other'"),
    ],
)
def test_options_that_do_not_fit(mixture: Mixture, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    options = {"mixture": str(mixture.path), "output": str(tmp_path / "out"), **changes}
    with pytest.raises(RequestError, match=said):
        export(Export(**options))
    assert not list(tmp_path.iterdir())


def test_words_that_name_nothing() -> None:
    with pytest.raises(RequestError, match="no format 'bin'; valid: megatron, mds, datatrove, olmo-core"):
        requested("m", "bin", "o", "train", None, False, None)
    with pytest.raises(RequestError, match="no split 'test'; valid: train, validation"):
        requested("m", "mds", "o", "test", None, False, None)


def test_to_and_from_another_filesystem(mixture: Mixture, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{mixture.path}/", "memory://exported/mixture/", recursive=True)
    for format_ in FORMATS:
        run(mixture, tmp_path / "here", format_)
        for _ in range(2):  # and in the place of an earlier one
            export(Export("memory://exported/mixture", format_, "memory://exported/there"))
        there = {
            path.rsplit("/", 1)[1]: memory.cat(path) for path in memory.ls("memory://exported/there", detail=False)
        }
        assert there == {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert sorted(memory.ls("memory://exported", detail=False)) == ["/exported/mixture", "/exported/there"]
    with pytest.raises(RequestError, match="name a folder in it"):
        export(Export(str(mixture.path), "mds", "memory://exported"))
    memory.rm("memory://exported", recursive=True)


def test_another_export_replaces_what_was_there(mixture: Mixture, tmp_path: Path) -> None:
    run(mixture, tmp_path / "out", "megatron")
    run(mixture, tmp_path / "out", "datatrove", stage="stage1")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["00000_stage1.ds", "00000_stage1.ds.index", "00000_stage1.ds.metadata", "export.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_of_others_are_not_touched(mixture: Mixture, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match=r"holds what no export wrote \(mine.txt\)"):
        run(mixture, tmp_path / "out", "mds")
    run(mixture, tmp_path / "other", "mds")
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match=r"holds what no export wrote \(mine.txt\)"):
        run(mixture, tmp_path / "other", "mds")
    with pytest.raises(RequestError, match="is a file"):
        run(mixture, tmp_path / "out" / "mine.txt", "mds")


def test_an_export_that_fails_leaves_nothing_and_the_old_one(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mixture, tmp_path / "out", "mds")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def stop(done: int, total: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(Export(str(mixture.path), "megatron", str(tmp_path / "out")), stop)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_export_left_goes(mixture: Mixture, tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "shard.00099.mds").write_bytes(b"half")
    record = run(mixture, tmp_path / "out", "mds")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*record.files, "export.json"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_record_says_of_what(mixture: Mixture, tmp_path: Path, format_: str) -> None:
    record = run(mixture, tmp_path / "out", format_)
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == record.model_dump()
    assert record.fingerprint == "5" * 32
    assert record.tokenizer_digest == "d" * 32
    assert record.files == {
        path.name: path.stat().st_size for path in (tmp_path / "out").iterdir() if path.name != "export.json"
    }
    if format_ in ("megatron", "mds", "datatrove"):
        assert record.n_tokens == sum(row.n_tokens for row in mixture.rows)
        assert record.n_sequences == len(mixture.rows)
