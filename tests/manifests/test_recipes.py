"""Recipes: each is a manifest that loads, says what it is, and can be found."""

from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.load import any_manifest, load_kind
from manifests.recipes import find_manifest, list_recipes, read_recipe
from manifests.schema_mixture import MixtureManifest

NAMES = [recipe.name for recipe in list_recipes()]


def test_what_the_command_line_speaks_of_is_there() -> None:
    assert {"demo", "minimal"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recipe_loads(name: str) -> None:
    manifest = any_manifest(find_manifest(name))
    assert manifest.name == name.replace(".", "_")  # a manifest's name has no dot


def fractions(manifest: MixtureManifest, stage: str) -> dict[str, float]:
    """The share of each category in a stage, by the weights of categories and sources in it."""
    [weights] = [of.weights for of in manifest.stages if of.name == stage]
    assert weights is not None
    categories = {source.category for source in manifest.sources}
    category = {source.name: source.category for source in manifest.sources} | {name: name for name in categories}
    shares: dict[str, float] = {}
    for name, weight in weights.items():
        shares[category[name]] = shares.get(category[name], 0) + weight / sum(weights.values())
    return shares


STAGE_1 = {"english_web": 67.8, "korean_web": 9.6, "academic": 8.7, "code": 12.8, "encyclopedia": 1.0}
STAGE_2 = {
    "english_web": 5.3, "korean_web": 20.5, "academic": 35.8, "code": 34.3, "encyclopedia": 2.4, "instruction": 1.8
}  # fmt: skip
"""Figure 2 of arXiv 2502.18934, percent."""

PUBLISHED = [
    ("kanana-stage1", "stage1", 2_700_000_000_000, STAGE_1),
    ("kanana-stage2", "stage2", 300_000_000_000, STAGE_2),
    ("kanana", "stage1", 2_700_000_000_000, STAGE_1),
    ("kanana", "stage2", 300_000_000_000, STAGE_2),
    ("kanana-dus-cpt", "stage1", 100_000_000_000, STAGE_1),
    ("kanana-dus-cpt", "stage2", 100_000_000_000, STAGE_2),
    ("kanana-1.5", "additional", 100_000_000_000, {"english": 35, "korean": 35, "code": 15, "maths": 15}),
    ("dna-cpt", "cpt", 4_700_000_000, {"korean": 100}),
]


@pytest.mark.parametrize(("recipe", "stage", "n_tokens", "percent"), PUBLISHED)
def test_mixtures_are_those_that_were_published(
    recipe: str, stage: str, n_tokens: int, percent: dict[str, float]
) -> None:
    manifest = load_kind(MixtureManifest, find_manifest(recipe))
    assert [of.tokens for of in manifest.stages if of.name == stage] == [n_tokens]
    total = sum(percent.values())
    assert 99.8 < total < 100.2
    shares = fractions(manifest, stage)
    assert shares == pytest.approx({name: share / total for name, share in percent.items()}, abs=1e-12)
    assert all(abs(100 * shares[name] - share) < 0.1 for name, share in percent.items())  # point of a percent


@pytest.mark.parametrize("recipe", sorted({recipe for recipe, *_ in PUBLISHED}))
def test_a_mixture_points_at_the_data_of_its_user(recipe: str) -> None:
    overrides = ["stages.0.tokens=20M", "sources.0.path=mine/*.parquet", "tokenizer=mine.model", "output=elsewhere"]
    if load_kind(MixtureManifest, find_manifest(recipe)).sources[0].run:
        overrides += ["sources.0.run=null"]
    manifest = load_kind(MixtureManifest, find_manifest(recipe), overrides)
    assert manifest.stages[0].tokens == 20_000_000
    assert (manifest.sources[0].path, manifest.tokenizer.path) == ("mine/*.parquet", "mine.model")
    assert all(not source.path.startswith("/") for source in manifest.sources if source.path)


def test_summary_is_the_first_sentence() -> None:
    for recipe in list_recipes():
        assert recipe.summary[0].isupper() and recipe.summary.endswith(".")
        assert read_recipe(recipe.name).startswith("# " + recipe.summary[:60])


def test_paths_and_urls_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_manifest("s3://bucket/web.yaml") == "s3://bucket/web.yaml"
    assert find_manifest("missing.yml") == "missing.yml"  # loading says that it is not there
    monkeypatch.chdir(tmp_path)
    Path("demo").write_text("", "utf-8")
    assert find_manifest("demo") == "demo"  # a file of the user's comes before a recipe


def test_unknown_recipe() -> None:
    with pytest.raises(RequestError) as caught:
        find_manifest("demmo")
    assert "no file and no recipe `demmo`; did you mean `demo`? recipes: ablate-annealing, " in str(caught.value)
    with pytest.raises(RequestError, match="no recipe"):
        read_recipe("../schema")
