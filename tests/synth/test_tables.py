"""The tables of a run: TRL's columns, where each sample came from, and what `onggi remove` finds in them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.removal.remove import remove
from manifests.contracts_synthetic import MESSAGES, MESSAGES_WITH_TOOLS
from manifests.digest import TableDigest
from manifests.errors import RequestError, RunError
from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth import tables as module
from synth.drafts import Drafts
from synth.samples import Item, Rejection, Sample
from synth.tables import Written, as_table, equal_samples, id_of, read_table, write_tables
from tests.curation.removal.requests_of import request_of
from tests.synth.drafted import TOOL, ask, chat, document, drafts_of, item, pair, with_tools
from tests.synth.scripted import manifest
from tests.synth.test_drafts import Passed

JUDGE = {"model": "judge", "revision": "j1", "url": "http://127.0.0.1:1/v1"}


def synthesis(**fields: Any) -> SynthesisManifest:
    return manifest({"kind": "reasoning"}, teacher={**JUDGE, "model": "teacher", "revision": "t1"}, **fields)


def write(path: Path, *samples: Sample, shard_bytes: int | None = None) -> list[Written]:
    output = {"path": "out"} | ({"shard_bytes": shard_bytes} if shard_bytes else {})
    return write_tables(Folder(str(path)), drafts_of(path, *samples), synthesis(output=output, judge=JUDGE))


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    return list(read_table(Folder(str(path)), table))


def test_messages(tmp_path: Path) -> None:
    sample = chat(
        3,
        item=item(3, parents=("doc-a",)),
        numbers={"pass_frac": 0.5},
        tags={"difficulty": "medium"},
        parents=("doc-b", "doc-a"),
        variety="math",
        made_by=(ask("가"), ask("나", "judge")),
    )
    drafts = drafts_of(tmp_path, sample, chat(4))
    drafts.settle("length", [Passed(8.0), Passed()], threshold=32.0)
    (written,) = write_tables(Folder(str(tmp_path)), drafts, synthesis(judge=JUDGE))
    first, second = rows(tmp_path, "messages")
    assert first == {
        "id": id_of(sample, "reasoning"),
        "messages": [{"role": "user", "content": "질문 3"}, {"role": "assistant", "content": "답은 3입니다."}],
        "language": "ko",
        "task": "reasoning",
        "variety": "math",
        "source": "seeds.jsonl",
        "license": "CC-BY-4.0",
        "n_chars": 8,
        "is_translated": False,
        "pass_frac": 0.5,
        "difficulty": "medium",
        "provenance": {
            "teacher": "teacher",
            "revision": "t1",
            "sampling": ask().request.sampling,
            "seed": 7,
            "template": "reasoning/solve_ko",
            "template_digest": "0123456789abcdef",
            "requests": [ask("가").request.key("teacher", "t1"), ask("나").request.key("judge", "j1")],
            "item": f"{3:032x}",
            "parent": "doc-a",
            "parents": ["doc-b"],
            "verdicts": [{"gate": "length", "value": 8.0, "threshold": 32.0}],
        },
    }
    assert (second["pass_frac"], second["difficulty"]) == (None, None)
    assert second["provenance"]["parent"] == f"{4:032x}" and second["provenance"]["parents"] == []
    assert (written.name, written.n_rows, len(written.files)) == ("messages", 2, 1)
    assert pq.read_schema(tmp_path / "messages/part-00000.parquet").field("messages").type == MESSAGES


def test_the_teacher_judges_where_nobody_else_does(tmp_path: Path) -> None:
    write_tables(Folder(str(tmp_path)), drafts_of(tmp_path, chat(made_by=(ask(role="judge"),))), synthesis())
    assert rows(tmp_path, "messages")[0]["provenance"]["teacher"] == "teacher"


def test_messages_with_tools(tmp_path: Path) -> None:
    write(tmp_path, with_tools(), chat(1))
    schema = pq.read_schema(tmp_path / "messages/part-00000.parquet")
    assert schema.field("messages").type == MESSAGES_WITH_TOOLS
    first, second = rows(tmp_path, "messages")
    call = {"name": "forecast", "arguments": {"city": "서울", "days": 3, "exact": 12345678901234567890123.0}}
    assert first["messages"] == [
        {"role": "user", "content": "서울 날씨 알려 줘."},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
        {"role": "tool", "content": '{"sky": "맑음"}', "name": "forecast"},
        {"role": "assistant", "content": "맑습니다."},
    ]
    assert json.loads(first["tools"]) == [json.loads(TOOL)]
    assert second["messages"][1] == {"role": "assistant", "content": "답은 3입니다."}  # and no key that is null
    assert second["tools"] is None


def test_numbers_that_datasets_cannot_read(tmp_path: Path) -> None:
    write(tmp_path, with_tools())
    stored = pq.read_table(tmp_path / "messages").column("messages")[0].as_py()
    assert '"exact":1.2345678901234568e22' in stored[1].replace("e+22", "e22")


@pytest.mark.parametrize(
    "arguments", ['{"city": ', '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 300 + "]" * 300, "[" * 99_999], ids=range(5)
)
def test_calls_that_are_no_json_are_text(tmp_path: Path, arguments: str) -> None:
    broken = with_tools()
    call = replace(broken.answer[0].calls[0], arguments=arguments)
    answer = (replace(broken.answer[0], calls=(call,)),)
    write(tmp_path, replace(broken, answer=answer, rejection=Rejection("task", "not_json")))
    (row,) = rows(tmp_path, "rejected")
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == arguments


def test_pairs_and_texts(tmp_path: Path) -> None:
    written = write(tmp_path, document(0, numbers={"score": 3.0}, tags={"reason": "좋다"}), pair(), document(1))
    assert [table.name for table in written] == ["preference", "text"]
    (one,) = rows(tmp_path, "preference")
    assert [len(one[name]) for name in ("prompt", "chosen", "rejected")] == [2, 1, 1]
    assert one["prompt"][0] == {"role": "system", "content": "친절하게 답한다."}
    assert (one["chosen"][0]["content"], one["rejected"][0]["content"]) == ("좋은 답입니다.", "나쁜 답.")
    assert (one["chosen_score"], one["n_chars"]) == (9.0, 8)
    texts = rows(tmp_path, "text")
    assert [row["text"] for row in texts] == ["문서 0입니다.", "문서 1입니다."]
    assert [(row["score"], row["reason"]) for row in texts] == [(3.0, "좋다"), (None, None)]
    assert "tools" not in texts[0]


def test_rejected(tmp_path: Path) -> None:
    nothing = Sample(item(5), "messages", "en", rejection=Rejection("reasoning", "no_answer"))
    wrong = Rejection("verify", "wrong", 0.25, 0.5, "4: 답은 3")
    drafts = drafts_of(tmp_path, pair(), nothing, document(2, rejection=wrong, tags={"reason": "x"}), chat(1))
    drafts.settle("length", [Rejection("length", "too_short", 8, 10), Passed(20.0)])
    write_tables(Folder(str(tmp_path)), drafts, synthesis())
    one, two, three = rows(tmp_path, "rejected")
    assert [row["form"] for row in (one, two, three)] == ["preference", "messages", "text"]
    assert one["rejection"] == {
        "stage": "length",
        "reason": "too_short",
        "value": 8.0,
        "threshold": 10.0,
        "detail": "",
    }
    assert one["chosen"][0]["content"] == "좋은 답입니다." and one["messages"] is None
    assert one["numbers"] == {"chosen_score": 9.0, "rejected_score": 2.0}
    assert two["messages"] == [] and two["rejection"]["reason"] == "no_answer"
    assert two["provenance"]["teacher"] is None and two["provenance"]["parent"] == f"{5:032x}"
    assert three["text"] == "문서 2입니다." and three["tags"] == {"reason": "x"}
    assert three["rejection"]["detail"] == "4: 답은 3"


def test_nothing_at_all(tmp_path: Path) -> None:
    assert write(tmp_path) == []
    assert rows(tmp_path, "messages") == []


# Names of samples.


def test_ids() -> None:
    sample, other = chat(), chat(item=replace(item(), id="x"))
    names = {
        id_of(sample, "reasoning"),
        id_of(sample, "translate"),
        id_of(other, "reasoning"),
        id_of(replace(sample, parents=("y",)), "reasoning"),
        id_of(replace(sample, answer=sample.prompt, prompt=sample.answer), "reasoning"),
        id_of(replace(sample, worse=sample.answer, answer=()), "reasoning"),
        id_of(replace(sample, tools=(TOOL,)), "reasoning"),
        id_of(document(), "reasoning"),
    }
    assert len(names) == 8 and all(len(name) == 32 for name in names)
    same = replace(sample, numbers={"a": 1.0}, tags={"b": "c"}, made_by=(), is_translated=True)
    assert id_of(same, "reasoning") == id_of(sample, "reasoning")


def test_equal_samples_do_not_pass_in_silence(tmp_path: Path) -> None:
    twice = [chat(1), chat(2), chat(1), chat(1, "다른 답.")]
    with pytest.raises(RunError, match=f"two samples of the run have the id {id_of(chat(1), 'reasoning')}"):
        write(tmp_path, *twice)
    drafts = drafts_of(tmp_path, *twice)
    drafts.settle("duplicate", equal_samples(drafts, "reasoning"))
    write_tables(Folder(str(tmp_path)), drafts, synthesis())
    assert [row["id"] for row in rows(tmp_path, "messages")] == [id_of(twice[k], "reasoning") for k in (0, 1, 3)]
    (out,) = rows(tmp_path, "rejected")
    assert out["rejection"]["stage"] == "duplicate" and out["rejection"]["reason"] == "equal"
    assert out["rejection"]["detail"] == out["id"] == id_of(chat(1), "reasoning")
    assert all(row["provenance"]["verdicts"] == [] for row in rows(tmp_path, "messages"))


# Files.


def test_parts_hold_about_so_much_text(tmp_path: Path) -> None:
    some = [chat(k, "가" * 100) for k in range(20)]  # 300 bytes and a little each
    (written,) = write(tmp_path, *some, shard_bytes=1024)
    assert [entry.path for entry in written.files] == [f"messages/part-{k:05d}.parquet" for k in range(7)]
    assert [entry.rows for entry in written.files] == [3, 3, 3, 3, 3, 3, 2]
    assert [row["messages"][0]["content"] for row in rows(tmp_path, "messages")] == [f"질문 {k}" for k in range(20)]
    (again,) = write(tmp_path, chat(0))
    assert [entry.rows for entry in again.files] == [1]


def test_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 3)
    (written,) = write(tmp_path, *[chat(k) for k in range(7)])
    assert pq.ParquetFile(tmp_path / "messages/part-00000.parquet").num_row_groups == 3
    assert written.n_rows == 7


def test_digests_are_of_the_data(tmp_path: Path) -> None:
    some = [chat(0), with_tools(1), pair(2), document(3), document(4, rejection=Rejection("x", "y"))]
    first = write(tmp_path, *some)
    second = write(tmp_path, *reversed(some), shard_bytes=1024)
    assert [table.digest for table in first] == [table.digest for table in second]
    third = write(tmp_path, *some[:-1], replace(some[-1], rejection=Rejection("x", "z")))
    assert [a.digest == b.digest for a, b in zip(first, third, strict=True)] == [True, True, True, False]


def test_a_digest_of_json_is_that_of_its_text() -> None:
    texts = [["{}", '{"a": 1}'], None, []]
    strings = pa.table({"m": pa.array(texts, module.STRINGS)})
    assert TableDigest.of(strings.cast(pa.schema([("m", MESSAGES_WITH_TOOLS)]))) == TableDigest.of(strings)


def test_names_that_are_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="language is the name of another column"):
        write(tmp_path, chat(tags={"language": "ko"}))
    with pytest.raises(ValueError, match="score is the name of another column"):
        write(tmp_path, chat(tags={"score": "3"}, numbers={"score": 3.0}))


def test_another_table_is_refused(tmp_path: Path) -> None:
    write(tmp_path, chat())
    (tmp_path / "text").mkdir()
    (tmp_path / "messages/part-00000.parquet").rename(tmp_path / "text/part-00000.parquet")
    with pytest.raises(RequestError, match="holds messages, expected the table 'text'"):
        rows(tmp_path, "text")


def test_a_table_that_breaks_its_contract(tmp_path: Path) -> None:
    schema = pq.read_schema(_written(tmp_path))
    with pytest.raises(ValueError, match=r"null|Null"):
        as_table([{"id": None}], schema).validate(full=True)


def _written(path: Path) -> Path:
    write(path, chat())
    return path / "messages/part-00000.parquet"


# Documents that are taken down.


def _document(number: int) -> str:
    return f"{0xD0C + number:032x}"


def test_rows_made_from_a_document_are_removed(tmp_path: Path) -> None:
    """With tools or none, from a part of it, from it among others, kept or rejected; and the files stay whole."""

    def seed(number: int) -> Item:
        return Item(_document(number), f"문서 {number}", "ko")

    chunk = Item("chunk", "문서 0의 일부", "ko", parents=(_document(0),))
    gone = [
        chat(0, item=seed(0)),
        chat(1, item=chunk),
        chat(2, item=seed(1), parents=(_document(0),)),
        replace(with_tools(), item=seed(0)),
        replace(pair(), item=seed(0)),
        replace(document(1), item=seed(0)),
        replace(document(2), item=chunk, rejection=Rejection("length", "too_short")),
    ]
    stay = [chat(5, item=seed(1)), replace(with_tools(6), item=seed(2)), replace(pair(7), item=seed(1))]
    write(tmp_path, *gone[:3], *stay, *gone[3:])
    for table in ("messages", "preference", "text", "rejected"):
        assert rows(tmp_path, table)
    receipt = remove([str(tmp_path)], request_of(tmp_path, ids=[_document(0)]))
    assert receipt["runs"][0]["n_rows"] == len(gone)
    left = [row for table in ("messages", "preference", "text", "rejected") for row in rows(tmp_path, table)]
    assert [row["id"] for row in left] == [id_of(sample, "reasoning") for sample in stay]
    schema = pq.read_schema(tmp_path / "messages/part-00000.parquet")
    assert schema.field("messages").type == MESSAGES_WITH_TOOLS and schema.metadata[b"onggi.table"] == b"messages"
    again = remove([str(tmp_path)], request_of(tmp_path, ids=[_document(0)]))
    assert again["runs"][0]["n_rows"] == 0


def test_drafts_may_be_read_again_after_the_tables(tmp_path: Path) -> None:
    drafts: Drafts = drafts_of(tmp_path, chat(0), chat(1))
    first = write_tables(Folder(str(tmp_path)), drafts, synthesis())
    assert write_tables(Folder(str(tmp_path)), drafts, synthesis()) == first
