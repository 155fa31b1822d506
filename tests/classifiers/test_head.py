"""A regression head on an encoder: its optimum, its scores in any company, its bytes, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from classifiers import encoder as encoders
from classifiers import head, head_score
from classifiers.cards import CARD, HeadCard, read_card, write_card
from classifiers.evaluate import spearman
from classifiers.head import HeadSettings, fit_on_vectors, lr_share, train_head
from classifiers.scorer import Scorer
from manifests.errors import RequestError, RunError

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GOOD, BAD = [f"원리{k}" for k in range(8)], [f"광고{k}" for k in range(8)]
FAST = HeadSettings(lr=0.02, epochs=60, batch_docs=64, device="cpu")
Numbers = npt.NDArray[np.float64]


def make_examples(seed: int, n: int) -> tuple[pa.LargeStringArray, Numbers]:
    """Texts of 3 to 50 words, and 5 times the share of good ones."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for n_words in rng.integers(3, 50, n):
        is_good = rng.random(n_words) < rng.random()
        texts.append(" ".join(rng.choice(GOOD if good else BAD) for good in is_good))
        labels.append(5 * is_good.mean())
    return pa.array(texts, pa.large_string()), np.array(labels)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


def write_encoder(folder: Path) -> Path:
    """A small BERT with random weights."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    vocabulary = [*SPECIALS, *GOOD, *BAD]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(1)
    model = transformers.BertModel(config)
    model.embeddings.word_embeddings.weight.data *= 4  # words count for more than places
    model.save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle that nobody reads")
    return folder


def plain_vectors(encoder: Path, texts: pa.LargeStringArray) -> Numbers:
    """Mean-pooled vectors by transformers, one text at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()
    rows = []
    for text in texts.to_pylist():
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state[0]
        rows.append(states.mean(0).double().numpy())
    return np.array(rows)


def scores(folder: Path, texts: pa.LargeStringArray) -> Numbers:
    found: Numbers = Scorer(folder).score(texts).score.to_numpy(zero_copy_only=False)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_head_is_that_of_a_plain_loop(encoder: Path, tmp_path: Path) -> None:
    import torch

    texts, labels = make_examples(1, 100)
    settings = HeadSettings(lr=0.01, epochs=3, batch_docs=32, weight_decay=0.1, warmup_frac=0.2, device="cpu")
    told = train_head(texts, labels, encoder, tmp_path / "head", settings)
    vectors = plain_vectors(encoder, texts)
    mean, spread = vectors.mean(0), vectors.std(0)
    inputs, wanted = torch.tensor((vectors - mean) / spread), torch.tensor(labels)
    weight = torch.zeros(32, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(labels.mean(), requires_grad=True)
    optimizer = torch.optim.AdamW(
        [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0}], 0.01
    )
    rng, n_done = np.random.default_rng(0), 0
    for _ in range(3):
        order = rng.permutation(100)
        for batch in (order[:32], order[32:64], order[64:96], order[96:]):
            for group in optimizer.param_groups:  # 12 steps, the first 3 of them rising
                group["lr"] = 0.01 * ((n_done + 1) / 4 if n_done < 3 else (12 - n_done) / 9)
            optimizer.zero_grad()
            ((inputs[batch] @ weight + bias - wanted[batch]) ** 2).mean().backward()
            torch.nn.utils.clip_grad_norm_([weight, bias], 1.0)
            optimizer.step()
            n_done += 1
    expected = (inputs @ weight + bias).detach().numpy()
    assert np.abs(expected - labels.mean()).max() > 0.1
    assert scores(tmp_path / "head", texts) == pytest.approx(expected, abs=1e-4)
    assert (told.n_docs, told.n_steps, told.device) == (100, 12, "cpu")


def test_the_optimum_is_that_of_least_squares(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(2, 200)
    settings = HeadSettings(lr=0.05, epochs=800, batch_docs=200, device="cpu")
    told = train_head(texts, labels, encoder, tmp_path / "head", settings)
    design = np.column_stack([plain_vectors(encoder, texts), np.ones(200)])
    # LayerNorm's outputs add up to 0: without a cut-off the rounding of that direction would be fitted, too
    expected = design @ np.linalg.lstsq(design, labels, rcond=1e-6)[0]
    assert told.losses[-1] == pytest.approx(((expected - labels) ** 2).mean(), rel=0.02)
    assert scores(tmp_path / "head", texts) == pytest.approx(expected, abs=0.05)


def test_dimensions_that_say_nothing_are_left_alone() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 4)).astype(np.float32)
    vectors[:, 2:] = np.array([0.25, 0]) + 1e-32 * vectors[:, 2:]
    labels = np.clip(2 + vectors[:, 0].astype(np.float64), 0, 5)
    settings = HeadSettings(lr=0.05, epochs=200, device="cpu")
    weight, bias, losses = fit_on_vectors(vectors.copy(), labels, settings)
    assert vectors @ weight + bias == pytest.approx(labels, abs=0.5)
    assert losses[-1] < 0.05
    assert np.abs(weight[2:]).max() < 0.1
    assert fit_on_vectors(np.ones((5, 3), np.float32), labels[:5], settings)[2][-1] == pytest.approx(
        labels[:5].var(), abs=1e-4
    )


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_score_does_not_depend_on_its_company(encoder: Path, tmp_path: Path, pooling: Any) -> None:
    texts, labels = make_examples(3, 60)
    settings = HeadSettings(lr=0.02, epochs=5, batch_docs=16, pooling=pooling, device="cpu")
    train_head(texts, labels, encoder, tmp_path / "head", settings)
    scorer = Scorer(tmp_path / "head")
    together = scorer.score(texts).score.to_numpy()
    apart = [scorer.score(texts.slice(k, 1)).score[0].as_py() for k in range(60)]
    assert together == pytest.approx(apart, abs=1e-5)
    assert np.ptp(together) > 0.1


def test_what_is_planted_is_learned(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(4, 400)
    train_head(texts, labels, encoder, tmp_path / "head", FAST)
    fresh, expected = make_examples(5, 200)
    found = Scorer(tmp_path / "head").score(fresh)
    assert spearman(expected, found.score.to_numpy()) > 0.9
    assert found.int_score.to_pylist() == np.rint(found.score.to_numpy()).clip(0, 5).tolist()
    assert {0, 5} <= set(found.int_score.to_pylist())


def test_where_there_is_nothing_to_judge_there_is_no_score(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(6, 20)
    train_head(texts, labels, encoder, tmp_path / "head", FAST)
    mixed = pa.array([None, texts[0].as_py(), " \n\u3000", texts[1].as_py(), "", "모르는 말"], pa.large_string())
    found = Scorer(tmp_path / "head").score(mixed)
    assert found.score.is_null().to_pylist() == [True, False, True, False, True, False]
    assert found.int_score.null_count == 3
    assert found.score.type == pa.float64()
    assert [found.score[1].as_py(), found.score[3].as_py()] == pytest.approx(
        scores(tmp_path / "head", texts.slice(0, 2)), abs=1e-5
    )
    assert len(Scorer(tmp_path / "head").score(texts.slice(0, 0)).score) == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_the_same_examples_give_the_same_bytes(encoder: Path, tmp_path: Path, frozen: bool) -> None:
    texts, labels = make_examples(7, 50)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = HeadSettings(epochs=2, batch_docs=16, frozen=frozen, seed=seed, device="cpu")
        train_head(texts, labels, encoder, tmp_path / name, settings)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert files_of(tmp_path / "a") != files_of(tmp_path / "c")
    assert Scorer(tmp_path / "a").fingerprint == Scorer(tmp_path / "b").fingerprint
    assert Scorer(tmp_path / "a").fingerprint != Scorer(tmp_path / "c").fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_frozen_encoder_is_copied_without_what_is_pickled(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(8, 30)
    own = tmp_path / "own"
    shutil.copytree(encoder, own)
    train_head(texts, labels, own, tmp_path / "head", FAST)
    before = scores(tmp_path / "head", texts)
    expected = {name: content for name, content in files_of(own).items() if not name.endswith(".bin")}
    assert files_of(tmp_path / "head/encoder") == expected
    shutil.rmtree(own)
    (tmp_path / "head").rename(tmp_path / "elsewhere")
    assert scores(tmp_path / "elsewhere", texts).tolist() == before.tolist()


def test_an_encoder_that_is_trained_along_changes_and_learns_more(encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    texts, labels = make_examples(9, 120)
    settings = HeadSettings(
        lr=0.01, encoder_lr=2e-3, epochs=15, batch_docs=32, frozen=False, pooling="cls", device="cpu"
    )
    told = train_head(texts, labels, encoder, tmp_path / "head", settings)
    assert told.losses[-1] < 0.5 * told.losses[0]
    before = load_file(encoder / "model.safetensors")
    after = load_file(tmp_path / "head/encoder/model.safetensors")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert {name for name in before if "pooler" not in name} == changed
    assert ((scores(tmp_path / "head", texts) - labels) ** 2).mean() < told.losses[0]
    assert not list((tmp_path / "head").rglob("*.bin"))


def test_turns_of_a_step_add_up(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(10, 40)
    calm = tmp_path / "calm"
    shutil.copytree(encoder, calm)
    config = json.loads((calm / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (calm / "config.json").write_text(json.dumps(config))
    for name, batch_tokens in (("one", 16_384), ("many", 64)):
        settings = HeadSettings(
            lr=0.01, encoder_lr=1e-3, epochs=3, batch_docs=20, batch_tokens=batch_tokens, frozen=False, device="cpu"
        )
        train_head(texts, labels, calm, tmp_path / name, settings)
    one, many = (scores(tmp_path / name, texts) for name in ("one", "many"))
    assert one == pytest.approx(many, abs=5e-3)
    assert np.ptp(one) > 0.1


def test_what_is_seen_of_a_text_is_in_the_card(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(11, 30)
    settings = HeadSettings(lr=0.02, epochs=2, max_tokens=8, prefix=f"{GOOD[0]} ", pooling="cls", device="cpu")
    train_head(texts, labels, encoder, tmp_path / "head", settings)
    assert read_card(tmp_path / "head") == HeadCard(max_tokens=8, prefix=f"{GOOD[0]} ", pooling="cls")
    long, short = scores(tmp_path / "head", pa.array([" ".join(GOOD * 2), " ".join(GOOD)], pa.large_string()))
    assert long == pytest.approx(short, abs=1e-6)
    assert scores(tmp_path / "head", texts).std() > 0.01


def test_progress_is_told(encoder: Path, tmp_path: Path) -> None:
    texts, labels = make_examples(12, 30)
    told: list[tuple[str, int, int]] = []
    settings = HeadSettings(epochs=2, batch_docs=10, device="cpu")
    train_head(texts, labels, encoder, tmp_path / "head", settings, lambda *step: told.append(step))
    assert told[-6:] == [("train", k, 6) for k in range(1, 7)]
    assert told[-7] == ("embed", 30, 30)


def test_a_training_that_fails_leaves_what_was_there(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = make_examples(13, 30)
    train_head(texts, labels, encoder, tmp_path / "head", FAST)
    before = files_of(tmp_path / "head")
    with pytest.raises(RunError, match=r"the loss of epoch \d+ is (inf|nan); a lower lr than 1e\+30 may help"):
        train_head(texts, labels, encoder, tmp_path / "head", HeadSettings(lr=1e30, device="cpu"))

    def fails(folder: Path, card: HeadCard) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(head, "write_card", fails)
    with pytest.raises(OSError, match="full"):
        train_head(texts, labels, encoder, tmp_path / "head", HeadSettings(device="cpu"))
    monkeypatch.undo()
    assert files_of(tmp_path / "head") == before
    assert [path.name for path in tmp_path.iterdir()] == ["head"]
    train_head(texts, labels, encoder, tmp_path / "head", HeadSettings(epochs=1, device="cpu"))
    assert files_of(tmp_path / "head") != before


def test_a_head_that_does_not_fit_is_refused(encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    texts, labels = make_examples(14, 20)
    folder = tmp_path / "head"
    train_head(texts, labels, encoder, folder, HeadSettings(epochs=1, device="cpu"))
    numbers = np.ones((1, 32), np.float32), np.ones(1, np.float32)
    for weight, bias, message in (
        (numbers[0][:, :8], numbers[1], r"takes weight \(1, 32\) and bias \(1,\)"),
        (numbers[0] * np.inf, numbers[1], "not finite"),
    ):
        save_file({"weight": np.ascontiguousarray(weight), "bias": bias}, folder / "head.safetensors")
        with pytest.raises(RequestError, match=message):
            Scorer(folder)
    (folder / "head.safetensors").write_bytes(b"{}")
    with pytest.raises(RequestError, match=r"head\.safetensors: cannot be read"):
        Scorer(folder)
    (folder / "head.safetensors").unlink()
    with pytest.raises(RequestError, match=r"head\.safetensors: cannot be read"):
        Scorer(folder)


def test_a_gpu_that_is_not_there_is_not_waited_for(encoder: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    texts, labels = make_examples(15, 10)
    with pytest.raises(RequestError, match="torch sees no GPU; give auto or cpu"):
        train_head(texts, labels, encoder, tmp_path / "head", HeadSettings(device="cuda"))


class TestWithoutTorch:
    """What is refused before torch is loaded."""

    TEXTS = pa.array(["가", "나", " \n"], pa.large_string())

    @pytest.fixture(autouse=True)
    def as_if_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (head, head_score):
            monkeypatch.setattr(module, "check_installed", lambda what, extra: None)

    @pytest.mark.parametrize(
        ("n", "labels", "message"),
        [
            (2, [1.0], r"2 texts have labels of shape \(1,\); expected one each"),
            (2, [[1.0], [2.0]], r"labels of shape \(2, 1\)"),
            (2, [1.0, 5.5], r"the label of text 1 is 5\.5; labels are numbers from 0 to 5"),
            (2, [-1, 3], r"the label of text 0 is -1\.0"),
            (2, [1.0, float("nan")], "the label of text 1 is nan"),
            (3, [1, 2, 3], "text 2 is null or blank"),
            (0, [], "there are no texts"),
        ],
    )
    def test_examples_that_cannot_be_learned_from(self, tmp_path: Path, n: int, labels: Any, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            train_head(self.TEXTS.slice(0, n), labels, tmp_path, tmp_path / "head")
        assert not (tmp_path / "head").exists()

    def refuses(self, encoder: Path, folder: Path, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            train_head(self.TEXTS.slice(0, 2), [1, 2], encoder, folder)

    def test_a_folder_that_is_no_encoder(self, tmp_path: Path) -> None:
        self.refuses(tmp_path, tmp_path / "head", "encoder: .* is not a folder with a `config.json`")
        (tmp_path / "config.json").write_text('{"hidden_size": 8}')
        (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
        self.refuses(tmp_path, tmp_path / "head", "no `model.safetensors`; pickled weights are not read")

    def test_what_is_no_classifier_is_not_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept/notes.txt").write_text("mine")
        self.refuses(tmp_path, tmp_path / "kept", r"is there already and holds no classifier\.json")
        self.refuses(tmp_path, tmp_path / "kept/notes.txt", "a head is not written over it")
        assert (tmp_path / "kept/notes.txt").read_text() == "mine"

    def test_a_card_without_its_encoder(self, tmp_path: Path) -> None:
        write_card(tmp_path, HeadCard(pooling="mean", max_tokens=8))
        with pytest.raises(RequestError, match=r"classifier\.json: .*encoder is not a folder with a `config\.json`"):
            Scorer(tmp_path)

    @pytest.mark.parametrize("part", [{"encoder": "../encoder"}, {"head": "/head"}, {"pooling": "max"}])
    def test_a_card_that_leads_elsewhere(self, tmp_path: Path, part: dict[str, str]) -> None:
        card = {"kind": "head", "pooling": "mean", "max_tokens": 8} | part
        (tmp_path / CARD).write_text(json.dumps(card))
        with pytest.raises(RequestError, match=r"classifier\.json: cannot be read"):
            Scorer(tmp_path)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"training a head: torch and .* pip install 'onggi\[train\]'"):
        train_head(pa.array(["가"], pa.large_string()), [1], tmp_path, tmp_path / "head")
    write_card(tmp_path, HeadCard(pooling="mean", max_tokens=8))
    with pytest.raises(RequestError, match=r"classifier\.json: torch and .* pip install 'onggi\[train\]'"):
        Scorer(tmp_path)


def test_the_rate_rises_and_falls() -> None:
    shares = [lr_share(done, 4, 12) for done in range(13)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert np.diff(shares[4:]) == pytest.approx(np.full(8, -0.125))
    assert [lr_share(done, 0, 4) for done in range(5)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
