"""A whole search of a small mixture, and what the command says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import onggi
from manifests.engine import Workers
from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from tests.curation.mixture import small
from tests.training import tiny
from tests.training.searching import mixtures
from training.searching import best
from training.searching.results import SearchResults
from training.searching.search import search, weights_yaml

PROXIES = "proxies.jsonl"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "BOOTSTRAPS", 10)
    monkeypatch.setattr(best, "TOP_FRAC", 0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path) -> Path:
    """Korean, English and letters, with a Korean target; searches of other manifests share its store."""
    folder = tmp_path_factory.mktemp("search")
    letters = [chr(97 + k) for k in range(26)]
    small.parquet(folder / "data/letters.parquet", small.rows(150, "zz", letters, (40, 60)))
    tiny.write_jsonl(folder / "target.jsonl", small.rows(60, "new", small.KOREAN))
    sources = [{"name": name, "path": f"data/{name}.parquet", "category": name} for name in ("ko", "en", "letters")]
    model = mixtures.MODEL | {"tokens": 5000, "learning_rate": 1e-2}
    settings = mixtures.SEARCH | {
        "proxies": 12, "model": model, "targets": [{"name": "korean", "path": "target.jsonl"}]
    }  # fmt: skip
    output = {"path": "out", "store": "store"}
    mixtures.lay_out(folder, tiny_tokenizer, sources=sources, search=settings, output=output)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> SearchResults:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "BOOTSTRAPS", 10)
        patch.setattr(best, "TOP_FRAC", 0.01)
        return search(mixtures.job(folder / "mix.yaml"))


def test_what_helps_is_found(found: SearchResults, folder: Path) -> None:
    """The Korean source for a Korean target; all files tell the same."""
    assert found.weights["ko"] == max(found.weights.values()) > 0.6 and found.weights["letters"] < 0.25
    assert sum(found.weights.values()) == pytest.approx(1)
    assert all(source.low <= source.weight <= source.high for source in found.sources)
    checks = {check.name: check for check in found.checks}
    assert set(checks) == {"natural", "uniform", "best"}
    assert checks["best"].real_mean < min(checks["natural"].real_mean, checks["uniform"].real_mean)
    (target,) = found.targets
    assert len(target.real) == len(target.foretold) == found.n_proxies == 12
    assert checks["best"].real_mean == pytest.approx(checks["best"].real["korean"])
    there = folder / "out/search"
    assert {path.name for path in there.iterdir()} == {"results.json", "report.html", "weights.yaml", "proxies.jsonl"}
    assert SearchResults.model_validate_json((there / "results.json").read_bytes()) == found
    assert yaml.safe_load((there / "weights.yaml").read_text())["weights"] == pytest.approx(found.weights)
    assert len((there / PROXIES).read_bytes().splitlines()) == 15
    assert not (folder / "out/run.json").exists()  # no mixture
    letters = next(source for source in found.sources if source.name == "letters")
    assert 0 < letters.proxy_epochs < 10 and ("letters: small models" in " ".join(found.words)) == (
        letters.proxy_epochs > 1.05
    )


def test_the_weights_make_a_mixture(found: SearchResults, folder: Path) -> None:
    manifest = yaml.safe_load((folder / "mix.yaml").read_text())
    weights = yaml.safe_load(weights_yaml(found.weights))["weights"]
    manifest |= {"stages": [{"name": "all", "tokens": min(2000, found.fits_tokens), "weights": weights}]}
    (folder / "next.yaml").write_text(yaml.safe_dump(manifest))
    record = small.mixed(folder / "next.yaml", str(folder / "next"))
    assert record.counts["tokens"] >= min(2000, found.fits_tokens)


def test_the_same_again_trains_nothing(found: SearchResults, folder: Path) -> None:
    again = search(mixtures.job(folder / "mix.yaml"))
    assert again.n_resumed == 15
    left_out = {"created", "n_resumed", "seconds"}
    assert again.model_dump(exclude=left_out) == found.model_dump(exclude=left_out)


def test_what_there_is_too_little_of(found: SearchResults, folder: Path) -> None:
    """Weights that a budget cannot meet are not proposed; what would be needed is told."""
    ko = next(source for source in found.sources if source.name == "ko")
    budget = int(ko.n_tokens / 0.5)
    limited = search(mixtures.job(folder / "mix.yaml", Workers(), f"tokens={budget}"))
    of = next(source for source in limited.sources if source.name == "ko")
    assert of.unlimited > 0.6 and of.weight <= 0.5 and of.epochs is not None and of.epochs <= 1.0001
    assert of.epochs_unlimited == pytest.approx(of.unlimited * 2, rel=0.01)
    assert limited.fits_tokens >= budget - 1
    assert any("ko: the best weight would be" in said and "`epochs_max` is 1" in said for said in limited.words)
    more = search(mixtures.job(folder / "mix.yaml", Workers(), f"tokens={budget}", "sources.0.epochs_max=3"))
    assert more.weights["ko"] > 0.6
    much = search(mixtures.job(folder / "mix.yaml", Workers(), "tokens=100M"))
    assert any("no weights reach it" in said for said in much.words)


def test_what_cannot_be_searched(folder: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    one = [{"name": "ko", "path": "data/ko.parquet", "category": "ko"}]
    with pytest.raises(RequestError, match="sources: there is only one"):
        search(mixtures.job(mixtures.lay_out(tmp_path, tiny_tokenizer, sources=one)))
    of = mixtures.job(folder / "mix.yaml", Workers(scheduler="tcp://head:8786"))
    with pytest.raises(RequestError, match="give --workers instead of --scheduler"):
        search(of)
    for change, said in (
        ("num_attention_heads=3", "multiple of 6"),
        ("num_attention_heads=16", "multiple of 32"),  # of one dimension each, which cannot be turned
        ("tokens=31", "less than one sequence"),
    ):
        with pytest.raises(RequestError, match=said):
            mixtures.job(folder / "mix.yaml", Workers(), f"search.model.{change}")


def test_held_out_text_of_each_category_is_the_target_by_default(tmp_path: Path, tiny_tokenizer: Path) -> None:
    """And a store of another tokenizer is no use: all is tokenised anew, and models are trained anew."""
    path = mixtures.lay_out(tmp_path, tiny_tokenizer)
    found = search(mixtures.job(path))
    assert [(target.name, target.weight) for target in found.targets] == [("ko", 0.5), ("en", 0.5)]
    best_of = next(check for check in found.checks if check.name == "best")
    assert best_of.real_mean == pytest.approx(float(np.sqrt(best_of.real["ko"] * best_of.real["en"])))
    other = small.tokenizer(tmp_path / "other")
    again = search(mixtures.job(mixtures.lay_out(tmp_path, other)))
    assert again.n_resumed == 0 and again.n_ids != found.n_ids


def test_the_command(
    found: SearchResults, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", "mix", "mix.yaml", *arguments])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    code, said, _ = run("--search")
    assert code == 0 and weights_yaml(found.weights) in said and "out/search/report.html" in said
    code, said, _ = run("--search", "--json")
    shown: dict[str, Any] = json.loads(said)
    assert code == 0 and shown["sources"][0]["weight"] == found.weights["ko"]
    code, _, said = run("--search", "--plan")
    assert code == 2 and "--plan and --search: give one" in said
    assert load_kind(MixtureManifest, "mix.yaml").search.proxies == 12
