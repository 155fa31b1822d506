"""What docs/mixtures.md begins with: from the bundled sample to a trainer's files, command by command."""

import re
from pathlib import Path
from shlex import split

import polars as pl
import pytest
from typer.testing import CliRunner

from manifests.house import HOME
from manifests.record import read_record
from manifests.store import Folder
from onggi import app

GUIDE = (HOME / "docs" / "mixtures.md").read_text("utf-8")
MINUTE = GUIDE.partition("## A mixture in a minute")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^onggi (.*)$", "\n".join(re.findall(r"```bash\n(.*?)```", MINUTE, re.S)), re.M)
[MANIFEST] = re.findall(r"```yaml\n(.*?)```", MINUTE, re.S)
[SAID] = re.findall(r"```\n(broad: .*?)```", MINUTE, re.S)


def onggi(command: str) -> str:
    result = CliRunner().invoke(app, split(command, comments=True), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_mixture_in_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    monkeypatch.chdir(tmp_path)
    Path("first.yaml").write_text(MANIFEST, "utf-8")
    said = [onggi(command) for command in COMMANDS]
    assert [command.split()[0] for command in COMMANDS] == ["demo", "tokenizer", "mix", "mix", "explain", "export"]
    planned, mixed, explained, exported = said[2:]

    assert "broad: 120,000 tokens: korean 40.0%, english 60.0%" in planned
    shown = re.findall(r"^(korean|english) +(\S+) +", SAID, re.M)
    assert re.findall(r"^(korean|english) +(\S+) +", mixed, re.M) == shown
    ledger = pl.read_parquet("out/first/ledger/*.parquet").filter(pl.col("stage") != "validation")
    for stage, asked in (("broad", 0.4), ("fine", 0.75)):
        of = ledger.filter(pl.col("stage") == stage)
        korean = of.filter(pl.col("category") == "korean")["n_tokens"].sum() / of["n_tokens"].sum()
        assert korean == pytest.approx(asked, abs=0.03)  # a document is some percent of so few tokens

    assert re.search(r"^broad +0 +0 +\S+ +[0-9a-f]{32} ", explained, re.M)
    assert "broad.bin" in exported and Path("out/megatron/fine.idx").is_file()
    assert Path("out/first/report.html").stat().st_size > 10_000
    assert read_record(Folder(str(tmp_path / "out/first")), kind=None).kind == "mixture"
    _reads_as_shown()


def _reads_as_shown() -> None:
    """The snippet that reads the sequences, and the SQL over the ledger."""
    [snippet] = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    values = dict[str, object]()
    exec(compile(snippet, "guide", "exec"), values)
    assert len(values["row"]["input_ids"]) == 1024  # type: ignore[index]
    assert values["end"] == values["row"]["n_tokens"]  # type: ignore[index]
    duckdb = pytest.importorskip("duckdb")
    [sql] = re.findall(r"```sql\n(.*?)```", GUIDE, re.S)
    for statement in duckdb.extract_statements(sql):
        assert duckdb.sql(statement.query).fetchall()
