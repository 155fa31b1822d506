"""Tokens of the teacher for what was kept."""

from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth.panel import Panel
from synth.pipeline import synthesize
from synth.tables import key_of, makers_of, read_table
from synth.teacher import as_asked, request_of
from synth.teachers.answers import Answer, AnswerStore, Entry
from synth.teachers.token_arrays import TokenArrays, pack
from tests.synth.scripted import manifest

TEXTS = ["The sum is \\boxed{5}.", "No: it is \\boxed{6}."]


def arrays(seed: int) -> TokenArrays:
    chance = np.random.default_rng(seed)
    ids, logprobs = chance.integers(0, 50_000, (4, 3), np.int32), -chance.random((4, 3), np.float32)
    return TokenArrays(np.arange(7, dtype=np.int32), ids[:, 0].copy(), logprobs[:, 0].copy(), ids, logprobs)


def test_kept_samples_have_their_tokens_and_others_none(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    (tmp_path / "seeds.jsonl").write_bytes(orjson.dumps({"text": "What is 2 + 3?", "answer": "5"}) + b"\n")
    chosen = with_logprobs(tmp_path, replay=str(tmp_path / "answers.jsonl"))
    record_answers(chosen, tmp_path)
    record, folder = synthesize(chosen, str(tmp_path))
    assert record.counts["kept"] == 1
    [row] = pq.read_table(f"{folder}/logprobs").to_pylist()
    [sample] = read_table(Folder(folder), "messages")
    assert row["id"] == sample["id"]
    assert [row["request"]] == sample["provenance"]["requests"]
    wanted = arrays(0)
    assert row["tokenizer"] == "hash"
    assert (row["prompt_ids"], row["output_ids"]) == (wanted.prompt_ids.tolist(), wanted.output_ids.tolist())
    assert np.array_equal(np.array(row["top_ids"]).reshape(-1, row["top"]), wanted.top_ids)
    assert np.array_equal(np.array(row["top_logprobs"], np.float32).reshape(-1, row["top"]), wanted.top_logprobs)
    assert "logprobs" in record.digests


def with_logprobs(tmp_path: Path, **backend: str) -> SynthesisManifest:
    teacher = {"model": "t", "logprobs": {"top": 3, "tokenizer": "."}, "sampling": {"temperature": 1.0}, **backend}
    return manifest(
        {"kind": "reasoning", "samples": 2, "language": "en"},
        teacher=teacher,
        seeds=[{"path": "seeds.jsonl", "answer": "answer", "set": {"language": "en"}}],
    )


def record_answers(chosen: SynthesisManifest, tmp_path: Path) -> None:
    """What a teacher said to the two requests of the run, which are seen in what the task asks."""
    from synth.samples import Item
    from synth.tasks.reasoning import Reasoning
    from tests.synth.scripted import setting

    asks = next(Reasoning(setting(chosen)).run(Item("1", "What is 2 + 3?", "en", answer="5")))
    makers = makers_of(chosen)
    with AnswerStore(tmp_path / "made.sqlite") as store:
        entries = [
            Entry(key_of(ask, makers), ask.request, Answer(text, "stop", tokens=pack(arrays(n), "hash")))
            for n, (ask, text) in enumerate(zip(asks, TEXTS, strict=True))
        ]
        store.put(entries, "t", "")
        (tmp_path / "answers.jsonl").write_bytes(b"".join(store.lines()))


def test_a_request_is_known_by_what_is_sent(tmp_path: Path) -> None:
    """The key in a sample's provenance finds its answer, with logprobs and without."""
    plain = manifest({"kind": "multi_turn"})
    request = request_of([("user", "hi")], plain.teacher.sampling)
    assert as_asked(request, plain.teacher) == request
    more = with_logprobs(tmp_path, replay="none.jsonl").teacher
    sent = orjson.loads(as_asked(request, more).sampling)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 3)


def test_without_logprobs_there_is_no_table(tmp_path: Path) -> None:
    from synth.drafts import DraftWriter
    from synth.token_table import write_logprobs

    plain = manifest({"kind": "multi_turn"})
    with DraftWriter(Folder(str(tmp_path / "drafts"))) as writer, Panel(plain, "/", str(tmp_path)) as panel:
        assert write_logprobs(Folder(str(tmp_path)), writer.drafts(), plain, panel) is None
    assert not (tmp_path / "logprobs").exists()
