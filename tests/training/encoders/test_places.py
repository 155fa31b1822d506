"""Both kinds of stages have their places: what a training would take, its card, what it is done again for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from manifests.errors import RequestError
from manifests.schema_embedding import Contrast
from manifests.schema_training import TrainingManifest
from tests.training import tiny
from tests.training.encoders.planted_texts import planted
from tests.training.small_mixtures import make_mixture
from tests.training.summarized import summary
from training.chat.rows import Left
from training.encoders.texts import Asked, order_of, read_texts
from training.outlook import outlook
from training.pages.card import model_card
from training.record import TrainingRecord
from training.stage_plan import plan_stages

MNTP: dict[str, Any] = {"kind": "mntp", "name": "mntp", "mixture": "mixture/out", "batch": 4}
CONTRAST: dict[str, Any] = {"kind": "contrast", "name": "encoder", "data": [{"path": "texts.jsonl"}], "batch": 8}
SET = {"name": "set", "queries": "queries.jsonl", "corpus": "corpus.jsonl", "qrels": "qrels.tsv"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A model, a mixture and texts."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "base").symlink_to(tiny_model)
    make_mixture(folder / "mixture", tiny_model, n=30)
    tiny.write_jsonl(folder / "texts.jsonl", planted(40))
    for name in ("queries", "corpus"):
        tiny.write_jsonl(folder / f"{name}.jsonl", [{"id": "1", "text": "a"}])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")
    return folder


def manifest(*stages: dict[str, Any]) -> TrainingManifest:
    whole = {"kind": "training", "name": "dna", "base": "base", "output": "out", "stages": list(stages)}
    return TrainingManifest.model_validate(whole)


def test_what_they_would_take(here: Path) -> None:
    found = outlook(manifest(MNTP, CONTRAST | {"held_out": 0.25, "retrieval": [SET]}), str(here))
    assert found.problems == []
    mntp, contrast = found.stages
    assert mntp.is_exact and mntp.n_tokens and mntp.starts_from == ["base"]
    assert (contrast.n_rows, contrast.n_steps, contrast.starts_from) == (30, 4, ["mntp"])
    assert contrast.n_tokens and not contrast.is_exact


def test_an_encoder_is_what_only_another_goes_on_from() -> None:
    with pytest.raises(ValueError, match="'mntp' makes an encoder, and this takes a language model"):
        manifest(MNTP, {"kind": "cpt", "name": "c", "model": "mntp", "mixture": "m"})
    manifest(MNTP, CONTRAST | {"model": "mntp"}, CONTRAST | {"name": "again"})


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([MNTP | {"mask_token": "<blank>"}], r"stage mntp: mask_token: .* has no token '<blank>'"),
        ([MNTP, CONTRAST | {"data": [{"path": "texts.jsonl", "query": "asked"}]}], r"encoder: data\[0\].*`asked`"),
        ([MNTP, CONTRAST | {"retrieval": [SET | {"qrels": "wrong.tsv"}]}], r"encoder: retrieval\[0\].qrels: .*:2: "),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_trained(
    here: Path, stages: list[dict[str, Any]], said: str
) -> None:
    (here / "wrong.tsv").write_text("query-id\tcorpus-id\tscore\n1\t7\t1\n")
    plan_stages(manifest(MNTP, CONTRAST | {"retrieval": [SET]}), str(here))
    with pytest.raises(RequestError, match=said):
        plan_stages(manifest(*stages), str(here))


def test_two_sets_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'set' is the name of retrieval\[0\], too"):
        manifest(CONTRAST | {"retrieval": [SET, SET]})


def test_relevance_is_a_part_of_what_a_stage_reads(here: Path) -> None:
    asked = manifest(CONTRAST | {"retrieval": [SET]})
    before = plan_stages(asked, str(here)).stages[0].fingerprint
    (here / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t2\n")
    assert plan_stages(asked, str(here)).stages[0].fingerprint != before
    with pytest.raises(RequestError, match=r"stage encoder: .*gone\.tsv: there is no such file"):
        plan_stages(manifest(CONTRAST | {"retrieval": [SET | {"qrels": "gone.tsv"}]}), str(here))


def test_a_card_tells_how_an_encoder_is_loaded(here: Path) -> None:
    whole = manifest(MNTP, CONTRAST)
    nothing: dict[str, Any] = {name: {} for name in (
        "counts", "skipped", "licenses", "shards", "digests", "timings", "throughput", "flops"
    )}  # fmt: skip
    record = TrainingRecord(
        name="dna", kind="training", fingerprint="f", onggi_version="0.1.0", created="2026-12-01T03:00:00+00:00",
        manifest=whole.model_dump(mode="json"), manifest_base=str(here), measured_in="", inputs=[], outputs=[],
        peak_memory_bytes=1, n_workers=1, stages={"mntp": "f", "encoder": "f"},
        models={"mntp": "stages/mntp-0a/model", "encoder": "stages/encoder-0a/model"}, base_digest="d", **nothing,
    )  # fmt: skip
    text = model_card(summary(), record)
    assert yaml.safe_load(text.split("---\n")[1])["pipeline_tag"] == "feature-extraction"
    assert 'load_encoder("path/to/this/folder/stages/encoder-0a/model")' in text and "`AutoModel`" in text


# The order


def asked(domains: dict[str, int]) -> list[Asked]:
    return [
        Asked(f"{name} {n}", f"answer {n}", (), "", name) for name, count in domains.items() for n in range(count)
    ]


@pytest.mark.parametrize("epochs", [1.0, 2.5])
def test_a_step_is_of_one_domain_and_an_epoch_of_all_rows(epochs: float) -> None:
    rows = asked({"ko": 13, "en": 8, "talk": 3})
    stage = Contrast.model_validate(CONTRAST | {"batch": 4, "epochs": epochs})
    order = order_of(rows, stage, seed=1)
    steps = order.reshape(-1, 4)
    assert all(len({rows[number].domain for number in step}) == 1 for step in steps.tolist())
    per_epoch = 4 + 2 + 1
    assert len(steps) == round(per_epoch * epochs)
    assert set(steps[:per_epoch].ravel().tolist()) == set(range(len(rows)))
    assert np.array_equal(order, order_of(rows, stage, seed=1)) and not np.array_equal(
        order, order_of(rows, stage, 2)
    )
    longer = order_of(rows, stage.model_copy(update={"steps": 30}), seed=1)
    assert np.array_equal(longer[: len(order)], order) and len(longer) == 120


def test_whole_questions_are_held_out(tmp_path: Path) -> None:
    rows = [{"query": f"q{n // 3}", "positive": f"a{n}"} for n in range(60)]
    tiny.write_jsonl(tmp_path / "texts.jsonl", rows)
    stage, left = Contrast.model_validate(CONTRAST | {"held_out": 0.3}), Left()
    found = read_texts(stage, str(tmp_path), left, seed=0)
    assert len(found.trained) + len(found.held_out) == 60 and len(found.held_out) >= 18
    assert not {row.query for row in found.trained} & {row.query for row in found.held_out}


def test_rows_that_are_no_good_are_counted(tmp_path: Path) -> None:
    good = [{"query": f"q{n}", "positive": f"a{n}", "negative": ["b"]} for n in range(4)]
    bad: list[dict[str, Any]] = [
        {"query": "q", "positive": None, "negative": []},
        {"query": "q", "positive": "", "negative": None},
        {"query": "q", "positive": "b", "negative": "b"},
        {"query": 7, "positive": "b", "negative": ["c"]},
    ]
    tiny.write_jsonl(tmp_path / "texts.jsonl", [*good, *bad])
    data = [{"path": "texts.jsonl", "negative": "negative"}]
    left = Left()
    found = read_texts(Contrast.model_validate(CONTRAST | {"data": data}), str(tmp_path), left, seed=0)
    assert len(found.trained) == 4 and found.trained[0].negatives == ("b",)
    assert left.counts == {"no_text": 2, "empty_text": 1, "answer_is_negative": 1}
