"""The card of synthetic data: front matter that `datasets` reads, and names of strangers that are text."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from synth.card import dataset_card, plain
from synth.summary import summarize
from tests.synth.summarized import HOSTILE, summary_at, synthesis


def front(card: str) -> dict[str, Any]:
    begin, head, _ = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    assert begin == ""
    value: dict[str, Any] = yaml.safe_load(head)
    return value


def test_front_matter(tmp_path: Path) -> None:
    summary, manifest = summary_at(tmp_path)
    card = dataset_card(summary, manifest, "2026-11-30T22:00:00+00:00", "0.1")
    assert front(card) == {
        "pretty_name": "test",
        "language": ["en", "ko"],
        "license": "cc-by-sa-4.0",
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["synthetic", "onggi", "reasoning"],
        "configs": [
            {"config_name": "messages", "data_files": "messages/*.parquet", "default": True},
            {"config_name": "preference", "data_files": "preference/*.parquet"},
            {"config_name": "text", "data_files": "text/*.parquet"},
            {"config_name": "rejected", "data_files": "rejected/*.parquet"},
        ],
    }
    for config in front(card)["configs"]:
        assert list(tmp_path.glob(config["data_files"]))
    for words in (
        f"{summary.n_kept:,} samples of synthetic data",
        'load_dataset("path/to/this/folder", "preference", split="train")',
        "| `reasoning/solve_ko` | `0123456789abcdef` | teacher |",
        "| not\\_json 1 |",
        "| CC-BY-4.0 |",
        "The manifest says `CC-BY-SA-4.0`.",
        "on 2026-11-30",
        summary.tables[0].digest,
    ):
        assert words in card, words


def test_labels_are_nothing_to_train_on(tmp_path: Path) -> None:
    summary, manifest = summary_at(tmp_path)
    assert "SFTTrainer(" in dataset_card(summary, manifest, "2026-11-30T22:00:00+00:00", "0.1")
    labels = summary.model_copy(update={"task": "annotations"})
    card = dataset_card(labels, manifest, "2026-11-30T22:00:00+00:00", "0.1")
    assert "Trainer(" not in card
    assert 'load_dataset("path/to/this/folder", "text", split="train")' in card


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("Our own: ask us #1", {"license": "other", "license_name": "Our own: ask us #1"}),
        ("---\nx: y", {"license": "other", "license_name": "--- x: y"}),
    ],
)
def test_licenses(given: str | None, found: dict[str, str]) -> None:
    manifest = synthesis(license=given)
    summary = summarize([], manifest, gates=[], n_seeds=0, n_items=0, usage={}, written=[])
    head = front(dataset_card(summary, manifest, "2026", "1"))
    assert {name: head[name] for name in ("license", "license_name") if name in head} == found


def test_nothing_was_kept() -> None:
    summary = summarize([], synthesis(), gates=[], n_seeds=0, n_items=0, usage={}, written=[])
    card = dataset_card(summary, synthesis(), "2026-11-30", "1")
    assert "No sample was kept." in card and "configs" not in front(card)


def test_names_of_strangers(tmp_path: Path) -> None:
    summary, manifest = summary_at(tmp_path, 0)
    stranger = summary.sources[0].model_copy(update={"name": f"a|b\n# x {HOSTILE} [l](javascript:1) `c` *d*"})
    card = dataset_card(summary.model_copy(update={"sources": (stranger,)}), manifest, "2026-11-30", "1")
    (line,) = [line for line in card.splitlines() if "alert" in line]
    assert re.fullmatch(r"\| a\\\|b \\# x .* \| \d+ \|", line)
    assert not re.search(r"(?<!\\)[<\[`*]", line)
    assert plain("1_000 <b> & 한글\n\n끝") == r"1\_000 \<b\> \& 한글 끝"
