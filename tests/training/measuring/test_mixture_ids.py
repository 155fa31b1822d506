"""Ids of a mixture are those of a model's tokenizer where each is the same token to both, whatever the files say."""

from pathlib import Path

import orjson
import pytest

from curation.mixture.record import MixtureRecord, read_mixture
from curation.tokens.tokenizer import load_tokenizer
from manifests.schema_mixture import Tokenizer
from manifests.store import Folder
from tests.curation.mixture.mixtures import write_mixture
from tests.training import tiny
from training.measuring.mixture_ids import why_other_ids
from training.trainers import load_tokenizer as load_for_model


@pytest.fixture
def record(tmp_path: Path) -> MixtureRecord:
    """Of a mixture that was made with the tokenizer in `theirs`."""
    tiny.save_tokenizer(tmp_path / "theirs", template=None)
    write_mixture(tmp_path / "mixture")
    record = read_mixture(Folder(str(tmp_path / "mixture")))
    settings = Tokenizer(path=str(tmp_path / "theirs"))
    digest = load_tokenizer(settings, "/", "library").digest
    tokenizer = record.tokenizer.model_copy(update={"digest": digest, "path": settings.path})
    return record.model_copy(
        update={"manifest": record.manifest | {"tokenizer": {"path": settings.path}}, "tokenizer": tokenizer}
    )


def why(record: MixtureRecord, model: Path, ids: range = range(tiny.VOCABULARY)) -> str | None:
    return why_other_ids(model, load_for_model(str(model)), record, ids)


def test_the_same_file(record: MixtureRecord, tmp_path: Path) -> None:
    assert why(record, tmp_path / "theirs") is None


def test_tokens_that_were_added_change_no_other(record: MixtureRecord, tmp_path: Path) -> None:
    tokenizer = load_for_model(str(tmp_path / "theirs"))
    tokenizer.add_tokens(["<|tool|>"], special_tokens=True)
    tokenizer.save_pretrained(tmp_path / "model")
    files = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("theirs", "model")]
    assert files[0] != files[1]
    assert why(record, tmp_path / "model") is None
    (tmp_path / "theirs" / "tokenizer.json").unlink()
    found = why(record, tmp_path / "model")
    assert found is not None
    assert found.startswith(
        "it was made with a tokenizer that is not the model's file and cannot be compared with it: "
    )


def test_ids_that_mean_something_else(record: MixtureRecord, tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path / "model", template=None)
    path = tmp_path / "model" / "tokenizer.json"
    parsed = orjson.loads(path.read_bytes())
    vocabulary = parsed["model"]["vocab"]
    names = {id_: token for token, id_ in vocabulary.items()}
    vocabulary[names[300]], vocabulary[names[301]] = 301, 300
    path.write_bytes(orjson.dumps(parsed))
    assert why(record, tmp_path / "model") == (
        f"it was made with another tokenizer: id 300 is {names[300]!r} in it and {names[301]!r} to the model; name a "
        "`text` instead, which each model tokenises itself"
    )
    assert why(record, tmp_path / "model", range(300)) is None


def test_ids_that_the_model_has_not(record: MixtureRecord, tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path / "model", special=tiny.SPECIAL[:2], template=None)
    found = why(record, tmp_path / "model", range(2, 3))
    assert found is not None
    assert "id 2 is '<|im_start|>' in it" in found


def test_a_tokenizer_that_has_changed_since(record: MixtureRecord, tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path / "model", template=None)
    tiny.save_tokenizer(tmp_path / "theirs", special=tiny.SPECIAL[:2], template=None)
    changed = load_for_model(str(tmp_path / "model"))
    changed.add_tokens(["<|tool|>"], special_tokens=True)
    changed.save_pretrained(tmp_path / "model")
    found = why(record, tmp_path / "model")
    assert found == f"it was made with a tokenizer that {tmp_path / 'theirs'} no longer is; name a `text` instead"
