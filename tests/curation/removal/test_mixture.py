"""Documents are cut out of a mixture, alone or together with the corpus that they came from, in any order."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import xxhash

from curation.mixture.explain import explain_mixture
from curation.mixture.record import MixtureRecord, read_mixture
from curation.mixture.sequences import SequenceFiles
from curation.mixture.summary import MixtureSummary
from curation.mixture.token_rows import tokens_digest
from curation.removal import mixture as mixture_module
from curation.removal.remove import remove
from curation.removal.tables import digest_of_table
from manifests.contracts import TOKEN_LEDGER
from manifests.engine import HERE
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.mixture import small
from tests.curation.removal.corpora import BLOG, rows, small_corpus
from tests.curation.removal.requests_of import request_of
from tests.curation.removal.token_mixtures import (
    Piece,
    id_of,
    ledger_of,
    pieces_of,
    spans_of,
    write_mixture,
)

pytestmark = pytest.mark.usefixtures("without_charts")

LENGTH = 32
LENGTH_OF_REAL = 64


def pieces(ids: list[str], source: str = "web") -> list[Piece]:
    return [piece for n, name in enumerate(ids) for piece in pieces_of(name, source, 3 + n * 7 % 50, LENGTH)]


def table(run: Folder, name: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(run.file(f"{name}/{file}")) for file in (run / name).names(".parquet"))


def state(run: Folder) -> dict[str, tuple[int, int]]:
    files = (path for path in Path(run.path).rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def check_whole(run: Folder, gone: set[str], before: dict[str, list[Any]]) -> None:
    """All but what had to go is there as it was, and the record says what is there."""
    for name in ("tokens", "validation"):
        assert spans_of(table(run, name)) == [span for span in before[name] if span[0] not in gone]
    counts = ["n_documents", "n_spans", "n_tokens"]
    left = table(run, "ledger").to_pylist()
    there = [row for name in ("tokens", "validation") for row in ledger_of(table(run, name)).to_pylist()]
    assert [sum(row[name] for row in left) for name in counts] == [sum(row[name] for row in there) for name in counts]
    record = run.read_json("run.json")
    assert record["digests"] == {
        "tokens": digest_of_table(run / "tokens", digest=tokens_digest).hex,
        "validation": digest_of_table(run / "validation", digest=tokens_digest).hex,
        "token_ledger": digest_of_table(run / "ledger").hex,
    }
    said = run.read_bytes("summary.json").decode()
    assert not any(name in said for name in gone)
    assert not run.exists("previous.json")


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Folder, list[str], dict[str, list[Any]]]:
    """A mixture of forty documents and ten held out, their ids, and its spans."""
    ids = [id_of(n) for n in range(50)]
    run = write_mixture(
        tmp_path / "mix", pieces(ids[:40]), pieces(ids[40:]), [{"name": "web", "run": "gone", "category": "web"}]
    )
    return run, ids, {name: spans_of(table(run, name)) for name in ("tokens", "validation")}


def test_by_id(mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path) -> None:
    run, ids, spans = mixed
    before = state(run)
    gone = {ids[5], ids[44]}
    digests = run.read_json("run.json")["digests"]
    receipt = remove([run.path], request_of(tmp_path, ids=[*gone, id_of(99)]))
    (part,) = receipt["runs"]
    check_whole(run, gone, spans)
    assert part["ids"] == sorted(gone)
    assert part["n_tokens"] == sum(len(span[4]) for name in spans for span in spans[name] if span[0] in gone)
    assert part["tables"]["tokens"]["digest_before"] == digests["tokens"]
    assert part["tables"]["tokens"]["nothing_else_changed"]
    assert part["tables"]["validation"]["nothing_else_changed"]
    assert [entry["entry"] for entry in receipt["unmatched"]] == [id_of(99)]
    after = state(run)
    changed = {path for path in before if after.get(path) != before[path] and path.startswith(("tokens", "valid"))}
    assert changed == {file["path"] for file in part["files"]}
    assert 0 < len(changed) < len([path for path in before if path.startswith(("tokens", "valid"))])
    (removal,) = run.read_json("run.json")["removed"]
    assert removal["n_documents"] == 2
    assert run.exists(removal["note"])


def test_a_dry_run_and_a_second_time(mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path) -> None:
    run, ids, _ = mixed
    request, before = request_of(tmp_path, ids=[ids[7]]), state(run)
    dry = remove([run.path], request, dry_run=True)
    assert state(run) == before
    done = remove([run.path], request)
    assert dry["runs"][0]["n_tokens"] == done["runs"][0]["n_tokens"] > 0
    before = state(run)
    again = remove([run.path], request)
    assert state(run) == before
    assert again["runs"][0]["done_before"]


@pytest.mark.parametrize(
    "where", ["set_aside", "_cut_file", "_proof", "finish_note", "_write_record", "_write_report", "_tidy"]
)
def test_killed_and_run_again(
    mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    run, ids, spans = mixed
    gone = set(ids[10:20])
    request = request_of(tmp_path, ids=sorted(gone))
    real, calls = getattr(mixture_module, where), []

    def killed(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == (2 if where == "_cut_file" else 1):
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(mixture_module, where, killed)
        with pytest.raises(KeyboardInterrupt):
            remove([run.path], request)
    (part,) = remove([run.path], request)["runs"]
    check_whole(run, gone, spans)
    assert part["tables"]["tokens"]["nothing_else_changed"]
    assert not (run / "removed").names("-plan.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated run."""
    folder = tmp_path_factory.mktemp("finished")
    small_corpus(folder, rows())
    return folder / "out"


@pytest.mark.parametrize("order", ["corpus first", "mixture first", "corpus before", "mixture alone"])
def test_with_the_corpus_that_it_came_from(finished: Path, tmp_path: Path, order: str) -> None:
    shutil.copytree(finished, tmp_path / "out")
    corpus = Folder(str(tmp_path / "out"))
    documents = (corpus / "documents").scan().select("id", "url").collect()
    ids = documents["id"].to_list()
    sources = [{"name": "web", "run": "out", "category": "web"}]
    run = write_mixture(tmp_path / "mix", pieces(ids[5:]), pieces(ids[:5]), sources)
    spans = {name: spans_of(table(run, name)) for name in ("tokens", "validation")}
    url = documents.filter(~documents["url"].str.contains(BLOG).fill_null(True))["url"][0]
    wanted = documents.filter((documents["url"].str.contains(BLOG) | (documents["url"] == url)).fill_null(False))
    request = request_of(tmp_path, domains=[BLOG], urls=[url])
    paths = [corpus.path, run.path]
    if order == "corpus before":
        remove(paths[:1], request)
        request = request_of(tmp_path, domains=["EXAMPLE.com"], urls=[url])  # asks for more than what was removed
        news = documents.filter(documents["url"].str.contains("news.example.com").fill_null(False))
        wanted = documents.filter(documents["id"].is_in([*wanted["id"], *news["id"]]))
    paths = {"mixture first": paths[::-1], "mixture alone": paths[1:]}.get(order, paths)
    receipt = remove(paths, request)
    check_whole(run, set(wanted["id"]), spans)
    assert receipt["unmatched"] == []
    left = (corpus / "documents").scan().collect()["id"]
    assert bool(set(wanted["id"]) & set(left)) == (order == "mixture alone")


def test_a_source_of_files(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    pages = [{"name": n, "body": f"text {n}", "link": f"https://{'a' if n % 2 else 'b'}.kr/{n}"} for n in range(8)]
    (tmp_path / "files/1.jsonl").write_bytes(b"".join(orjson.dumps(page) + b"\n" for page in pages))
    ids = [
        xxhash.xxh3_128_hexdigest(b"f\0%d\0" % page["name"] + xxhash.xxh3_128_digest(page["body"].encode()))
        for page in pages
    ]
    source = {"name": "f", "path": "files", "category": "web", "text": "body", "key": "name", "url": "link"}
    run = write_mixture(tmp_path / "mix", pieces(ids, "f"), pieces([id_of(1)], "f"), [source])
    spans = {name: spans_of(table(run, name)) for name in ("tokens", "validation")}
    receipt = remove([run.path], request_of(tmp_path, domains=["www.A.kr"], urls=["b.kr/4"]))
    check_whole(run, {ids[n] for n in (1, 3, 4, 5, 7)}, spans)
    assert receipt["n_documents"] == 5


def test_addresses_need_the_source(mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path) -> None:
    run, _, _ = mixed
    before = state(run)
    with pytest.raises(RequestError, match=r"source 'web': .*gone holds no run any more.*with --ids"):
        remove([run.path], request_of(tmp_path, domains=["a.kr"]))
    assert state(run) == before


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture that `onggi mix` made."""
    folder = tmp_path_factory.mktemp("real")
    pytest.importorskip("tokenizers")
    changes = {
        "sources": [
            {"name": "ko", "path": "data/ko.parquet", "category": "ko", "key": "key", "url": "key", "epochs_max": 4},
            {"name": "en", "path": "data/en.parquet", "category": "en"},
        ],
        "stages": [
            {"name": "first", "tokens": 6000, "weights": {"ko": 3, "en": 1}},
            {"name": "second", "tokens": 3000, "weights": {"ko": 1, "en": 1}, "transition": 1000},
        ],
        "validation": {"frac": 0.1},
        "output": {"path": "out", "shard_bytes": 8000},
    }
    mixed_in(small.lay_out(folder, **changes))
    return folder


def mixed_in(path: Path) -> MixtureRecord:
    return small.mixed(path)


def test_a_real_mixture(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "copy")
    path = tmp_path / "copy/mix.yaml"
    old = mixed_in(path)  # in its new place
    run = Folder(str(tmp_path / "copy/out"))
    spans = {name: spans_of(table(run, name)) for name in ("tokens", "validation")}
    sampled = [span["id"] for sample in run.read_json("summary.json")["samples"] for span in sample["spans"]]
    first = pc.list_flatten(table(run, "tokens")["document_ids"][:1]).to_pylist()
    gone = {
        *(name.hex() for name in first),
        spans["tokens"][3][0],
        spans["tokens"][-1][0],
        spans["validation"][0][0],
        *sampled[:2],
    }
    (part,) = remove([run.path], request_of(tmp_path, ids=sorted(gone)))["runs"]
    check_whole(run, gone, spans)
    assert part["tables"]["tokens"]["nothing_else_changed"]
    assert part["tables"]["validation"]["nothing_else_changed"]
    assert part["store"]
    sequences = SequenceFiles(run.path).group(0)
    assert sequences.n_tokens[0] == 0
    assert sequences.span_ends(padding=False)[0] > 0
    assert sequences.span_ends(padding=True)[0] == LENGTH_OF_REAL
    record = read_mixture(run)
    cut = [len(span[4]) for span in spans["tokens"] if span[0] in gone]
    assert (
        record.counts["tokens"] == old.counts["tokens"] - sum(cut) == sum(stage.n_tokens for stage in record.stages)
    )
    assert record.counts["padding"] == old.counts["padding"] + sum(cut)
    assert [sum(stage.taken.values()) for stage in record.stages] == [stage.n_tokens for stage in record.stages]
    assert sum(source.taken_tokens for source in record.sources) == record.counts["tokens"]
    held = sum(of["tokens"] for of in record.validation.values())
    assert held == sum(len(span[4]) for span in spans_of(table(run, "validation")))
    assert {entry.path: entry.digest for entry in record.outputs} == {
        "tokens": record.digests["tokens"],
        "validation": record.digests["validation"],
        "ledger": record.digests["token_ledger"],
    }
    summary = MixtureSummary.model_validate(run.read_json("summary.json"))
    assert summary.n_tokens == record.counts["tokens"]
    assert not any(name in run.read_bytes("report.html").decode() for name in gone)
    for name in gone:
        with pytest.raises(RequestError):
            explain_mixture(run, name)
    assert mixed_in(path) == record  # nothing is mixed again
    again = small.mixed(path, None, HERE, "seed=7")  # mixed anew, from files that still hold them
    assert not gone & {span[0] for name in ("tokens", "validation") for span in spans_of(table(run, name))}
    assert again.counts["tokens"] > 0
    for changed in ("limits.slice_bytes=2048", "tokenizer.bos=<|endoftext|>"):  # whose parts of the store are others
        again = small.mixed(path, None, HERE, changed)
        assert not gone & {span[0] for name in ("tokens", "validation") for span in spans_of(table(run, name))}
        assert len(again.removed) == 1


def test_a_store_that_is_gone_remembers(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "copy")
    path, run = tmp_path / "copy/mix.yaml", Folder(str(tmp_path / "copy/out"))
    gone = spans_of(table(run, "tokens"))[0][0]
    run.remove("store")
    (part,) = remove([run.path], request_of(tmp_path, ids=[gone]))["runs"]
    assert part["store"] is None
    small.mixed(path, None, HERE, "seed=7")
    assert gone not in {span[0] for name in ("tokens", "validation") for span in spans_of(table(run, name))}


def test_addresses_in_a_real_mixture(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "copy")
    data = tmp_path / "copy/data/ko.parquet"
    rows_there = pq.read_table(data).to_pylist()
    for number, row in enumerate(rows_there):
        row["key"] = f"https://{'a' if number % 3 else 'b'}.kr/{number}"
    small.parquet(data, rows_there)
    path = tmp_path / "copy/mix.yaml"
    mixed_in(path)
    run = Folder(str(tmp_path / "copy/out"))
    texts = {row["key"]: row["text"] for row in rows_there}
    ids = {
        url: xxhash.xxh3_128_hexdigest(b"ko\0%b\0%b" % (url.encode(), xxhash.xxh3_128_digest(text.encode())))
        for url, text in texts.items()
    }
    before = {span[0] for name in ("tokens", "validation") for span in spans_of(table(run, name))}
    receipt = remove([run.path], request_of(tmp_path, domains=["b.kr"]))
    after = {span[0] for name in ("tokens", "validation") for span in spans_of(table(run, name))}
    wanted = {name for url, name in ids.items() if "//b.kr" in url}
    assert before - after == before & wanted
    assert set(receipt["matched"][0]["ids"]) == before & wanted != set()


def test_the_ledger_is_one_that_others_read(
    mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path
) -> None:
    run, ids, _ = mixed
    remove([run.path], request_of(tmp_path, ids=ids[:3]))
    for name in (run / "ledger").names(".parquet"):
        assert run.fs.exists(run.file(f"ledger/{name}"))
        assert (run / "ledger").parquet_extra(name, "token_ledger")["onggi.table"] == "token_ledger"
        assert pq.read_table(run.file(f"ledger/{name}")).schema.names == TOKEN_LEDGER.names


def test_a_store_elsewhere_that_is_gone_is_not_made(
    mixed: tuple[Folder, list[str], dict[str, list[Any]]], tmp_path: Path
) -> None:
    run, ids, spans = mixed
    record = run.read_json("run.json")
    record["manifest"]["output"]["store"] = str(tmp_path / "elsewhere/store")
    run.write_json("run.json", record)
    (part,) = remove([run.path], request_of(tmp_path, ids=[ids[5]]))["runs"]
    assert part["store"] is None
    assert not (tmp_path / "elsewhere").exists()
    check_whole(run, {ids[5]}, spans)
