import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_training_steps import Schedule
from training.schedules import deepseek_law, lr_share, warmup_steps

KINDS = ["constant", "linear", "cosine", "warmup_stable_decay", "multi_step"]


def shares(n_steps: int, **spec: object) -> list[float]:
    return [lr_share(step, n_steps, Schedule.model_validate(spec)) for step in range(n_steps + 1)]


def transformers_shares(kind: str, n_steps: int, n_warmup: int, end: float) -> list[float]:
    """What transformers' own scheduler makes of a learning rate of 1."""
    import torch
    from transformers import optimization

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    make = {
        "constant": lambda: optimization.get_constant_schedule_with_warmup(optimizer, n_warmup),
        "linear": lambda: optimization.get_polynomial_decay_schedule_with_warmup(
            optimizer, n_warmup, n_steps, lr_end=end, power=1.0
        ),
        "cosine": lambda: optimization.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, n_warmup, n_steps, min_lr_rate=end
        ),
        "warmup_stable_decay": lambda: optimization.get_wsd_schedule(
            optimizer, n_warmup, math.ceil(n_steps / 5), n_steps, decay_type="linear", min_lr_ratio=end
        ),
    }
    scheduler, found = make[kind](), []
    for _ in range(n_steps + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine", "warmup_stable_decay"])
@pytest.mark.parametrize(("n_steps", "n_warmup", "end"), [(50, 0, 0.0), (50, 7, 0.0), (33, 0, 0.1), (1, 0, 0.0)])
def test_as_transformers_does(kind: str, n_steps: int, n_warmup: int, end: float) -> None:
    wanted = transformers_shares(kind, n_steps, n_warmup, end)
    assert shares(n_steps, kind=kind, warmup=n_warmup, end=end, decay=0.2) == pytest.approx(wanted, abs=1e-12)


def test_deepseek_steps() -> None:
    """2000 steps of warm-up, 31.6% from 80% on and 10% from 90% on, to the step."""
    found = shares(100_000, kind="multi_step", warmup=2000)
    assert found[1000] == 0.5
    assert {found[2000], found[79_999]} == {1.0}
    assert {found[80_000], found[89_999]} == {0.316}
    assert {found[90_000], found[100_000]} == {0.1}
    assert shares(7, kind="multi_step")[5:7] == [1.0, 0.316]  # 80% of 7 is 5.6


def test_warmup_in_shares_and_steps() -> None:
    of = {written: warmup_steps(200, Schedule.model_validate({"warmup": written})) for written in (1, 0.5, "3%", 0)}
    assert of == {1: 1, 0.5: 100, "3%": 6, 0: 0}
    assert warmup_steps(10, Schedule(warmup=0.01)) == 1


def test_a_decay_that_warmup_leaves_no_room_for() -> None:
    found = shares(10, kind="warmup_stable_decay", warmup=8, decay=0.5)
    assert found[8:] == [1.0, 0.5, 0.0]


@given(
    st.sampled_from(KINDS),
    st.integers(1, 500),
    st.one_of(st.integers(0, 600), st.floats(0, 1)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_rises_then_falls(kind: str, n_steps: int, warmup: float, decay: float, end: float) -> None:
    spec = Schedule.model_validate({"kind": kind, "warmup": warmup, "decay": decay, "end": end})
    found, n_warmup = [lr_share(step, n_steps, spec) for step in range(n_steps + 3)], warmup_steps(n_steps, spec)
    assert all(0 <= share <= 1 for share in found)
    assert found[:n_warmup] == sorted(found[:n_warmup])
    assert found[n_warmup:] == sorted(found[n_warmup:], reverse=True)
    if n_warmup <= n_steps and kind in ("linear", "cosine"):
        assert found[n_steps] == found[n_steps + 2] == pytest.approx(end if n_warmup < n_steps else 1)


@pytest.mark.parametrize(
    ("compute", "learning_rate", "batch_tokens"),
    [
        (1e17, 2.338e-3, 106_190),
        (1e20, 9.860e-4, 1_017_145),
        (1.44e23, 3.97e-4, 10.98e6),
        (4.824e23, 3.42e-4, 16.3e6),
    ],
)
def test_deepseek_law(compute: float, learning_rate: float, batch_tokens: float) -> None:
    found = deepseek_law(compute)
    assert found[0] == pytest.approx(learning_rate, rel=2e-3)
    assert found[1] == pytest.approx(batch_tokens, rel=2e-3)


def test_no_law_without_compute() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        deepseek_law(0)
