"""Plans: what a sample says of a run, and runs that a disk cannot hold."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onggi
from curation import plan_disk, plan_sample
from curation.pipeline import Job, curate
from curation.plan import Estimate, estimate, grown
from curation.plan_disk import check_disk, free_bytes, needed_bytes
from curation.plan_memory import Memory
from curation.plan_watch import StepWatch, table_bytes, table_of
from manifests.errors import RequestError
from manifests.store import Folder
from tests.scenarios.runs import LIGHT, job_of, lay_out

NEAR = LIGHT.replace("{exact: true}", "{near: {}}")
Usage = namedtuple("Usage", "total used free")


def text_job(folder: Path, n_docs: int, dedup: str = "near: {}", n_files: int = 1) -> Job:
    """A job over Parquet files of documents of which every fourth repeats another one but for its last words."""
    (folder / "in").mkdir()
    for number in range(n_files):
        rows = range(number, n_docs, n_files)
        texts = [f"{' '.join(f'word{i // 4 * 4 + j % 40}x{j}' for j in range(150))} ends {i % 4}" for i in rows]
        frame = pl.DataFrame({"text": texts, "key": [str(i) for i in rows]})
        frame.write_parquet(folder / f"in/{number}.parquet", row_group_size=500)
    path = folder / "m.yaml"
    path.write_text(
        "kind: corpus\nname: m\ninputs: [{source: s, path: in/*.parquet, key: key}]\n"
        f"dedup: {{{dedup}}}\noutput: out\n"
    )
    return job_of(path)


def actual(job: Job) -> tuple[StepWatch, dict[str, int]]:
    """The steps of the real run, and its counts."""
    with StepWatch(Folder(job.output)) as watch:
        record = curate(job, watch)
    return watch, record.counts


def check_within(found: Estimate, watch: StepWatch, counts: dict[str, int], times: float) -> None:
    assert counts["read"] / times <= found.n_records <= counts["read"] * times
    peak = max(took.disk_bytes for took in watch.steps.values())
    assert peak / times <= found.disk_bytes <= peak * times
    ram = max(took.peak_bytes for took in watch.steps.values())
    assert ram / 2.5 <= found.ram_bytes <= ram * 2.5  # the tests' own process holds more or less


def test_of_small_inputs_all_is_sampled(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path, NEAR))
    found = estimate(job)
    assert not (tmp_path / "out").exists()
    watch, counts = actual(job)
    assert found.n_records == counts["read"]
    check_within(found, watch, counts, 1.6)
    assert [step.step for step in found.steps] == list(watch.steps)
    last = sum(table_bytes(Folder(job.output)).values())
    assert last - 4_000_000 < found.kept_bytes < last + 4_000_000  # the report's size is taken for granted
    assert found.shares["near"].low == found.shares["near"].expected == found.shares["near"].high


def test_a_part_speaks_for_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_sample, "SAMPLE_BYTES", 600_000)
    job = text_job(tmp_path, 4000, n_files=5)
    found = estimate(job)
    assert 400_000 < found.sampled_bytes < 1_300_000
    watch, counts = actual(job)
    check_within(found, watch, counts, 2.0)
    share = found.shares["near"]
    assert 0 < share.low <= share.expected <= share.high == 1  # every text has a near-duplicate, in another file
    assert found.disk_high_bytes >= found.disk_bytes


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_the_place_in_a_file_tells_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import gzip

    lines = "".join(
        json.dumps({"text": f"{i} " + f"the {i % 7} of {i * i} " * 20}) + "\n" for i in range(3000)
    ).encode()
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    path = tmp_path / "m.yaml"
    path.write_text(f"kind: corpus\nname: m\ninputs: [{{source: s, path: {name}}}]\noutput: out\n")
    monkeypatch.setattr(plan_sample, "SAMPLE_BYTES", 300_000)
    (sample,) = plan_sample.take_sample(job_of(path), Folder(str(tmp_path / "sample")))
    assert sample.taken.n_records < 1500
    assert 2000 < sample.whole.n_records < 4500


def test_nothing_can_be_told_of_inputs_without_records(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "m.yaml").write_text("{kind: corpus, name: void, inputs: [{source: s, path: a.jsonl}], output: out}")
    with pytest.raises(RequestError, match="void: its inputs hold no record"):
        estimate(job_of(tmp_path / "m.yaml"))


@pytest.mark.usefixtures("without_pages")
def test_a_source_that_fails_is_told_of(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    for name, row in {"a": {"body": "x"}, "b": {"text": "Onggi breathes."}}.items():
        lines = [row | {"key": f"{name}{number}"} for number in range(60)]
        lines[:2] = [{"text": "Of a few it is so."}, {"nothing": "at all"}]
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "m.yaml").write_text(
        "kind: corpus\nname: m\ninputs: [{source: a, path: a.jsonl}, {source: b, path: b.jsonl}]\noutput: out\n"
    )
    code, said, _ = command("plan", str(tmp_path / "m.yaml"))
    assert code == 0
    assert [line for line in said.splitlines() if "sampled records" in line] == [
        "59 of 60 sampled records of source a fail: missing_text"
    ]
    code, said, _ = command("plan", str(tmp_path / "m.yaml"), "--json")
    assert [(item["n_sampled"], item["failed"]) for item in json.loads(said)["estimate"]["inputs"]] == [
        (60, {"missing_text": 59}),
        (60, {"missing_text": 1}),
    ]


def test_half_of_a_sample_is_every_second_part(tmp_path: Path) -> None:
    run, half = Folder(str(tmp_path / "all")), Folder(str(tmp_path / "half"))
    for table in ("measured", "keys"):
        for number in range(5):
            (run / table).write_bytes(f"{number}.parquet", str(number).encode())
    plan_sample.half_of(run, half)
    assert (half / "measured").names() == (half / "keys").names() == ["0.parquet", "2.parquet", "4.parquet"]


shares = st.floats(0, 1)


@given(shares, shares, st.floats(1, 4), st.floats(1, 1e6), st.integers(1, 10**6))
def test_shares_keep_their_order(before: float, now: float, times: float, further: float, n_rows: int) -> None:
    share = grown(before, now, times, further, n_rows)
    assert 0 <= share.low == now <= share.expected <= share.high <= 1


def test_shares_grow_as_they_did() -> None:
    assert grown(0.1, 0.1, 2, 100, 1000).expected == pytest.approx(0.1)  # what is alike lies together
    assert grown(0.001, 0.002, 2, 100, 1000).expected == pytest.approx(0.2)  # it lies anywhere: birthdays
    assert grown(0.0, 0.0, 2, 100, 1000).high == pytest.approx(0.3)  # none in a thousand may still be three


def test_workers_share_time_and_add_memory(tmp_path: Path) -> None:
    job = text_job(tmp_path, 10)
    memory = Memory(job.manifest, 40, 10_000_000, 40 << 30, 30 << 30)
    assert memory.n_tasks("measure") == 40
    assert memory.n_tasks("components") == 1
    one, four = (memory.peak_bytes("write", 1 << 28, n) for n in (1, 4))
    assert 4 * one <= four <= 6 * one
    assert memory.peak_bytes("number texts", 0, 1) == 3 * (8 * 14 + 100) * 2_000_000


def test_tables_are_known_without_their_fingerprints() -> None:
    assert table_of(["near-0123456789abcdef", "bands"]) == "near/bands"
    assert table_of(["repeats-0123456789abcdef", "contexts"]) == "repeats/contexts"
    assert table_of(["documents"]) == "documents"
    assert table_of([]) == ""


def test_a_full_disk_refuses_a_run_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = text_job(tmp_path, 400)
    needed = needed_bytes(job)
    asked = []

    def usage(path: Path) -> Usage:
        asked.append(Path(path))
        return Usage(10**12, 10**12, needed - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(RequestError, match=f"{job.output}: the run takes at least .* GB there, and .* GB are free"):
        check_disk(job)
    assert asked == [tmp_path]
    assert not Path(job.output).exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/half-done").write_bytes(bytes(2))  # what is there of the run is not needed again
    check_disk(job)


def test_the_command_exits_2_and_can_be_told_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = text_job(tmp_path, 40, "exact: true")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 0))
    monkeypatch.setattr(plan_sample, "take_sample", None)  # nothing is measured for it
    command = ["onggi", "curate", str(tmp_path / "m.yaml")]
    for extra, code in (([], 2), (["--skip-disk-check"], 0)):
        monkeypatch.setattr("sys.argv", [*command, *extra])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        assert int(ended.value.code or 0) == code
        assert Path(job.output).exists() == (code == 0)
        assert ("--skip-disk-check" in capsys.readouterr().err) == (code == 2)


def test_only_local_disks_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_disk, "needed_bytes", lambda _: 1 << 60)
    job = text_job(tmp_path, 4)
    assert free_bytes("memory://somewhere/out") is None
    check_disk(Job(job.manifest, job.base, "memory://somewhere/out", splits=job.splits))
    with pytest.raises(RequestError):
        check_disk(job)


def test_more_is_needed_for_more_and_less_for_a_preview(tmp_path: Path) -> None:
    from curation.pipeline import sampled

    exact = text_job(tmp_path, 400, "exact: true")
    (tmp_path / "near").mkdir()
    near = text_job(tmp_path / "near", 400, "near: {}, lines: {}, spans: {}")
    assert 0 < needed_bytes(exact) < needed_bytes(near)
    assert needed_bytes(sampled(exact, 0.5)) == pytest.approx(needed_bytes(exact) / 2, abs=1)
