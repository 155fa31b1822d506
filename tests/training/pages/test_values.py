"""Amounts on the page of a training are short, and say what they are of."""

import pytest

from training.pages.values import amount, power, ratio, signed


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (999.7, "1K"), (12_345, "12.3K"), (999_600, "1,000K"), (4.7e9, "4.7B"), (3e12, "3T")],
)
def test_amounts(count: float, text: str) -> None:
    assert amount(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (4200, "4,200"), (1.44e23, "1.44×10²³"), (2.9e16, "2.90×10¹⁶")]
)
def test_powers(value: float, text: str) -> None:
    assert power(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.3, "+0.3"), (-16.79, "−16.8"), (0.0, "+0"), (57, "+57")])
def test_differences(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12×"), (0.0314, "0.0314×"), (404_000, "404K×"), (1 / 4100, "1/4,100"), (0, "0"), (float("inf"), "0")],
)
def test_ratios(value: float, text: str) -> None:
    assert ratio(value) == text
