import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.errors import RequestError
from tests.curation.mixture.mixtures import Mixture, Row, write_mixture
from training.token_dataset import NO_LOSS, TokenDataset, attention_mask, collate, positions


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return write_mixture(tmp_path_factory.mktemp("mixture"))


def segments(row: Row, length: int) -> list[int]:
    """Which segment each position is of, by hand."""
    found = list[int]()
    for number, span in enumerate(row.spans):
        found += [0 if row.cross else number] * len(span.ids)
    return found + [len(row.spans)] * (length - len(found))


def test_every_sequence_by_its_number(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    assert len(dataset) == len(mixture.rows)
    for number in np.random.default_rng(0).permutation(len(dataset)).tolist():
        item, row = dataset[number], mixture.rows[number]
        assert item["sequence"] == number
        assert item["input_ids"].tolist() == row.padded(mixture.length)
        assert item["input_ids"].dtype == item["labels"].dtype == item["position_ids"].dtype == np.int64
        assert item["document_starts"].tolist() == row.starts
        assert item["n_tokens"] == row.n_tokens


def test_labels_leave_padding_out_and_nothing_else(mixture: Mixture) -> None:
    for item in map(TokenDataset(str(mixture.path)).__getitem__, range(len(mixture.rows))):
        assert (item["labels"][: item["n_tokens"]] == item["input_ids"][: item["n_tokens"]]).all()
        assert (item["labels"][item["n_tokens"] :] == NO_LOSS).all()


def test_masked_boundaries_are_first_tokens_behind_another_document(mixture: Mixture) -> None:
    dataset, n_masked = TokenDataset(str(mixture.path), mask_boundaries=True), 0
    for number, row in enumerate(mixture.rows):
        masked = np.flatnonzero(dataset[number]["labels"][: row.n_tokens] == NO_LOSS).tolist()
        assert masked == ([] if row.cross else row.starts[1:])
        n_masked += len(masked)
    assert n_masked > 5


def test_positions_restart_where_attention_does(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    crossing = 0
    for number, row in enumerate(mixture.rows):
        of, item = segments(row, mixture.length), dataset[number]
        wanted = [place - of.index(segment) for place, segment in enumerate(of)]
        assert item["position_ids"].tolist() == wanted
        changes = [place for place in range(1, len(of)) if of[place] != of[place - 1]]
        assert item["cu_seqlens"].tolist() == [0, *changes, mixture.length]
        crossing += row.cross and len(row.spans) > 1
    assert crossing
    assert any(row.n_tokens < mixture.length for row in mixture.rows)


def test_the_mask_is_block_diagonal_and_causal(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    batch = collate([dataset[number] for number in range(len(dataset))])
    masks = attention_mask(batch["position_ids"])
    assert masks.shape == (len(dataset), mixture.length, mixture.length)
    assert masks.dtype == bool
    for mask, row in zip(masks, mixture.rows, strict=True):
        of = segments(row, mixture.length)
        wanted = [[of[key] == of[query] and key <= query for key in range(len(of))] for query in range(len(of))]
        assert mask.tolist() == wanted


def test_a_batch_laid_end_to_end(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    batch = collate([dataset[3], dataset[1], dataset[7]])
    assert batch["input_ids"].shape == (3, mixture.length)
    assert batch["sequence"].tolist() == [3, 1, 7]
    assert batch["cu_seqlens"][-1] == 3 * mixture.length
    assert {mixture.length, 2 * mixture.length} <= set(batch["cu_seqlens"].tolist())
    assert batch["max_seqlen"] == np.diff(batch["cu_seqlens"]).max()
    assert np.array_equal(positions(batch["cu_seqlens"]), batch["position_ids"].reshape(-1))


def test_stages_and_what_is_held_out(mixture: Mixture) -> None:
    rows, dataset = mixture.of("stage2"), TokenDataset(str(mixture.path), stage="stage2")
    assert len(dataset) == len(rows)
    assert dataset[0]["input_ids"].tolist() == rows[0].padded(mixture.length)
    assert dataset[-1]["input_ids"].tolist() == rows[-1].padded(mixture.length)
    assert dataset[0]["sequence"] == len(mixture.of("stage1"))
    with pytest.raises(IndexError):
        dataset[len(rows)]
    held_out = TokenDataset(str(mixture.path), split="validation")
    assert [item["input_ids"].tolist() for item in held_out] == [  # type: ignore[attr-defined]
        row.padded(mixture.length) for row in mixture.held_out
    ]


def test_another_tokenizer_or_mixture_is_refused(mixture: Mixture) -> None:
    TokenDataset(str(mixture.path), tokenizer_digest="d" * 32, fingerprint="5" * 32)
    with pytest.raises(RequestError, match=rf"tokenizer's digest is {'d' * 32}, expected {'e' * 32}"):
        TokenDataset(str(mixture.path), tokenizer_digest="e" * 32)
    with pytest.raises(RequestError, match=rf"mixture's fingerprint is {'5' * 32}, expected {'6' * 32}"):
        TokenDataset(str(mixture.path), fingerprint="6" * 32)


def test_few_row_groups_are_kept(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path), groups_kept=2)
    for number in range(len(dataset)):
        assert dataset[number]["sequence"] == number
        assert len(dataset._groups) <= 2
    read = list[int]()
    whole = dataset._files.group
    dataset._files.group = lambda number: read.append(number) or whole(number)  # type: ignore
    dataset._groups.clear()
    for number in (0, 1, 5, 2, 6, 3, 11, 0):  # groups 0 0 1 0 1 0 2 0
        dataset[number]
    assert read == [0, 1, 2]


def test_it_goes_to_other_processes(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    before = dataset[0]["input_ids"]
    assert np.array_equal(pickle.loads(pickle.dumps(dataset))[0]["input_ids"], before)


def test_items_are_their_own(mixture: Mixture) -> None:
    dataset = TokenDataset(str(mixture.path))
    before = {name: np.copy(value) for name, value in dataset[0].items()}
    for value in dataset[0].values():
        if isinstance(value, np.ndarray):
            value[:] = 99
    assert all(np.array_equal(value, before[name]) for name, value in dataset[0].items())


def test_tensors(mixture: Mixture) -> None:
    torch = pytest.importorskip("torch")
    arrays, dataset = TokenDataset(str(mixture.path)), TokenDataset(str(mixture.path), as_torch=True)
    for number in range(len(dataset)):
        item = dataset[number]
        assert item["input_ids"].dtype == torch.int64
        assert all(np.array_equal(value, arrays[number][name]) for name, value in item.items())
    numbers = list(range(12))
    batch, wanted = collate([dataset[i] for i in numbers]), collate([arrays[i] for i in numbers])
    assert isinstance(batch["cu_seqlens"], torch.Tensor)
    assert all(np.array_equal(value, wanted[name]) for name, value in batch.items())
    mask = attention_mask(batch["position_ids"])
    assert mask.dtype == torch.bool
    assert np.array_equal(mask.numpy(), attention_mask(wanted["position_ids"]))


def test_documents_do_not_see_each_other(mixture: Mixture) -> None:
    """Attention over a packed sequence is that over each of its segments alone."""
    torch = pytest.importorskip("torch")
    attend = torch.nn.functional.scaled_dot_product_attention
    dataset = TokenDataset(str(mixture.path), as_torch=True)
    torch.manual_seed(0)
    for number in range(len(dataset)):
        item = dataset[number]
        states: Any = torch.randn(1, 1, mixture.length, 8, dtype=torch.float64)
        whole = attend(states, states, states, attn_mask=attention_mask(item["position_ids"])[None, None])
        bounds = item["cu_seqlens"].tolist()
        parts = [states[:, :, a:b] for a, b in pairwise(bounds)]
        alone = torch.cat([attend(part, part, part, is_causal=True) for part in parts], dim=2)
        assert torch.allclose(whole, alone, atol=1e-12)


def test_without_torch_tensors_are_refused(mixture: Mixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(RequestError, match="torch is not installed"):
        TokenDataset(str(mixture.path), as_torch=True)[0]


def test_a_sequence_whose_documents_were_taken_down(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture", emptied=(3,))
    item = TokenDataset(str(mixture.path), mask_boundaries=True)[3]
    assert item["n_tokens"] == 0
    assert (item["labels"] == NO_LOSS).all()
    assert item["cu_seqlens"].tolist() == [0, mixture.length]
    assert item["position_ids"].tolist() == list(range(mixture.length))


def test_other_lengths_and_group_sizes(tmp_path: Path) -> None:
    for length, rows_per_group in ((8, 1), (64, 100)):
        mixture = write_mixture(tmp_path / str(length), length=length, rows_per_group=rows_per_group)
        dataset = TokenDataset(str(mixture.path))
        assert np.array_equal(np.stack([dataset[i]["input_ids"] for i in range(len(dataset))]), mixture.ids)
