"""Manifests of mixtures: how numbers are written, and that what does not fit together is said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_mixture import TOKENS_MAX, MixtureManifest, Share, Tokens

WHOLE = """\
kind: mixture
name: small
tokenizer: tokenizer.json
sequence_length: 64
sources:
  - {name: ko, path: "ko/*.parquet", category: korean}
  - {name: ko2, path: "ko2/*.parquet", category: korean}
  - {name: en, path: en, category: english}
stages:
  - {name: one, tokens: 18M, weights: {korean: 60, en: 40}}
  - {name: two, tokens: 2M, weights: {ko: 1}, amounts: {en: 500K}, transition: 1M}
output: out
"""

tokens, share = TypeAdapter(Tokens), TypeAdapter(Share)


def load(folder: Path, text: str) -> MixtureManifest:
    (folder / "mix.yaml").write_text(text)
    return load_kind(MixtureManifest, str(folder / "mix.yaml"))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("2.7T", 2_700_000_000_000),
        ("300B", 300_000_000_000),
        ("4.7B", 4_700_000_000),
        ("1_000", 1000),
        ("1.5K", 1500),
        (" 20 m ", 20_000_000),
        ("7", 7),
        (7, 7),
        ("0.001K", 1),
        (TOKENS_MAX, TOKENS_MAX),
    ],
)
def test_numbers_of_tokens(written: object, number: int) -> None:
    assert tokens.validate_python(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "-3",
        "0",
        "1e9",
        "12X",
        "",
        "K",
        "1.",
        ".5M",
        "1,000",
        "2.7 T T",
        "０",
        "nan",
        "_1",
        -3,
        0,
        1.5,
        True,
        None,
        [5],
    ],
)
def test_what_is_no_number_of_tokens(written: object) -> None:
    with pytest.raises(ValidationError, match="expected a number of tokens, such as"):
        tokens.validate_python(written)


def test_tokens_are_whole_and_not_endless() -> None:
    with pytest.raises(ValidationError, match=r"`1.0005K`, which is no whole number of tokens"):
        tokens.validate_python("1.0005K")
    with pytest.raises(ValidationError, match="expected a number of tokens"):
        tokens.validate_python("1000001T")


@given(st.integers(1, 10**9), st.sampled_from([("K", 3), ("M", 6), ("B", 9)]))
def test_tokens_are_exact(thousandths: int, unit: tuple[str, int]) -> None:
    letter, digits = unit
    written = f"{thousandths // 1000}.{thousandths % 1000:03}{letter}"
    assert tokens.validate_python(written) == thousandths * 10 ** (digits - 3)


@pytest.mark.parametrize(("written", "number"), [("0.5%", 0.005), (0.005, 0.005), ("100%", 1), (0, 0), ("0 %", 0)])
def test_shares(written: object, number: float) -> None:
    assert share.validate_python(written) == number


@pytest.mark.parametrize("written", ["101%", 1.5, -0.1, "-1%", "half", True, float("nan"), None])
def test_what_is_no_share(written: object) -> None:
    with pytest.raises(ValidationError, match="expected a share from 0 to 1, or from 0% to 100%"):
        share.validate_python(written)


def test_a_whole_manifest(tmp_path: Path) -> None:
    manifest = load(tmp_path, WHOLE)
    assert [stage.tokens for stage in manifest.stages] == [18_000_000, 2_000_000]
    assert (manifest.stages[1].amounts, manifest.stages[1].transition) == ({"en": 500_000}, 1_000_000)
    assert (manifest.tokenizer.path, manifest.output.path) == ("tokenizer.json", "out")
    assert manifest.when_short == "fail" and manifest.licenses.unknown == "allow"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tokens: 18M", "tokens: 18X", "10: stages[0].tokens: found `18X`; expected a number of tokens"),
        ("{korean: 60", "{korea: 60", "one: 'korea' is no source or category; valid: en, english, ko, ko2, korean"),
        ("korean: 60", "korean: -1", "stages[0].weights: one: found `-1` for korean; weights are numbers"),
        ("korean: 60", "korean: .nan", "one: found `nan` for korean; weights are numbers of at least 0"),
        ("korean: 60", "korean: .inf", "one: found `inf` for korean; weights are numbers of at least 0"),
        ("{korean: 60, en: 40}", "{korean: 0, en: 0}", "one: takes nothing; give `weights` above 0, or `amounts`"),
        ("{korean: 60, en: 40}", "{korean: 60, ko: 40}", "one: 'ko' is named twice, by itself or by its category"),
        ("amounts: {en: 500K}", "amounts: {ko: 500K}", "two: 'ko' is named twice"),
        ("amounts: {en: 500K}", "amounts: {en: 3M}", "two: amounts are 3,000,000, more than its 2,000,000 tokens"),
        ("40}}", "40}, transition: 1M}", "10: stages[0].transition: one: there is no stage before it"),
        ("transition: 1M", "transition: 3M", "stages[1].transition: two: is longer than the stage, which has 2,000,"),
        ("name: two", "name: one", "stages: names used twice: one"),
        ("name: two", "name: validation", "`validation` is what is held out"),
        ("name: ko2", "name: ko", "sources: names used twice: ko"),
        ("name: ko2", "name: korean", "'korean' names a source and a category that is not just that source"),
        ("name: ko2", "name: 2ko", "sources[1].name: found `2ko`; expected a name"),
        ("output: out", "output: out\ntokens: 5M", "tokens: each of the `stages` has its own; leave this one out"),
        ("category: english", "category: english, tokens: 5M", "en: `tokens` is for a mixture without stages"),
        ("category: english", "category: english, weight: 0", "8: sources[2].weight: found `0`; expected a number"),
        ("category: english", "category: english, weight: .inf", "8: sources[2].weight: found `.inf`"),
        ("category: english", "category: english, epochs_max: .inf", "8: sources[2].epochs_max: found `.inf`"),
        ("category: english", "category: english, weight: 1, tokens: 5M", "name either `weight` or `tokens`"),
        ("path: en,", "path: en, run: out/web,", "8: sources[2]: name either `run` or `path`"),
        ("path: en,", "run: out/web, text: body,", "`text` and `key` are for files; a run has its own"),
        ("path: en,", "path: en, set: {url: x},", "8: sources[2].set.url: unknown key"),
        ("path: en,", "pth: en,", "8: sources[2].pth: unknown key; did you mean `path`?"),
        ("output: out", "output: out\nvalidation: {frac: 5}", "13: validation.frac: found `5`; expected a share"),
        ("output: out", "output: out\npacking: {cross_lingual: 150%}", "packing.cross_lingual: found `150%`"),
        ("output: out", "output: out\nwhen_short: fil", "when_short: found `fil`; did you mean `fill`?"),
        ("output: out", "output: out\nlicenses: {allow: MIT}", "licenses.allow: found `MIT`; expected a list"),
        ("sequence_length: 64", "sequence_length: 4", "4: sequence_length: found `4`; expected a whole number"),
        ("tokenizer: tokenizer.json", "tokenizer: {eod: x}", "3: tokenizer.path: missing"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(RequestError) as caught:
        load(tmp_path, WHOLE.replace(old, new))
    assert message in str(caught.value)


def test_a_category_may_be_called_as_its_only_source(tmp_path: Path) -> None:
    manifest = load(tmp_path, WHOLE.replace("category: english", "category: en"))
    assert manifest.sources[2].category == manifest.sources[2].name
