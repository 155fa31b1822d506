"""What is counted of mixtures that were written by hand, against their rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import RequestError
from manifests.schema_training_stages import MixtureUse
from tests.curation.mixture.mixtures import Mixture, Row, write_mixture
from training.pretraining.mixtures import Opened, _open, tokens_by_category

CATEGORIES = {"ko": "korean", "en": "english"}


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    """Two stages in several files and row groups; the documents of two sequences were taken down."""
    return write_mixture(tmp_path_factory.mktemp("mixture"), emptied=(3, 20))


def opened(mixture: Mixture, **use: object) -> Opened:
    return _open("mixture[0]", MixtureUse.model_validate({"path": str(mixture.path), **use}), "/")


def by_hand(rows: list[Row], times: list[int]) -> dict[str, int]:
    found = dict.fromkeys(CATEGORIES.values(), 0)
    for row, n in zip(rows, times, strict=True):
        for span in row.spans:
            found[CATEGORIES[span.source]] += n * len(span.ids)
    return {category: n for category, n in found.items() if n}


@pytest.mark.parametrize("stage", [None, "stage1", "stage2"])
def test_tokens_and_longest_documents(mixture: Mixture, stage: str | None) -> None:
    rows = list(mixture.rows) if stage is None else mixture.of(stage)
    supply = opened(mixture, stage=stage, balance_lengths=[4]).supply
    assert supply.n_tokens.tolist() == [row.n_tokens for row in rows]
    assert supply.longest is not None
    assert supply.longest.tolist() == [max((len(span.ids) for span in row.spans), default=0) for row in rows]
    assert supply.block == 4
    assert opened(mixture, stage=stage).supply.longest is None


@pytest.mark.parametrize("stage", [None, "stage2"])
def test_tokens_by_category(mixture: Mixture, stage: str | None) -> None:
    rows = list(mixture.rows) if stage is None else mixture.of(stage)
    one = opened(mixture, stage=stage)
    for seed in range(3):
        times = np.random.default_rng(seed).integers(0, 4, len(rows))
        assert tokens_by_category(one, times) == by_hand(rows, times.tolist())
    twice = np.full(len(rows), 2)
    assert tokens_by_category(one, twice) == by_hand(rows, twice.tolist())  # as the mixture's record has it


def test_a_relative_path_starts_at_the_manifest(mixture: Mixture) -> None:
    use = MixtureUse(path=mixture.path.name)
    assert _open("mixture[0]", use, str(Path(mixture.path).parent)).label == mixture.path.name


def test_a_mixture_without_tokens_is_refused(tmp_path: Path) -> None:
    empty = write_mixture(tmp_path / "empty")
    for path in (tmp_path / "empty" / "tokens").iterdir():
        table = pq.read_table(path)
        none = pa.array(np.zeros(len(table), np.int32))
        pq.write_table(table.set_column(3, table.schema.field("n_tokens"), none), path, row_group_size=4)
    with pytest.raises(RequestError, match=r"mixture\[0\]: .*empty: holds no tokens; mix again"):
        opened(empty)
