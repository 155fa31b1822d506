"""Preference pairs from files to token ids: against TRL's own preparation, and what is left out, with its reason."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_training_preferences import PairData
from tests.training import tiny
from training.chat.messages import tools_of
from training.chat.prompts import read_prompts
from training.chat.rows import BadRow, Left
from training.preferences.pairs import PairIds, PairSet, read_pairs, split
from training.trainers import load_tokenizer

USER, GOOD, BAD = (
    {"role": "user", "content": "수도가 어디인가요?"},
    {"role": "assistant", "content": "서울입니다."},
    {"role": "assistant", "content": "I don't know."},
)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Any:
    return load_tokenizer(str(tiny_tokenizer))


def _read(
    tmp_path: Path, rows: Sequence[Mapping[str, Any]], tokenizer: Any, left: Left | None = None, **more: Any
) -> PairSet:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", rows)
    options = {"max_length": 200} | more
    return read_pairs(
        [PairData(path="pairs.jsonl")], str(tmp_path), tokenizer, left if left is not None else Left(), **options
    )


def _texts(tokenizer: Any, pair: PairIds) -> tuple[str, str, str]:
    return tokenizer.decode(pair.prompt), tokenizer.decode(pair.chosen), tokenizer.decode(pair.rejected)


def _of_trl(tokenizer: Any, row: Mapping[str, Any]) -> tuple[list[int], list[int], list[int]]:
    """How TRL's trainer of DPO tokenises a row."""
    from types import SimpleNamespace

    from datasets import Dataset
    from trl import DPOTrainer

    args = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    stub = SimpleNamespace(_tokenizer=tokenizer)
    made = DPOTrainer._prepare_dataset(stub, Dataset.from_list([dict(row)]), tokenizer, args, "train")[0]
    return made["prompt_ids"], made["chosen_ids"], made["rejected_ids"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"prompt": [{"role": "system", "content": "짧게"}, USER], "chosen": [GOOD, USER, GOOD], "rejected": [BAD]},
    ],
)
def test_ids_are_trls(tmp_path: Path, tokenizer: Any, row: dict[str, Any]) -> None:
    [pair] = _read(tmp_path, [row], tokenizer).trained
    assert (pair.prompt.tolist(), pair.chosen.tolist(), pair.rejected.tolist()) == _of_trl(tokenizer, row)


@pytest.mark.filterwarnings("ignore")
def test_texts_without_a_template_are_read_on(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny.save_tokenizer(tmp_path / "plain", template=None)))
    row = {"prompt": "The answer", "chosen": " is 42.", "rejected": "s are none"}
    found = _read(tmp_path, [row], tokenizer)
    [pair] = found.trained
    assert (pair.prompt.tolist(), pair.chosen.tolist(), pair.rejected.tolist()) == _of_trl(tokenizer, row)
    assert tokenizer.decode([*pair.prompt, *pair.chosen]) == "The answer is 42.<|endoftext|>"


def test_texts_are_turns_where_there_is_a_template(tmp_path: Path, tokenizer: Any) -> None:
    rows = [
        {"prompt": USER["content"], "chosen": GOOD["content"], "rejected": BAD["content"]},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": USER["content"], "chosen": [USER, GOOD], "rejected": [USER, BAD]},  # as UltraFeedback has it
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    ]
    found = {_texts(tokenizer, pair) for pair in _read(tmp_path, rows, tokenizer).trained}
    start, end = "<|im_start|>", "<|im_end|>\n"
    assert found == {
        (
            f"{start}user\n{USER['content']}{end}{start}assistant\n",
            f"{GOOD['content']}{end}",
            f"{BAD['content']}{end}",
        )
    }


def test_what_is_left_out_is_counted(tmp_path: Path, tokenizer: Any) -> None:
    good = {"prompt": "q", "chosen": "a", "rejected": "b"}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("equal_answers", good | {"rejected": "a"}),
        ("equal_answers", {"chosen": [USER, GOOD], "rejected": [USER, GOOD]}),
        ("empty_answer", good | {"chosen": " \n"}),
        ("empty_content", {"prompt": [USER], "chosen": [GOOD], "rejected": [GOOD | {"content": ""}]}),
        ("no_rejected", good | {"rejected": None}),
        ("no_prompt", good | {"prompt": None}),
        ("no_prompt", {"chosen": [USER, GOOD], "rejected": [USER | {"content": "x"}, GOOD]}),
        ("empty_prompt", good | {"prompt": ""}),
        ("bad_prompt", good | {"prompt": [USER, GOOD]}),
        ("bad_answer", {"prompt": "other", "chosen": [USER, GOOD], "rejected": [BAD]}),
        ("bad_answer", {"prompt": [USER], "chosen": [GOOD, USER], "rejected": [BAD]}),
        ("unknown_role", {"prompt": [USER], "chosen": [{"role": "robot", "content": "x"}], "rejected": [BAD]}),
        ("empty_content", {"prompt": [USER], "chosen": [{"role": "assistant"}], "rejected": [BAD]}),
        ("bad_tools", good | {"tools": "{"}),
        ("too_long", good | {"rejected": "x" * 300}),
        ("equal_answers", good | {"chosen": [GOOD], "rejected": GOOD["content"]}),
    ]
    left = Left()
    found = _read(tmp_path, [good, *(row for _, row in rows)], tokenizer, left)
    assert len(found.trained) == 1 and not found.held_out
    reasons = [reason for reason, _ in rows]
    assert left.counts == {reason: reasons.count(reason) for reason in reasons}
    first = reasons.index("unknown_role") + 2  # the good row is line 1
    assert f"pairs.jsonl:{first}: `chosen[0].role`: found 'robot'" in left.examples["unknown_role"]
    assert f"pairs.jsonl:{reasons.index('too_long') + 2}: " in left.examples["too_long"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"prompt": "q", "chosen": "a", "rejected": "a"}] * 3,
            r"data\[0\].*pairs.jsonl:1: `chosen` and .* are equal",
        ),
        ([{"prompt": "q", "chosen": "a", "rejected": "b" * 400}], "no pair is left to train on.*`max_length` is 200"),
        ([{"prompt": "q", "chosen": "a"}], "`rejected`: found nothing"),
        ([], "no pair is left to train on: the files are empty"),
    ],
)
def test_nothing_to_train_on_is_refused(tmp_path: Path, tokenizer: Any, rows: list[Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        _read(tmp_path, rows, tokenizer)


def test_messages_need_a_template(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny.save_tokenizer(tmp_path / "plain", template=None)))
    with pytest.raises(RequestError, match=r"messages need a chat template.*begin with a stage `sft`"):
        _read(tmp_path, [{"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}], tokenizer)


def test_margins(tmp_path: Path, tokenizer: Any) -> None:
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "b", "margin": value} for value in (1, 0.5, None, "1", True, -0.5)
    ]
    left = Left()
    found = _read(tmp_path, rows, tokenizer, left, margin=True)
    assert [pair.margin for pair in found.trained] == [1.0, 0.5, -0.5]
    assert left.counts == {"bad_margin": 3}
    assert {pair.margin for pair in _read(tmp_path, rows, tokenizer).trained} == {0.0}


def test_files_of_all_kinds(tmp_path: Path, tokenizer: Any) -> None:
    rows = tiny.pairs(6)
    folder = tmp_path / "all"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:2]), folder / "a.parquet")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, rows[2:4]))))
    tiny.write_jsonl(folder / "c.jsonl", [row | {"score": n} for n, row in enumerate(rows[4:])])
    options: dict[str, Any] = {"max_length": 300}
    together = read_pairs([PairData(path="all")], str(tmp_path), tokenizer, Left(), **options).trained
    single = _read(tmp_path, rows, tokenizer, max_length=300).trained
    assert [_texts(tokenizer, pair) for pair in together] == [_texts(tokenizer, pair) for pair in single]
    left = Left()
    some = PairData(path="all/c*", where="score = 1", domain="maths")
    [pair] = read_pairs([some], str(tmp_path), tokenizer, left, **options).trained
    assert pair.domain == "maths" and left.counts == {"where": 1}


def test_a_run_of_synth_is_read_by_its_table_of_preferences(tmp_path: Path, tokenizer: Any) -> None:
    """Messages are JSON there where samples have tools."""
    from manifests.contracts import versioned
    from manifests.contracts_synthetic import Columns, synthetic_schema
    from tests.training.chat.test_rows import run_of_synth

    run_of_synth(tmp_path / "run")
    schema = synthetic_schema("preference", Columns(has_tools=True))
    sides = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    row: dict[str, Any] = {field.name: None for field in schema}
    row |= dict.fromkeys(("id", "language", "task", "variety", "source"), "") | {"n_chars": 0}
    row |= {"is_translated": False, "provenance": {}, "tools": '[{"name": "weather"}]'}
    arrays = [
        pa.array([[orjson.dumps(one).decode() for one in sides[field.name]]], pa.list_(pa.string())).cast(field.type)
        if field.name in sides
        else pa.array([row[field.name]], field.type)
        for field in schema
    ]
    (tmp_path / "run/preference").mkdir()
    table = pa.Table.from_arrays(arrays, schema=versioned(schema, "preference"))
    pq.write_table(table, tmp_path / "run/preference/part-00000.parquet")
    [pair] = read_pairs([PairData(path="run")], str(tmp_path), tokenizer, Left(), max_length=900).trained
    prompt, *answers = _texts(tokenizer, pair)
    assert '"weather"' in prompt and answers == ["서울입니다.<|im_end|>\n", "I don't know.<|im_end|>\n"]


def _pair(domain: str, prompt: int) -> PairIds:
    import numpy as np

    one = np.ones(1, np.int32)
    return PairIds(one, one, one, 0.0, domain, prompt)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=1, max_size=60),
    st.floats(0.01, 0.5),
    st.integers(0, 5),
    st.randoms(),
)
def test_held_out_pairs_share_no_prompt_with_the_others(
    rows: list[tuple[str, int]], share: float, seed: int, random: Any
) -> None:
    pairs = [_pair(*row) for row in rows]
    trained, held = split(pairs, share, seed)
    assert len(trained) + len(held) == len(pairs)
    assert not {pair.prompt_hash for pair in trained} & {pair.prompt_hash for pair in held}
    for domain in {pair.domain for pair in pairs}:
        of_domain = [pair.prompt_hash for pair in pairs if pair.domain == domain]
        if len({pair.domain for pair in pairs}) == 1:
            assert {pair.prompt_hash for pair in trained}
        if len(set(of_domain)) > 1 and len(of_domain) == len(set(of_domain)):
            n_held = sum(pair.domain == domain for pair in held)
            assert n_held >= min(share * len(of_domain), len(of_domain) - 1) - 1e-9
    shuffled = random.sample(pairs, len(pairs))
    held_prompts = {pair.prompt_hash for pair in held}
    if len({pair.domain for pair in pairs}) == 1:
        assert {pair.prompt_hash for pair in split(shuffled, share, seed)[1]} == held_prompts


def test_prompts(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "1+1?", "answer": 2},
        {"prompt": [USER], "answer": "서울"},
        {"messages": [USER, GOOD], "answer": "서울"},
        {"messages": [GOOD]},
        {"prompt": "no answer"},
    ]
    tiny.write_jsonl(tmp_path / "prompts.jsonl", rows)
    left = Left()
    found = read_prompts("prompts.jsonl", str(tmp_path), "prompts", left, needs_answer=True)
    assert [(one.prompt, one.answer) for one in found] == [("1+1?", "2"), ([USER], "서울"), ([USER], "서울")]
    assert left.counts == {"no_answer": 2}
    assert len(read_prompts("prompts.jsonl", str(tmp_path), "prompts", Left())) == 4


def test_tools() -> None:
    assert tools_of(None) == tools_of("") == ()
    assert tools_of('[{"name": "f"}]') == tools_of([{"name": "f"}]) == ({"name": "f"},)
    for bad in ("{", '{"name": 1}', [1], 3):
        with pytest.raises(BadRow):
            tools_of(bad)
