"""The stage `prune`: what it makes and tells, what it refuses before any work, and what a kill leaves."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

import training.pruning.stage
from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_surgery import Prune
from tests.training import tiny
from tests.training.small_mixtures import make_mixture
from training.jobs import Job, Made
from training.measuring.open_model import OpenModel
from training.model_files import read_object
from training.pruning.calibration import read_samples
from training.pruning.options import asked_of, prune_folder
from training.pruning.scores import Scores
from training.pruning.slicing import PruneReport
from training.pruning.stage import INFLUENCES, SCORES, run
from training.stacking.influence import block_influence
from training.trainers import load_model

SIZES = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 2}
Change = dict[str, Any]


def texts(folder: Path) -> str:
    tiny.write_jsonl(folder / "texts.jsonl", [{"text": text} for text in (*tiny.KOREAN, *tiny.ENGLISH)])
    return "texts.jsonl"


def job(tmp_path: Path, model: Path, to: Change | None = None, **changes: Any) -> Job:
    stage = {"kind": "prune", "name": "narrow", "to": to or SIZES, "calibration": {"text": texts(tmp_path)}}
    return Job(
        stage=Prune.model_validate(stage | changes),
        folder=str(tmp_path / "stages/narrow"),
        manifest_base=str(tmp_path),
        models={"model": str(model)},
        seed=0,
        threads=1,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_narrower_model(tmp_path: Path, tiny_model: Path) -> None:
    of = job(tmp_path, tiny_model)
    made = run(of, silent)
    model = load_model(str(of.model_path))
    assert {name: getattr(model.config, name) for name in SIZES} == SIZES
    assert model(torch.tensor([[5, 6, 7]])).logits.isfinite().all()
    assert made.counts["parameters"] == model.num_parameters()
    assert made.counts["parameters_before"] == load_model(str(tiny_model)).num_parameters()
    assert (made.counts["samples"], made.counts["calibration_tokens"]) == (12, Scores.load(of.path / SCORES).n_tokens)
    assert 0.4 < made.figures["cut_share"] < 0.5
    for axis, stay in (("hidden", 48 / 64), ("mlp", 96 / 128), ("heads", 2 / 4)):
        assert stay < made.figures[f"{axis}_importance_kept"] < 1
    assert [table.title for table in made.tables] == ["Sizes", "Importance that stays"]
    assert len(made.charts) == 3
    assert all(ET.fromstring(svg).tag.endswith("svg") and "style=" not in svg for svg in made.charts.values())
    assert Made.model_validate_json(made.model_dump_json()) == made
    assert "pad" in str(read_object(of.model_path / "tokenizer_config.json"))


def test_depth_and_width(tmp_path: Path, tiny_model: Path) -> None:
    of = job(tmp_path, tiny_model, {"num_hidden_layers": 1, "hidden_size": 60}, cut_max=0.6)
    made = run(of, silent)
    model = load_model(str(of.model_path))
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (1, 60)
    report = PruneReport.model_validate(read_object(of.model_path / "prune.json"))
    assert (report.before["num_hidden_layers"], report.after["num_hidden_layers"]) == (2, 1)
    assert report.parameters_after == model.num_parameters()
    assert sorted(str(row[2]) for row in made.tables[-1].rows) == ["goes", "stays"]
    assert sorted(path.name for path in of.path.iterdir()) == [SCORES, INFLUENCES, "model"]


def test_depth_alone_leaves_the_layer_that_changes_most(tmp_path: Path) -> None:
    source = tiny.save_model(tmp_path / "model", num_hidden_layers=3)
    model = load_model(str(source))
    with torch.no_grad():
        for linear in (model.model.layers[1].self_attn.o_proj, model.model.layers[1].mlp.down_proj):
            linear.weight.zero_()
    model.save_pretrained(source)
    of = job(tmp_path, source, {"num_hidden_layers": 2})
    run(of, silent)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(load_model(str(of.model_path))(ids).logits, model(ids).logits)


def test_a_mixture_is_read_in_its_documents(tmp_path: Path, tiny_model: Path) -> None:
    mixture = make_mixture(tmp_path / "mix", tiny_model, n=40)
    of = job(tmp_path, tiny_model, calibration={"mixture": {"path": str(mixture)}, "samples": 7, "micro_batch": 3})
    made = run(of, silent)
    assert made.counts["samples"] == 7
    assert 0 < made.counts["calibration_tokens"] <= 7 * 64


def test_embeddings_alone_may_become_one(tmp_path: Path, tiny_model: Path) -> None:
    of = job(tmp_path, tiny_model, {"hidden_size": 64}, tie_embeddings=True)
    stage = Prune.model_validate({"kind": "prune", "name": "narrow", "to": {}, "tie_embeddings": True})  # of no text
    made = run(of.model_copy(update={"stage": stage}), silent)
    assert load_model(str(of.model_path)).config.tie_word_embeddings
    assert made.figures["cut_share"] == 0
    assert not made.charts


def test_the_same_bytes_again_and_after_a_kill(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = job(tmp_path, tiny_model)
    run(of, silent)
    first = files(of.model_path)

    def killed(step: str, done: float, total: float, note: str = "") -> None:
        if step == "prune" and done > total / 2:
            raise KeyboardInterrupt

    again = of.model_copy(update={"folder": str(tmp_path / "stages/again")})
    with pytest.raises(KeyboardInterrupt):
        run(again, killed)
    assert not again.model_path.exists()
    monkeypatch.setattr(training.pruning.stage, "measure_importance", None)  # is there, so not measured again
    run(again, silent)
    assert files(again.model_path) == first


def test_depth_and_width_are_measured_on_the_same_once(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the sequences with the lowest hashes, which are not evenly spread; after a kill on none."""
    mixture = make_mixture(tmp_path / "mix", tiny_model, n=40)
    calibration = {"mixture": {"path": str(mixture)}, "samples": 5}
    of = job(tmp_path, tiny_model, {"num_hidden_layers": 1, "hidden_size": 60}, cut_max=0.6, calibration=calibration)
    read: list[Any] = []

    def influence(model: Any, rows: list[tuple[int, ...]], told: Any) -> list[float]:
        read.extend(rows)
        return block_influence(model, rows, told=told)

    def killed(step: str, done: float, total: float, note: str = "") -> None:
        if step == "prune":
            raise KeyboardInterrupt

    monkeypatch.setattr(training.pruning.stage, "block_influence", influence)
    with pytest.raises(KeyboardInterrupt):
        run(of, killed)
    assert isinstance(of.stage, Prune) and of.stage.calibration is not None
    samples = read_samples(of.stage.calibration, OpenModel(str(tiny_model), precision="float32"), str(tmp_path))
    assert read == [tuple(row) for sample in samples.samples for row in sample]
    assert Scores.load(of.path / SCORES).n_tokens == sum(map(len, read))
    monkeypatch.setattr(training.pruning.stage, "OpenModel", None)
    made = run(of, silent)
    assert made.tables[-1].title == "Influence of layers"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"to": {"num_attention_heads": 3}}, r"to.num_attention_heads: 3 heads .* cannot share 2 .* one of 2, 4"),
        ({"to": {"hidden_size": 65}}, r"to.hidden_size: found 65; the model has 64"),
        ({"to": {"num_hidden_layers": 3}}, r"to.num_hidden_layers: found 3; the model has 2"),
        (
            {"to": {"hidden_size": 32, "intermediate_size": 64}},
            r"to: cuts 62% of the weights beside embeddings .* more than the 50% .* hidden_size \d+, inter",
        ),
        ({"calibration": {"text": "nowhere.jsonl"}}, r"calibration.text: .*nowhere.jsonl"),
        ({"calibration": {"text": "blank.jsonl"}}, r"calibration.text: blank.jsonl: no row has text in `text`"),
        ({"calibration": {"text": "numbers.jsonl"}}, r"calibration.text: .*`text` holds int; expected text"),
        ({"calibration": {"mixture": {"path": "nowhere"}}}, r"calibration.mixture: .*nowhere"),
    ],
)
def test_what_is_refused(changes: Change, message: str, tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "blank.jsonl", [{"text": " "}])
    tiny.write_jsonl(tmp_path / "numbers.jsonl", [{"text": 3}])
    with pytest.raises(RequestError, match=message):
        run(job(tmp_path, tiny_model, **changes), silent)
    assert not (tmp_path / "stages/narrow/model").exists()


def test_the_sizes_that_are_named_instead_can_be_taken(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError) as refused:
        run(job(tmp_path, tiny_model, {"hidden_size": 32, "num_attention_heads": 2}), silent)
    named = str(refused.value).rsplit(": ", 1)[1]
    sizes = {name: int(size) for name, size in (pair.split(" ") for pair in named.split(", "))}
    assert sizes.keys() == {"hidden_size", "num_attention_heads"}
    made = run(job(tmp_path, tiny_model, sizes), silent)
    assert 0.35 < made.figures["cut_share"] <= 0.5


def test_a_mixture_of_another_tokenizer_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    other = tiny.save_tokenizer(tmp_path / "other", special=tiny.SPECIAL[:2])
    mixture = make_mixture(tmp_path / "mix", other, n=20)
    with pytest.raises(RequestError, match=r"calibration.mixture: .*: it was made with another tokenizer"):
        run(job(tmp_path, tiny_model, calibration={"mixture": {"path": str(mixture)}}), silent)


def test_a_tokenizer_that_is_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    source = tiny.save_model(tmp_path / "model", vocab_size=300)
    with pytest.raises(RequestError, match=r"calibration: holds token \d+, and the model has embeddings of 300"):
        run(job(tmp_path, source), silent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"to": {"head_dim": 16}}, "is kept when pruning"),
        ({"to": {}}, "names nothing to prune"),
        ({"calibration": {"mixture": {"path": "m", "tokens": 5}}}, "`samples` says how much is read"),
        ({"calibration": None}, "is missing: what goes is chosen by text or a mixture"),
        ({"calibration": {}}, "name one of `text` and `mixture`"),
        ({"importance": {"layers": "some"}}, "'sum', 'hidden' or 'each'"),
    ],
)
def test_what_no_manifest_may_say(changes: Change, message: str) -> None:
    stage = {"kind": "prune", "name": "p", "to": SIZES, "calibration": {"text": "t.jsonl"}}
    with pytest.raises(ValidationError, match=message):
        Prune.model_validate(stage | changes)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"num_attention_heads": 3}, r"^--heads: 3 heads of queries cannot share"),
        ({"hidden_size": 65}, r"^--hidden-size: found 65; the model has 64"),
        ({"hidden_size": 8}, r"^cuts 8.* of --cut-max, .* The first could be: --hidden-size \d+$"),
        ({"hidden_size": 60}, r"^--text: .*none\.jsonl"),
    ],
)
def test_on_a_command_line_messages_name_options(
    sizes: dict[str, int], told: str, tmp_path: Path, tiny_model: Path
) -> None:
    with pytest.raises(RequestError, match=told):
        prune_folder(asked_of(sizes, text="none.jsonl"), tiny_model, tmp_path / "out", str(tmp_path))


def test_to_tie_embeddings_takes_no_text(tmp_path: Path, tiny_model: Path) -> None:
    done = prune_folder(asked_of({}, tie_embeddings=True), tiny_model, tmp_path / "out", str(tmp_path))
    assert done.scores is None and load_model(str(tmp_path / "out")).config.tie_word_embeddings
    with pytest.raises(RequestError, match="name one of --text and --mixture"):
        asked_of({"hidden_size": 48}, tie_embeddings=True)
