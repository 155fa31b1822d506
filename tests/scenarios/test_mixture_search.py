"""What docs/mixture-search.md begins with, command by command; and sources that were planted among real ones."""

import re
from pathlib import Path
from shlex import split

import pytest
import yaml
from typer.testing import CliRunner

from manifests.house import HOME
from onggi import app
from training.searching.results import SearchResults

GUIDE = (HOME / "docs" / "mixture-search.md").read_text("utf-8")
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.S) for kind in ("yaml", "bash")}
MINUTE = (HOME / "docs" / "mixtures.md").read_text("utf-8").partition("## A mixture in a minute")[2]


def onggi(command: str) -> str:
    result = CliRunner().invoke(app, split(command, comments=True), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow  # processes that load torch
def test_the_guide_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in re.findall(r"^onggi ((?:demo|tokenizer).*)$", MINUTE, re.M)[:2]:
        onggi(command)
    Path("searched.yaml").write_text(BLOCKS["yaml"][0], "utf-8")
    once, again, more = (onggi(command) for command in re.findall(r"^onggi (.*)$", BLOCKS["bash"][0], re.M))
    assert once == again != more
    found = SearchResults.model_validate_json(Path("out/searched/search/results.json").read_bytes())
    assert found.n_proxies == 24 and found.n_resumed >= 14
    weights = yaml.safe_load(Path("out/searched/search/weights.yaml").read_text())["weights"]
    stage = yaml.safe_load(BLOCKS["yaml"][1])["stages"][0]
    assert weights.keys() == stage["weights"].keys()
    manifest = yaml.safe_load(BLOCKS["yaml"][0]) | {"stages": [stage | {"weights": weights}], "output": "out/mixed"}
    Path("mixed.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    assert "broad: 120," in onggi("mix mixed.yaml")


@pytest.mark.slow
def test_planted_sources_are_found(tmp_path: Path, shared_data: Path) -> None:
    """A source like the target gets the most of all, or as much as any of so few models had of it; one of random
    letters gets next to nothing. The benchmark does it with three seeds and more, larger models."""
    from benchmarks.mixture_search import USEFUL, USELESS, make_tokenizer, run, write_sources
    from training.searching.words import check_named

    write_sources(tmp_path / "data", shared_data / "text")
    make_tokenizer(tmp_path / "tokenizer", tmp_path / "data")
    found = run(tmp_path, "fast", 0, 1)
    (useful,) = (source for source in found.sources if source.name == USEFUL)
    most = min(useful.seen_high, max(found.weights.values()))
    assert found.weights[USEFUL] >= most - 1e-3 and found.weights[USELESS] < 0.05
    losses = {name: check_named(found, name).real_mean for name in ("best", "natural", "uniform")}
    assert min(losses, key=lambda name: losses[name]) == "best"
