"""`onggi tokenizer`: what a person sees."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import onggi
from tests.curation.tokens.small import byte_level
from tests.curation.tokens.test_train import ENGLISH, KOREAN
from tests.training.test_embeddings import model_of

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with texts; (exit code, stdout, stderr)."""
    rows = [f"{(KOREAN + ENGLISH)[n % 10]} {(KOREAN + ENGLISH)[n // 10 % 10]} {n}" for n in range(900)]
    pl.DataFrame({"text": rows}).write_parquet(tmp_path / "texts.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", "tokenizer", *arguments])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_train(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("train", "texts.parquet", "-o", "new", "--vocab-size", "400", "--korean", "50%")
    assert code == 0
    assert said.startswith("400 tokens in ") and "bytes per token" in said
    code, said, _ = run(
        "train", "texts.parquet", "-o", "other", "--vocab-size", "300", "--special", "<end>", "--json"
    )
    assert code == 0 and json.loads(said)["vocab_size"] == 300
    assert json.loads((tmp_path / "other/tokenizer_config.json").read_bytes())["eos_token"] == "<end>"


def test_extend_and_resize(run: Run, tmp_path: Path) -> None:
    byte_level(tmp_path / "old", ["<|endoftext|>"])
    code, said, _ = run("extend", "old", "texts.parquet", "-o", "new", "--add", "10")
    assert code == 0
    assert said.startswith("10 new tokens after 400 old ones: new") and "same ids" in said
    code, said, _ = run("extend", "old", "texts.parquet", "-o", "other", "--add", "10", "--json")
    assert code == 0 and json.loads(said)["vocab_size"] == 410
    assert (tmp_path / "new/tokenizer.json").read_bytes() == (tmp_path / "other/tokenizer.json").read_bytes()
    code, said, shown = run("resize", "model", "new", "-o", "resized")
    assert code == 2 and "cannot be read" in shown
    model_of(tmp_path / "model")
    code, said, shown = run("resize", "model", "new", "-o", "resized")
    assert code == 2 and "has 12 rows, and the tokenizer that was extended has 400 tokens" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere", "-o", "new"], "nowhere: there is no such file or folder"),
        (["train", "texts.parquet", "-o", "new", "--bytes", "many"], "--bytes: expected a number of bytes, such as"),
        (["train", "texts.parquet", "-o", "new", "--korean", "half"], "--korean half: write a share such as"),
        (["extend", "nowhere", "texts.parquet", "-o", "new"], "nowhere: there is no tokenizer"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: list[str], message: str) -> None:
    code, said, shown = run(*arguments)
    assert (code, said) == (2, "")
    assert message in shown


def test_texts_of_a_size() -> None:
    assert [onggi._n_bytes("--bytes", text) for text in ("1", "2K", "1.5M", "3GB", "1t")] == [
        1, 2_000, 1_500_000, 3_000_000_000, 10**12,
    ]  # fmt: skip
