"""What stages ask of sources: weights, amounts, transitions, and what is missing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture.shares import Asked, Has, asked, demanded
from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest

BASE: dict[str, Any] = {"kind": "mixture", "name": "m", "tokenizer": "t", "sequence_length": 16, "output": "out"}
THREE = [
    {"name": "web", "path": "x", "category": "ko"},
    {"name": "news", "path": "x", "category": "ko"},
    {"name": "en", "path": "x", "category": "english"},
]


def manifest(sources: list[dict[str, Any]] | None = None, **more: Any) -> MixtureManifest:
    return MixtureManifest.model_validate(BASE | {"sources": sources or THREE} | more)


def weighed(*weights: dict[str, Any], **more: Any) -> MixtureManifest:
    return manifest([source | weight for source, weight in zip(THREE, weights, strict=True)], **more)


def has(*n_tokens: int, epochs_max: float = 1) -> list[Has]:
    return [Has(n, epochs_max) for n in n_tokens]


def shares(of: MixtureManifest, there: list[Has], stage: int = 0) -> list[float]:
    return [round(share, 6) for share in demanded(of, there)[stage].shares.tolist()]


def staged(weights: dict[str, float] | None, tokens: int = 1000, **more: Any) -> dict[str, Any]:
    return {"name": f"s{len(more)}", "tokens": tokens, "weights": weights, **more}


def test_without_weights_a_source_gives_what_it_has() -> None:
    [stage] = demanded(manifest(), has(100, 300, 600))
    assert stage.n_tokens == 1000
    assert stage.demand.round(6).tolist() == [100, 300, 600]
    [stage] = demanded(manifest(tokens=500), has(100, 300, 600))
    assert stage.demand.round(6).tolist() == [50, 150, 300]


def test_weights_of_sources() -> None:
    of = weighed({"weight": 1}, {"weight": 2}, {"weight": 5}, tokens=800)
    assert shares(of, has(1000, 1000, 1000)) == [0.125, 0.25, 0.625]


def test_weights_of_categories_go_to_their_sources() -> None:
    of = manifest(stages=[staged({"ko": 60, "english": 40})])
    assert shares(of, has(100, 300, 50)) == [0.15, 0.45, 0.4]
    of = weighed({"weight": 3}, {"weight": 1}, {}, stages=[staged({"ko": 60, "english": 40})])
    assert shares(of, has(100, 300, 50)) == [0.45, 0.15, 0.4]
    of = manifest(stages=[staged({"web": 1, "english": 3})])
    assert shares(of, has(100, 300, 50)) == [0.25, 0, 0.75]


def test_amounts_come_first() -> None:
    of = weighed({"tokens": 200}, {}, {}, tokens=1000)
    assert shares(of, has(500, 300, 100)) == [0.2, 0.6, 0.2]
    of = manifest(stages=[staged({"english": 1}, amounts={"ko": 100})])
    assert shares(of, has(300, 100, 50)) == [0.075, 0.025, 0.9]
    of = manifest(stages=[staged({}, amounts={"ko": 400, "english": 600})])
    assert shares(of, has(100, 100, 100)) == [0.2, 0.2, 0.6]
    of = weighed({"tokens": 700}, {"tokens": 400}, {}, tokens=1000)
    with pytest.raises(RequestError, match="is 1,000, less than the 1,100 that the sources ask for together"):
        demanded(of, has(1000, 1000, 1000))
    of = manifest(stages=[staged({}, amounts={"ko": 400})])
    with pytest.raises(
        RequestError, match=r"its amounts are 40\.0% of its tokens, and no weight says what the rest is"
    ):
        demanded(of, has(100, 100, 100))


def test_amounts_and_all_that_the_others_have() -> None:
    of = weighed({"tokens": 200}, {}, {})
    [stage] = demanded(of, has(500, 300, 100))
    assert (stage.n_tokens, stage.demand.round(6).tolist()) == (600, [200, 300, 100])


def test_amounts_and_the_most_that_keeps_the_weights_of_the_others() -> None:
    of = weighed({"tokens": 200}, {"weight": 1}, {"weight": 1})
    [stage] = demanded(of, has(500, 300, 100))
    assert (stage.n_tokens, stage.demand.round(6).tolist()) == (400, [200, 100, 100])
    [stage] = demanded(weighed({"tokens": 200}, {}, {}), [Has(500, 1), Has(300, 0.5), Has(100, 1)])
    assert (stage.n_tokens, stage.demand.round(6).tolist()) == (400, [200, 150, 50])
    [stage] = demanded(weighed({"tokens": 200}, {}, {}), has(500, 0, 0))
    assert stage.n_tokens == 200
    of = weighed({"tokens": 200}, {"tokens": 100}, {"tokens": 100}, tokens=1000)
    with pytest.raises(RequestError, match=r"its amounts are 40\.0% of its tokens, and no source gives the rest"):
        demanded(of, has(500, 300, 100))


def test_sources_without_documents() -> None:
    of = manifest(stages=[staged({"ko": 1, "english": 1})])
    assert shares(of, has(0, 300, 50)) == [0, 0.5, 0.5]
    with pytest.raises(RequestError, match="s0: english: no document may be used of: en; `where`"):
        demanded(of, has(10, 300, 0))
    with pytest.raises(RequestError, match="no document may be used"):
        demanded(manifest(), has(0, 0, 0))


def test_some_with_a_weight_and_some_without() -> None:
    with pytest.raises(RequestError, match="some of its sources have a `weight` and some have none: news"):
        demanded(weighed({"weight": 3}, {}, {}, stages=[staged({"ko": 1})]), has(1, 1, 1))


def test_a_transition() -> None:
    of = manifest(
        stages=[
            staged({"ko": 80, "english": 20}),
            {"name": "t", "tokens": 10_000, "weights": {"ko": 40, "english": 60}, "transition": 4000},
        ]
    )
    stage = demanded(of, has(100_000, 100_000, 100_000))[1]
    start, end = np.array([0.4, 0.4, 0.2]), np.array([0.2, 0.2, 0.6])

    def share(at: float) -> np.ndarray[Any, Any]:
        return (stage.targets(at + 0.5) - stage.targets(at - 0.5)) / 1

    assert np.allclose(share(2000), (start + end) / 2)  # at its middle the mean of its ends
    assert np.allclose(share(1), start, atol=1e-3)
    assert np.allclose(share(3999), end, atol=1e-3)
    assert np.allclose(share(8000), end)
    for at in (0, 1, 1234, 2000, 4000, 4001, 10_000):
        steps = np.linspace(0, at, 10_001)
        along = np.minimum(steps / 4000, 1)[:, None]
        by_hand = np.trapezoid(start * (1 - along) + end * along, steps, axis=0)
        assert np.allclose(stage.targets(at), by_hand, atol=0.01)
        assert stage.targets(at).sum() == pytest.approx(at)


def test_a_shortfall_says_what_is_missing() -> None:
    of = weighed({"weight": 1}, {"weight": 1}, {"weight": 2}, tokens=4_000_000)
    with pytest.raises(RequestError) as error:
        asked(of, has(2_000_000, 400_000, 3_000_000))
    said = str(error.value)
    assert "news: 1,000,000 tokens are asked for, 400,000 are there: 600,000 are missing" in said
    assert "`epochs_max: 2.5` would do" in said
    assert "1,600,000 tokens can be had" in said
    assert "web" not in said
    more = [Has(2_000_000, 1), Has(400_000, 2.5), Has(3_000_000, 1)]
    assert asked(of, more)[0].n_tokens == 4_000_000


@pytest.mark.parametrize("n_stages", [1, 2])
def test_shrinking_keeps_shares(n_stages: int) -> None:
    stages: list[dict[str, Any]] = [
        {"name": f"s{number}", "tokens": 1000, "weights": {"ko": 1, "english": 1}} for number in range(n_stages)
    ]
    if n_stages > 1:
        stages[-1]["transition"] = 400
    found = asked(manifest(stages=stages, when_short="shrink"), has(100, 100, 10_000))
    assert sum(stage.n_tokens for stage in found) == pytest.approx(400, abs=2)
    total = sum((stage.demand for stage in found), np.zeros(3))
    assert np.allclose(total, [100, 100, 200], atol=2)
    assert [stage.transition for stage in found][1:] == [80] * (n_stages - 1)
    with pytest.raises(RequestError, match="nothing is left after shrinking"):
        tiny = [{"name": "tiny", "tokens": 1, "weights": {"ko": 1}}, *stages]
        asked(manifest(stages=tiny, when_short="shrink"), has(100, 100, 10_000))


def test_filling_takes_more_of_the_others() -> None:
    of = weighed({"weight": 1}, {"weight": 1}, {"weight": 2}, tokens=1000, when_short="fill")
    [stage] = asked(of, has(100, 1000, 1000))
    assert stage.n_tokens == 1000
    assert np.allclose(stage.demand, [100, 300, 600])
    with pytest.raises(RequestError, match="100 tokens are missing, and none of its sources has more"):
        asked(of, has(100, 300, 500))


def test_filling_stages_one_after_another() -> None:
    stages = [{"name": f"s{number}", "tokens": 1000, "weights": {"ko": 1, "english": 1}} for number in range(2)]
    found = asked(manifest(stages=stages, when_short="fill"), has(300, 300, 5000))
    assert np.allclose(found[0].demand, [250, 250, 500])
    assert np.allclose(found[1].demand, [50, 50, 900])


@given(
    st.lists(st.integers(1, 10**6), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.integers(1, 10**7),
    st.sampled_from(["shrink", "fill"]),
)
def test_no_more_is_asked_than_there_is(there: list[int], weights: list[float], n_tokens: int, policy: str) -> None:
    of = weighed(*({"weight": weight} for weight in weights), tokens=n_tokens, when_short=policy)
    try:
        found: list[Asked] = asked(of, has(*there))
    except RequestError as error:
        assert sum(there) < n_tokens or "nothing is left" in str(error)
        return
    [stage] = found
    assert stage.shares.sum() == pytest.approx(1)
    assert (stage.demand <= np.array(there) + 1.001).all()
    if sum(there) >= n_tokens and policy == "fill":
        assert stage.n_tokens == n_tokens
