"""The folder of a program: measured while it is at work, and removed whatever it made of it."""

import os
from pathlib import Path

import pytest

from synth.sandboxes.sandbox_workspace import DEPTH_MAX, FILES_MAX, sweep, workspace


def deepen(n_folders: int) -> None:
    """A tree that no path reaches: longer than PATH_MAX."""
    here = os.open(".", os.O_RDONLY)
    try:
        for _ in range(n_folders):
            Path("d" * 100).mkdir()
            os.chdir("d" * 100)
        Path("leaf").write_text("x")
    finally:
        os.fchdir(here)
        os.close(here)


def test_whatever_is_in_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    with workspace(str(tmp_path)) as space:
        monkeypatch.chdir(space.path)
        deepen(1500)
        Path("link").symlink_to(kept)
        Path("moved-up-0").mkdir()
        Path("moved-up-1").write_text("x")
        (Path("a") / "b").mkdir(parents=True)
        (Path("a") / "link").symlink_to(kept / "file")
        Path("a/b").chmod(0)
        Path("a").chmod(0)
        Path("\n").touch()
        os.mkfifo("pipe")
        Path(os.fsdecode(b"\xff")).touch()
        Path().chmod(0)
        monkeypatch.chdir(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").read_text() == "x"


def test_it_goes_when_something_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), workspace(str(tmp_path)) as space:
        Path(space.path, "x").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_much(tmp_path: Path) -> None:
    with workspace(str(tmp_path)) as space:
        folder = Path(space.path)
        assert not space.is_overfull(0)
        (folder / "a").write_bytes(bytes(100_000))
        assert space.is_overfull(90_000)
        assert not space.is_overfull(120_000)
        (folder / "b" / "c").mkdir(parents=True)
        (folder / "b" / "c" / "d").write_bytes(bytes(100_000))
        assert space.is_overfull(120_000)
        assert not space.is_overfull(1_000_000)


def test_what_is_too_many(tmp_path: Path) -> None:
    with workspace(str(tmp_path)) as space:
        for number in range(FILES_MAX // 100 + 1):
            folder = Path(space.path, str(number))
            folder.mkdir()
            assert number >= FILES_MAX // 101 or not space.is_overfull(1 << 30)
            for other in range(100):
                (folder / str(other)).touch()
        assert space.is_overfull(1 << 30)


def test_what_is_too_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with workspace(str(tmp_path)) as space:
        monkeypatch.chdir(space.path)
        deepen(DEPTH_MAX - 1)
        assert not space.is_overfull(1 << 30)
        (Path("e") / "f").mkdir(parents=True)
        os.chdir("e")
        deepen(DEPTH_MAX)
        assert space.is_overfull(1 << 30)
        monkeypatch.chdir(tmp_path)


def test_links_are_not_measured(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1_000_000))
    with workspace(str(tmp_path)) as space:
        Path(space.path, "file").symlink_to(tmp_path / "big")
        Path(space.path, "folder").symlink_to(tmp_path)
        assert not space.is_overfull(100_000)


def test_folders_of_killed_processes_are_swept(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in ("onggi-sandbox-old", "onggi-sandbox-young", "other"))
    for path in (old, young, other):
        path.mkdir()
        (path / "x").touch()
    (tmp_path / "onggi-sandbox-link").symlink_to(other)
    for path in (old, other):
        os.utime(path, (0, 0))
    with workspace(str(tmp_path)) as space:
        os.utime(space.path, (0, 0))
        assert sweep(str(tmp_path)) == 1
        assert Path(space.path).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["onggi-sandbox-link", "onggi-sandbox-young", "other"]
