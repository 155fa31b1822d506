"""Whole mixtures, judged by an oracle: exact whatever the files, the workers, the kills and what is asked of them."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from curation.mixture import pipeline, survey, token_store
from curation.mixture.record import MixtureRecord
from curation.pipeline import curate
from manifests.engine import HERE, Workers
from manifests.errors import RequestError, RunError
from manifests.store import Folder
from tests.curation.mixture import small
from tests.curation.mixture.oracle import Written, check
from tests.scenarios import faults
from tests.scenarios.runs import LIGHT, job_of
from tests.scenarios.runs import lay_out as lay_out_run

pytestmark = pytest.mark.usefixtures("without_pages")

KO, EN = small.rows(300, "ko", small.KOREAN), small.rows(300, "en")
STAGES = [
    {"name": "one", "tokens": 12_000, "weights": {"ko": 30, "en": 70}},
    {"name": "two", "tokens": 18_000, "weights": {"ko": 60, "en": 40}, "transition": 10_000},
    {"name": "three", "tokens": 5000, "weights": {"ko": 1}},
]


def sources(**more: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "path": f"data/{name}.parquet", "category": name, "key": "key", **more}
        for name in ("ko", "en")
    ]


def staged_settings() -> dict[str, Any]:
    """Three stages over two sources, which are gone through more than once."""
    return {
        "sources": sources(epochs_max=4),
        "stages": STAGES,
        "validation": {"frac": 0.05},
        "limits": {"slice_bytes": 4096},
    }


def staged(folder: Path) -> Path:
    return small.lay_out(folder, **staged_settings())


def judged(folder: Path, output: str = "out", **documents: Any) -> Written:
    of = documents or {"ko": small.documents(KO, "key"), "en": small.documents(EN, "key")}
    return check(folder / output, folder / "tokenizer", of)


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Blocks and lots for small mixtures, so that there are several; workers get blocks that are planned already."""
    patch.setattr("curation.mixture.plan.BLOCK_TOKENS", 4096)
    patch.setattr("curation.mixture.plan.BLOCK_SEQUENCES_MIN", 16)
    patch.setattr("curation.mixture.order.LOT_TOKENS", 2048)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MixtureRecord]:
    """A folder with the staged mixture, finished."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return folder, small.mixed(staged(folder))


@pytest.fixture
def folder(base: tuple[Path, MixtureRecord], tmp_path: Path) -> Path:
    """Its inputs and its manifest in another place, without what came of it."""
    shutil.copytree(base[0], tmp_path / "moved", ignore=shutil.ignore_patterns("out"))
    return tmp_path / "moved"


@pytest.fixture
def finished(base: tuple[Path, MixtureRecord], folder: Path) -> Path:
    """The same with what came of it."""
    shutil.copytree(base[0] / "out", folder / "out", copy_function=shutil.copy2)
    return folder


def test_stages_epochs_and_what_is_held_out(base: tuple[Path, MixtureRecord]) -> None:
    written = judged(base[0])
    assert len({row["epoch"] for row in written.ledger}) > 1
    assert len({(row["id_from"], row["source"], row["stage"]) for row in written.ledger}) > 20  # several lots
    assert {span.stage for span in written.training} == {"one", "two", "three"}
    assert written.validation


@pytest.mark.parametrize("limits", [{"slice_bytes": 1024}, {"slice_bytes": 1 << 25}])
@pytest.mark.parametrize("shard_bytes", [1024, 20_000, 1 << 28])
def test_sizes_change_nothing(
    base: tuple[Path, MixtureRecord], folder: Path, limits: dict[str, int], shard_bytes: int
) -> None:
    output = {"path": "out", "shard_bytes": shard_bytes}
    record = small.mixed(small.manifest(folder, **(staged_settings() | {"limits": limits, "output": output})))
    assert record.digests == base[1].digests
    assert (len(list((folder / "out/tokens").iterdir())) > 1) is (shard_bytes < 1 << 28)
    judged(folder)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_files_change_nothing(base: tuple[Path, MixtureRecord], folder: Path, kind: str) -> None:
    """The same rows, in other files of another kind, in another order."""
    for name, rows in (("ko", KO), ("en", EN)):
        (folder / f"data/{name}.parquet").unlink()
        for number in range(3):
            part = list(reversed(rows[number::3]))
            getattr(small, kind)(folder / f"data/{name}{9 - number}.{kind}", part)
    settings = staged_settings()
    for source in settings["sources"]:
        source["path"] = f"data/{source['name']}[0-9].{kind}"
    record = small.mixed(small.manifest(folder, **settings))
    assert record.digests == base[1].digests
    judged(folder)


def test_a_seed_changes_the_order_and_not_what_is_held_out(base: tuple[Path, MixtureRecord], folder: Path) -> None:
    record = small.mixed(folder / "mix.yaml", None, HERE, "seed=7")
    assert record.digests["tokens"] != base[1].digests["tokens"]
    assert record.validation == base[1].validation
    assert record.digests["validation"] == base[1].digests["validation"]
    judged(folder)


def test_workers_change_nothing(base: tuple[Path, MixtureRecord], folder: Path) -> None:
    record = small.mixed(folder / "mix.yaml", None, Workers(2))
    assert record.n_workers == 2
    assert record.digests == base[1].digests
    judged(folder)


def test_a_finished_mixture_is_not_made_again(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "out").rglob("*")}
    small.mixed(finished / "mix.yaml")
    assert {path: path.stat().st_mtime_ns for path in (finished / "out").rglob("*")} == before


def test_what_cannot_be_had_leaves_the_mixture_that_is_there(finished: Path) -> None:
    before = {path: path.read_bytes() for path in (finished / "out").rglob("*.*")}
    with pytest.raises(RequestError, match="are missing"):
        small.mixed(finished / "mix.yaml", None, HERE, "stages.one.tokens=900M")
    small.mixed(finished / "mix.yaml")
    assert {path: path.read_bytes() for path in before} == before


def test_changed_weights_tokenise_nothing(finished: Path) -> None:
    before = small.stored(finished / "out/store")
    stages = [{**STAGES[0], "weights": {"ko": 50, "en": 50}}, *STAGES[1:]]
    record = small.mixed(small.manifest(finished, **(staged_settings() | {"stages": stages})))
    assert record.counts["tokenised_bytes"] == 0
    assert small.stored(finished / "out/store") == before
    judged(finished)


def test_a_changed_last_stage_rewrites_only_its_files(finished: Path) -> None:
    output = {"path": "out", "shard_bytes": 20_000}
    small.mixed(small.manifest(finished, **staged_settings(), output=output))
    before = small.stored(finished / "out/tokens")
    stages = [*STAGES[:2], {**STAGES[2], "weights": {"en": 1}}]
    record = small.mixed(small.manifest(finished, **(staged_settings() | {"stages": stages, "output": output})))
    after = small.stored(finished / "out/tokens")
    same = [name for name in before if after.get(name) == before[name]]
    assert len(same) >= len(before) // 2
    assert record.counts["shards_written"] <= len(after) - len(same) + 1
    judged(finished)


def test_a_changed_predicate_tokenises_its_new_rows(finished: Path) -> None:
    def manifest(where: str) -> Path:
        settings = staged_settings()
        settings["sources"][0] |= {"where": where, "epochs_max": 30}
        return small.manifest(finished, **settings)

    shutil.rmtree(finished / "out")
    small.mixed(manifest("score >= 2"))
    record = small.mixed(manifest("score >= 1"))
    added = [row for row in KO if 1 <= row["score"] < 2]
    assert record.counts["tokenised_bytes"] == sum(len(row["text"].encode()) for row in added)
    chosen = [row for row in KO if row["score"] >= 1]
    judged(finished, ko=small.documents(chosen, "key"), en=small.documents(EN, "key"))
    fresh = small.mixed(finished / "mix.yaml", str(finished / "fresh"))
    assert fresh.digests == record.digests


class KilledError(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize(
    "where",
    [
        (pipeline, "survey", 1),
        (survey, "hold_out", 1),
        (token_store, "_write_part", 2),
        (pipeline, "lay_out", 1),
        (pipeline, "write_shard", 1),
        (pipeline, "_write_ledger", 1),
        (pipeline, "write_record", 1),
        (Folder, "remove", 1),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_killed_anywhere(
    base: tuple[Path, MixtureRecord], finished: Path, where: tuple[Any, str, int], before: bool
) -> None:
    """In a folder of its own, and in one that holds another mixture."""
    if before:
        small.mixed(finished / "mix.yaml", None, HERE, "seed=5")
        shutil.rmtree(finished / "out/store")
    else:
        shutil.rmtree(finished / "out")
    with pytest.MonkeyPatch.context() as patch:
        owner, name, call = where
        real, calls = getattr(owner, name), list[int]()

        def killed(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                raise KilledError
            return real(*args, **kwargs)

        patch.setattr(owner, name, killed)
        with pytest.raises(KilledError):
            small.mixed(finished / "mix.yaml")
    assert small.mixed(finished / "mix.yaml").digests == base[1].digests
    judged(finished)
    assert sorted(path.name for path in (finished / "out").iterdir()) == sorted(
        path.name for path in (base[0] / "out").iterdir()
    )


def test_what_a_kill_left_is_swept_away(base: tuple[Path, MixtureRecord], folder: Path) -> None:
    left = [folder / "out/tokens/.part-00000.parquet.0123abcd", folder / "out/store/ab/.x.npy.0123abcd"]
    (folder / "out/work" / ("0" * 32)).mkdir(parents=True)
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert small.mixed(folder / "mix.yaml").digests == base[1].digests
    assert not any(path.exists() for path in left)
    assert not (folder / "out/work").exists()


def test_a_full_disk(base: tuple[Path, MixtureRecord], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faults.PLAN, faults.plan(folder / "faults", "full", 0.05, 1))
    n_stops, record = 0, None
    while record is None:
        try:
            record = small.mixed(folder / "mix.yaml", f"faulty://{folder}/out")
        except RunError as error:
            assert os.strerror(errno.ENOSPC) in str(error)
            assert "run the same command again" in str(error)
            n_stops += 1
    assert n_stops >= 3
    assert record.digests == base[1].digests
    judged(folder)


def test_an_output_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(RequestError, match=r"file/out.*: this folder cannot be made"):
        small.mixed(folder / "mix.yaml", str(folder / "file/out"))


@pytest.mark.parametrize("name", ["tokens", "validation", "ledger", "work"])
def test_an_output_that_holds_something_else(folder: Path, name: str) -> None:
    theirs = folder / "out" / name / "mine.parquet"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    with pytest.raises(RequestError, match=f"out.* holds .*{name if name != 'work' else 'mine.parquet'}"):
        small.mixed(folder / "mix.yaml")
    assert theirs.read_bytes() == b"precious"


def test_an_output_that_holds_a_run(folder: Path) -> None:
    curate(job_of(lay_out_run(folder / "run", LIGHT), folder / "out"))
    with pytest.raises(RequestError, match="holds a run of `kind: corpus`"):
        small.mixed(folder / "mix.yaml")
    (folder / "out/run.json").rename(folder / "out/previous.json")
    with pytest.raises(RequestError, match="holds a run of `kind: corpus`"):
        small.mixed(folder / "mix.yaml")


def test_a_source_that_the_output_would_replace(finished: Path) -> None:
    moved = finished / "out/tokens/source.parquet"
    shutil.move(finished / "data/ko.parquet", moved)
    settings = staged_settings()
    settings["sources"][0]["path"] = str(moved)
    with pytest.raises(RequestError, match=r"sources: ko: .*source\.parquet: lies where the mixture writes"):
        small.mixed(small.manifest(finished, **settings))
    assert moved.exists()
