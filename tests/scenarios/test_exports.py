"""Exports of a mixture, read back by the readers of those who train on them.

`make readers` builds their environment; ONGGI_READERS_PYTHON names the Python of another one.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.mixture import export_datatrove, export_mds
from curation.mixture.export import Export, export
from tests.conftest import REPOSITORY
from tests.curation.mixture.mixtures import EOD, PAD, Mixture, write_mixture

pytestmark = pytest.mark.slow

PYTHON = Path(os.environ.get("ONGGI_READERS_PYTHON", REPOSITORY / ".venv-readers" / "bin" / "python"))


@pytest.fixture(scope="module", params=[300, 100_000], ids=["two bytes", "four bytes"])
def mixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    if not PYTHON.exists():
        pytest.skip(
            f"no readers at {PYTHON}: `make readers` builds them, or ONGGI_READERS_PYTHON says where they are"
        )
    return write_mixture(tmp_path_factory.mktemp("mixture"), vocab_size=request.param, n_documents=(120, 60))


def token_size(mixture: Mixture) -> int:
    return 2 if mixture.ids.max() < 1 << 16 else 4


def write(mixture: Mixture, folder: Path, format_: str, **options: Any) -> Path:
    export(Export(str(mixture.path), format_, str(folder), **options))  # type: ignore[arg-type]
    return folder


def read(reader: str, folder: Path, package: str, **options: object) -> Any:
    """What a reader finds; skips where it is not installed."""
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
    if subprocess.run([PYTHON, "-c", probe], check=False).returncode:
        pytest.skip(f"{package} is not among the readers")
    answer = folder.parent / f"{reader}.json"
    words = [f"{name}={value}" for name, value in options.items()]
    command = [
        str(PYTHON),
        "-W",
        "ignore",
        "tests/scenarios/read_exports.py",
        reader,
        str(folder),
        str(answer),
        *words,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(answer.read_text())


def test_megatron_reads_each_packed_sequence(mixture: Mixture, tmp_path: Path) -> None:
    folder = write(mixture, tmp_path / "out", "megatron")
    for stage in ("stage1", "stage2"):
        rows = mixture.of(stage)
        found = read("megatron", folder, "megatron", prefix=stage)
        assert found["entries"] == [row.padded(mixture.length) for row in rows]
        assert found["dtype"] == {2: "uint16", 4: "int32"}[token_size(mixture)]
        assert found["documents"] == list(range(len(rows) + 1))


def test_megatron_reads_each_document(mixture: Mixture, tmp_path: Path) -> None:
    folder = write(mixture, tmp_path / "out", "megatron", documents=True)
    found = read("megatron", folder, "megatron", prefix="stage2")
    assert found["entries"] == [list(span.ids) for row in mixture.of("stage2") for span in row.spans]


def test_a_sample_of_megatron_is_a_packed_sequence(mixture: Mixture, tmp_path: Path) -> None:
    """Its GPT dataset draws each sequence once, and finds documents in it by their ends."""
    folder = write(mixture, tmp_path / "out", "megatron")
    vocab = 300 if token_size(mixture) == 2 else 100_000
    found = read(
        "megatron-gpt", folder, "megatron", prefix="stage1", length=mixture.length, eod=EOD, pad=PAD, vocab=vocab
    )
    rows = {tuple(row.padded(mixture.length)): row for row in mixture.of("stage1")}
    assert Counter(tuple(of["tokens"]) for of in found["samples"]) == Counter(
        tuple(row.padded(mixture.length)) for row in mixture.of("stage1")
    )
    for sample in found["samples"]:
        row = rows[tuple(sample["tokens"])]
        ends = [start + len(span.ids) for start, span in zip(row.starts, row.spans, strict=True)]
        assert sample["labels"][: row.n_tokens - 1] == sample["tokens"][1 : row.n_tokens]
        assert sample["loss_mask"] == [1.0] * (row.n_tokens - 1) + [0.0] * (mixture.length - row.n_tokens + 1)
        for start, end in zip(row.starts, ends, strict=True):
            assert sample["position_ids"][start:end] == list(range(end - start))
        hidden = np.array(sample["attention_mask"])[0][: row.n_tokens, : row.n_tokens]
        of = np.repeat(np.arange(len(row.spans)), np.diff([0, *ends]))
        assert np.array_equal(~hidden, (of[:, None] == of) & np.tri(row.n_tokens, dtype=bool))


def test_streaming_reads_the_order_of_training(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_mds, "SHARD_BYTES", 4000)
    folder = write(mixture, tmp_path / "out", "mds")
    assert len(list(folder.glob("*.mds"))) > 3
    found = read("mds", folder, "streaming")
    wanted = [
        {
            "cross_document": int(row.cross),
            "document_starts": row.starts,
            "n_tokens": row.n_tokens,
            "sequence": number,
            "stage": row.stage,
            "tokens": row.padded(mixture.length),
            "dtypes": {"document_starts": "int32", "tokens": "int32"},
        }
        for number, row in enumerate(mixture.rows)
    ]
    assert found["by_number"] == found["iterated"] == found["loaded"] == wanted


def test_a_window_of_datatrove_is_a_packed_sequence(
    mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_datatrove, "FILE_TOKENS", 20 * mixture.length)
    folder = write(mixture, tmp_path / "out", "datatrove")
    found = read("datatrove", folder, "datatrove", window=mixture.length, token_size=token_size(mixture))
    assert found["windows"] == mixture.ids.tolist()
    for row, places in zip(mixture.rows, found["positions"], strict=True):
        bounds = [*row.starts, *sorted({row.n_tokens, mixture.length})]
        wanted = [place - max(bound for bound in bounds if bound <= place) for place in range(mixture.length)]
        assert places == wanted


def test_megatron_reads_the_blend(mixture: Mixture, tmp_path: Path) -> None:
    folder = write(mixture, tmp_path / "out", "megatron-blend", paths="/data/{source}_document")
    found = read("blend", folder, "megatron", name="stage1.txt")
    assert found["prefixes"] == ["/data/ko_document", "/data/en_document"]
    assert sum(found["weights"]) == pytest.approx(1)


def test_olmo_core_builds_a_mixture_of_the_sources(mixture: Mixture, tmp_path: Path) -> None:
    for source in ("ko", "en"):
        (tmp_path / source).mkdir()
        np.memmap(tmp_path / source / "part-0.npy", np.uint16, "w+", shape=100_000)[:] = 7
    folder = write(mixture, tmp_path / "out", "olmo-core", paths=f"{tmp_path}/{{source}}/*.npy")
    found = read("olmo", folder, "olmo_core", name="stage1.yaml", tokens=32_000, length=16)
    assert found["names"] == ["ko", "en"]
    assert sum(found["ratios"]) == pytest.approx(1)
    total = sum(found["tokens"].values())
    for name, ratio in zip(found["names"], found["ratios"], strict=True):
        assert found["tokens"][name] / total == pytest.approx(ratio, abs=0.001)
