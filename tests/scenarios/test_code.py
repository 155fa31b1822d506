"""Code from repositories to a corpus: licences, kinds of files and near-duplicates decide, secrets are masked."""

from pathlib import Path

import polars as pl
import pytest

from curation.pipeline import curate
from tests.curation.code_archives import below, lay, tar, zipped
from tests.curation.test_read_code import MIT
from tests.scenarios.runs import job_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pages")]

MANIFEST = """
kind: corpus
name: code
inputs: [{source: code, path: repositories, format: code, code: {headers: drop_copyright}}]
measure: {signals: true, pii: {kinds: [email, secret]}}
rules: [{ruleset: code}]
dedup: {near: {jaccard: 0.7, bands: auto, permutations: 256}}
redact: {mode: placeholder}
output: {path: out, shard_bytes: 100_000}
"""
WORDS = [
    "jar",
    "lid",
    "salt",
    "cabbage",
    "chilli",
    "clay",
    "kiln",
    "glaze",
    "paste",
    "soy",
    "bean",
    "ferment",
    "winter",
    "summer",
    "store",
    "shade",
]
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY5z7B"


def module(seed: int) -> str:
    """A module of functions that differ from seed to seed."""
    names = [WORDS[(seed * 7 + i * i) % len(WORDS)] + f"_{seed}_{i}" for i in range(12)]
    return "\n".join(
        f"def {name}(amount, days):\n    # 장독 {seed * i}\n    return amount * {seed + i} + days * {i}\n"
        for i, name in enumerate(names)
    )


def test_from_repositories_to_a_corpus(tmp_path: Path) -> None:
    pytest.importorskip("licensedcode")
    free = {
        "LICENSE": MIT,
        "src/one.py": f"# Copyright 2024 Kim\n\n{module(3)}".encode(),
        "src/copy.py": module(3).replace("amount", "quantity", 1).encode(),
        "src/key.py": f"{module(5)}\nTOKEN = '{TOKEN}'\n".encode(),
        "src/euckr.c": f"/* {'장독대의 소금을 센다 ' * 3}*/\n{module(8)}".encode("cp949"),
        "src/a_pb2.py": module(9).encode(),
        "src/long.py": f"x = '{'a b ' * 400}'\n{module(11)}".encode(),
        "tests/test_one.py": module(13).encode(),
        "README.md": b"# Jars\n",
        "src/gpl.py": f"# SPDX-License-Identifier: GPL-3.0-or-later\n{module(15)}".encode(),
    }
    secret = {"main.py": module(21).encode()}
    lay(tmp_path / "repositories", {"free-1.0.tar": tar(below("free", free)), "none.zip": zipped(secret)})
    (tmp_path / "code.yaml").write_text(MANIFEST)
    record = curate(job_of(tmp_path / "code.yaml"))

    ledger = pl.read_parquet(tmp_path / "out/ledger/*.parquet")
    reasons = {
        key: reason for key, reason in ledger.select("key", "reason").iter_rows() if reason != "near_duplicate"
    }
    assert {key.removeprefix("free-1.0/"): reason for key, reason in reasons.items() if reason} == {
        "LICENSE": "code.file_kind",
        "README.md": "code.file_kind",
        "src/a_pb2.py": "code.file_kind",
        "src/gpl.py": "code.license",
        "src/long.py": "code.line_chars_max",
        "none/main.py": "code.license",
    }
    documents = pl.read_parquet(tmp_path / "out/documents/*.parquet")
    texts = dict(documents.select("key", "text").iter_rows())
    assert len({"free-1.0/src/one.py", "free-1.0/src/copy.py"} & texts.keys()) == 1
    assert set(texts) >= {f"free-1.0/{name}" for name in ("src/key.py", "src/euckr.c", "tests/test_one.py")}
    assert "TOKEN = '<SECRET>'" in texts["free-1.0/src/key.py"] and "소금을" in texts["free-1.0/src/euckr.c"]
    assert not any("Copyright" in text for text in texts.values())
    assert set(documents["license"]) == {"MIT"} and set(documents["category"]) == {"code"}
    assert record.pii["secret"]["n_masked"] == 1
    assert ledger.schema["pii_counts"].fields[-1].name == "secret"  # type: ignore[attr-defined]
