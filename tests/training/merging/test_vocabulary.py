"""Vocabularies: told apart token by token; rows merged by token; a union of all, or why there is none."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from manifests.errors import RequestError
from manifests.schema_merge import MergeRule
from tests.training import tiny
from tests.training.merging import merged
from training.merging.arithmetic import slerp
from training.merging.merge import merge
from training.merging.vocabulary import one_vocabulary
from training.model_files import open_checkpoint

EMBEDDING = "model.embed_tokens.weight"


def made(tmp_path: Path, name: str, seed: int, rows: int = 6) -> Path:
    return merged.model(tmp_path / name, merged.arrays_of(seed, rows), vocab_size=rows)


def both(tmp_path: Path, policy: str, t: float = 0.3, **more: Any) -> tuple[merged.Arrays, Any]:
    rule = {"models": ["a", "b"], "tokenizer": policy, "t": t} | more
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    folders = {path.name: path for path in tmp_path.iterdir() if path.is_dir()}
    report = merge(MergeRule(**rule), folders, tmp_path / "out", threads=2)
    return merged.read(tmp_path / "out"), report


def rows(seed: int, n: int = 6, name: str = EMBEDDING) -> np.ndarray[Any, Any]:
    return merged.arrays_of(seed, n)[name]


def test_differences_are_named(tmp_path: Path) -> None:
    for name, vocab in (("a", "p q r s t"), ("b", "p q x r t u v w")):
        merged.tokenizer(made(tmp_path, name, 0, 8), {token: row for row, token in enumerate(vocab.split())})
    with pytest.raises(RequestError) as error:
        both(tmp_path, "same")
    assert str(error.value) == (
        "vocabularies differ: a and b: 1 tokens are only in a ('s' = 3), 4 tokens are only in b ('x' = 2, 'u' = 5, "
        "'v' = 6, ...), 1 have other ids ('r' is 2 and 3). `tokenizer: first` takes that of the first model, `union` "
        "all tokens of all; rows are then merged by token"
    )


def test_same_tokens_in_another_order_of_rules(tmp_path: Path) -> None:
    vocab = {"p": 0, "q": 1, "pq": 2, "qp": 3}
    for name, merges in (("a", ["p q", "q p"]), ("b", [["q", "p"], ["p", "q"]])):
        merged.tokenizer(made(tmp_path, name, 0), vocab, merges=merges)
    with pytest.raises(RequestError, match=r"in another order: rule 0 is \['p', 'q'\] and \['q', 'p'\]"):
        both(tmp_path, "same")
    merged.tokenizer(tmp_path / "b", vocab, merges=[["p", "q"], ["q", "p"]])  # the same, as newer versions write it
    both(tmp_path, "same")


def test_rows_of_no_token_may_differ(tmp_path: Path) -> None:
    vocab = {token: row for row, token in enumerate("pqrs")}
    for seed, (name, n) in enumerate((("a", 6), ("b", 9))):
        merged.tokenizer(made(tmp_path, name, seed, n), vocab)
    found, report = both(tmp_path, "same")
    assert found[EMBEDDING].shape == (6, 4)
    assert np.abs(found[EMBEDDING] - slerp(0.3, rows(0), rows(1, 9)[:6])).max() < 1e-6
    assert any("embeddings have 6, 9 rows; 6 are written" in note for note in report.notes)


def test_first_merges_rows_by_token(tmp_path: Path) -> None:
    merged.tokenizer(made(tmp_path, "a", 0), {token: row for row, token in enumerate("pqrs")})
    merged.tokenizer(made(tmp_path, "b", 1), {token: row for row, token in enumerate("spxq")})
    found, report = both(tmp_path, "first")
    shared_a, shared_b = rows(0)[[0, 1, 3]], rows(1)[[1, 3, 0]]
    assert np.abs(found[EMBEDDING][[0, 1, 3]] - slerp(0.3, shared_a, shared_b)).max() < 1e-6
    assert np.array_equal(found[EMBEDDING][[2, 4, 5]], rows(0)[[2, 4, 5]])  # only a has r, and rows of no token
    assert any("1 of 4 tokens have rows in some models only" in note for note in report.notes)
    assert any("1 tokens of b are left out" in note for note in report.notes)
    content = orjson.loads((tmp_path / "out/tokenizer.json").read_bytes())
    assert list(content["model"]["vocab"]) == list("pqrs")


@pytest.mark.parametrize("part", [1, 100])
def test_union_of_added_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr("training.merging.inputs.PART_NUMBERS", part)
    vocab = {token: row for row, token in enumerate("pqrs")}
    merged.tokenizer(made(tmp_path, "a", 0), vocab, {"<one>": 4})
    merged.tokenizer(made(tmp_path, "b", 1, 7), vocab, {"<two>": 4, "<three>": 6})
    config = merged.config(tmp_path / "b") | {"eos_token_id": [4, 6]}
    (tmp_path / "b/config.json").write_bytes(orjson.dumps(config))
    (tmp_path / "b/generation_config.json").write_bytes(orjson.dumps({"eos_token_id": [4, 6], "top_p": 0.9}))
    (tmp_path / "b/tokenizer_config.json").write_bytes(
        orjson.dumps({"eos_token": "<two>", "chat_template": "{{ messages }}"})
    )
    found, _ = both(tmp_path, "union")
    content = orjson.loads((tmp_path / "out/tokenizer.json").read_bytes())
    assert {token["content"]: token["id"] for token in content["added_tokens"]} == {
        "<one>": 4,
        "<two>": 5,
        "<three>": 6,
    }
    for name in (EMBEDDING, "lm_head.weight"):
        a, b = rows(0, 6, name), rows(1, 7, name)
        assert found[name].shape == (7, 4)
        assert np.abs(found[name][:4] - slerp(0.3, a[:4], b[:4])).max() < 1e-6
        assert np.array_equal(found[name][4], a[4])
        assert np.array_equal(found[name][[5, 6]], b[[4, 6]])
    config = merged.config(tmp_path / "out")
    assert config["vocab_size"] == 7 and config["eos_token_id"] == [5, 6]  # those of the chat template's model
    assert orjson.loads((tmp_path / "out/generation_config.json").read_bytes()) == {
        "eos_token_id": [5, 6],
        "top_p": 0.9,
    }
    settings = orjson.loads((tmp_path / "out/tokenizer_config.json").read_bytes())
    assert settings == {"eos_token": "<two>"}
    assert (tmp_path / "out/chat_template.jinja").read_text() == "{{ messages }}"


def test_union_is_the_tokenizer_that_has_all(tmp_path: Path) -> None:
    merged.tokenizer(made(tmp_path, "a", 0), {token: row for row, token in enumerate("pqr")})
    merged.tokenizer(made(tmp_path, "b", 1, 9), {token: row for row, token in enumerate("pqrstu")}, merges=["s t"])
    found, report = both(tmp_path, "union")
    assert found[EMBEDDING].shape == (9, 4)
    assert np.array_equal(found[EMBEDDING][3:], rows(1, 9)[3:])
    assert any("the tokenizer of b has all tokens of all" in note for note in report.notes)
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (tmp_path / "b/tokenizer.json").read_bytes()


def test_union_of_pieces_and_rules(tmp_path: Path) -> None:
    merged.tokenizer(made(tmp_path, "a", 0), {"p": 0, "q": 1, "r": 2, "pq": 3}, merges=["p q"])
    merged.tokenizer(made(tmp_path, "b", 1), {"p": 0, "q": 1, "r": 2, "qr": 3}, merges=["q r"])
    found, _ = both(tmp_path, "union")
    content = orjson.loads((tmp_path / "out/tokenizer.json").read_bytes())
    assert content["model"]["vocab"] == {"p": 0, "q": 1, "r": 2, "pq": 3, "qr": 4}
    assert content["model"]["merges"] == [["p", "q"], ["q", "r"]]
    assert np.array_equal(found[EMBEDDING][4], rows(1)[3])
    assert np.array_equal(found[EMBEDDING][3], rows(0)[3])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pre_tokenizer": {"type": "ByteLevel"}}, r"cut texts into words in other ways \(pre_tokenizer\)"),
        ({"model": {"type": "Unigram", "vocab": [["p", 0.0], ["z", 0.0]]}}, "a has a BPE tokenizer, b a Unigram one"),
    ],
)
def test_what_cannot_be_united(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    merged.tokenizer(made(tmp_path, "a", 0), {"p": 0, "q": 1})
    merged.tokenizer(made(tmp_path, "b", 1), {"p": 0, "z": 1}, **change)
    with pytest.raises(RequestError, match=said):
        both(tmp_path, "union")


def test_other_pre_tokenizers_of_the_same_tokens_are_told(tmp_path: Path) -> None:
    merged.tokenizer(made(tmp_path, "a", 0), {"p": 0})
    merged.tokenizer(made(tmp_path, "b", 1), {"p": 0}, pre_tokenizer={"type": "ByteLevel"})
    _, report = both(tmp_path, "same")
    assert any("cuts texts into words in another way (pre_tokenizer" in note for note in report.notes)


def test_a_base_without_new_tokens_changes_nothing(tmp_path: Path) -> None:
    vocab = {token: row for row, token in enumerate("pqrs")}
    for seed, name in enumerate("abc"):
        merged.tokenizer(made(tmp_path, name, seed), vocab, {} if name == "c" else {"<new>": 4})
    found, _ = both(tmp_path, "first", method="task_arithmetic", base="c", t=0.5)
    a, b, c = (rows(seed) for seed in range(3))
    assert np.abs(found[EMBEDDING][:4] - (a + b - c)[:4]).max() < 1e-6
    assert np.abs(found[EMBEDDING][4] - ((a + b) / 2)[4]).max() < 1e-6  # the base's is taken to be their mean


def test_models_without_a_tokenizer(tmp_path: Path) -> None:
    made(tmp_path, "a", 0)
    merged.tokenizer(made(tmp_path, "b", 1), {"p": 0})
    _, report = both(tmp_path, "same")
    assert any("a has no tokenizer; its ids are taken to be those of the others" in note for note in report.notes)
    merged.model(tmp_path / "c", merged.arrays_of(1, 7))
    with pytest.raises(RequestError, match="c: has no tokenizer, and 7 rows of embeddings where b has 6"):
        both(tmp_path, "same", models=["b", "c"])


def test_vocabularies_in_other_files(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        (made(tmp_path, name, seed) / "tokenizer.model").write_bytes(b"pieces")
    both(tmp_path, "same")
    assert (tmp_path / "out/tokenizer.model").read_bytes() == b"pieces"
    (tmp_path / "b/tokenizer.model").write_bytes(b"others")
    with pytest.raises(RequestError, match=r"its vocabulary is in no tokenizer\.json, and in other files"):
        one_vocabulary([open_checkpoint(name, tmp_path / name) for name in "ab"], 2, "same")
    (tmp_path / "b/tokenizer.json").write_bytes(b'{"model": 3}')
    with pytest.raises(RequestError, match=r"tokenizer\.json: cannot be read"):
        one_vocabulary([open_checkpoint(name, tmp_path / name) for name in "ab"], 2, "same")


@pytest.mark.filterwarnings("ignore")
def test_real_tokenizers_united(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tiny.save_model(tmp_path / "a", special=[tiny.PAD, tiny.END_OF_TEXT], template=None)
    tiny.save_model(tmp_path / "b", seed=1)
    with pytest.raises(RequestError, match=r"tokens are only in b \('<\|im_start\|>' = 2, '<\|im_end\|>' = 3"):
        both(tmp_path, "same")
    _, report = both(tmp_path, "union")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert len(tokenizer) <= model.get_input_embeddings().num_embeddings == model.config.vocab_size
    text = "<|im_start|>user\n한국어 text<|im_end|>"
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids) == text and tokenizer.convert_tokens_to_ids("<|im_start|>") in ids
    assert tokenizer.chat_template == tiny.chat_template("chatml")
    assert any("the chat template is that of b" in note for note in report.notes)
