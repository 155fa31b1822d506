"""Each recipe of a mixture runs on a user's own files, and its shares come out as published."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curation.mixture.pipeline import mix
from curation.mixture.survey import prepare
from manifests.load import load_kind
from manifests.recipes import find_manifest, list_recipes
from manifests.schema_mixture import MixtureManifest
from tests.curation.tokens.small import byte_level

RECIPES = [
    recipe.name for recipe in list_recipes() if recipe.name.startswith(("kanana", "dna")) and recipe.kind == "mixture"
]
SMALL = 200_000
"""Tokens of the smallest stage."""


def lay_out(folder: Path, manifest: MixtureManifest) -> None:
    """Files where the recipe looks for them, with more than enough documents."""
    rng = np.random.default_rng(1)
    words = ["정부", "자료", "the", "of", "data", "mixture", "토큰", "문서"]
    for number, source in enumerate(manifest.sources):
        path = folder / str(source.path or f"files/{source.name}.parquet").replace("*", "part")
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [" ".join(rng.choice(words, rng.integers(5, 90))) + f" {number} {k}" for k in range(1500)]
        frame = pl.DataFrame({"text": texts, "license": "MIT"})
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_ndjson(path, compression="zstd")
    byte_level(folder)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text(Path(find_manifest(name)).read_text("utf-8"), "utf-8")
    whole = load_kind(MixtureManifest, str(tmp_path / "mix.yaml"))
    lay_out(tmp_path, whole)
    overrides = [f"stages.{stage.name}.tokens={SMALL}" for stage in whole.stages] + ["sequence_length=512"]
    for source in whole.sources:  # files in the place of runs: test_categories makes those
        if source.run:
            place = f"sources.{source.name}"
            overrides += [f"{place}.run=null", f"{place}.path=files/{source.name}.parquet", f"{place}.where=null"]
    manifest = load_kind(MixtureManifest, str(tmp_path / "mix.yaml"), overrides)
    record = mix(prepare(manifest, str(tmp_path)))
    for stage, made in zip(manifest.stages, record.stages, strict=True):
        weights = stage.weights or {}
        category = {source.name: source.category for source in manifest.sources}
        asked, taken = dict.fromkeys(category.values(), 0.0), dict.fromkeys(category.values(), 0.0)
        for of, weight in weights.items():
            asked[category.get(of, of)] += weight / sum(weights.values())
        for of, n_tokens in made.taken.items():
            taken[category[of]] += n_tokens / made.n_tokens
        assert 0 <= made.overshoot < 512
        assert taken == pytest.approx(asked, abs=512 / made.n_tokens)  # a piece of a document


def test_a_category_may_have_nothing(tmp_path: Path) -> None:
    """As where a condition leaves nothing of a source that no stage weighs."""
    recipe = find_manifest("kanana-1.5")
    lay_out(tmp_path, load_kind(MixtureManifest, recipe))
    overrides = [
        "sources.maths.where=license = 'none'",
        "stages.additional={name: additional, tokens: 100K, weights: {korean: 1}}",
        "sequence_length=512",
    ]
    record = mix(prepare(load_kind(MixtureManifest, recipe, overrides), str(tmp_path)))
    assert [source.n_documents > 0 for source in record.sources] == [True, True, True, False]
    assert set(record.validation) == {"english", "korean", "code"}
