"""Models that are kept: a search goes on where it was, and the processes do not matter."""

from pathlib import Path

import pytest

from manifests.engine import silent
from manifests.errors import RunError
from manifests.store import Folder
from tests.training.searching import mixtures
from tests.training.searching.test_proxy import corpus
from training.searching import proxies as module
from training.searching.proxies import PROXIES, Asked, Proxies

ASKED = [Asked(str(number), (number / 4, 1 - number / 4)) for number in range(4)]


def proxies(folder: Path, n_workers: int = 1, seed: int = 0, **changes: float) -> Proxies:
    return Proxies(Folder(str(folder)), corpus(), mixtures.proxy(**changes), seed, n_workers)


def test_a_search_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = proxies(tmp_path / "whole").train(ASKED, "train", silent)
    trained: list[str] = []

    def dies(*given: object) -> object:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append("one")
        return real(*given)

    real = module._train
    monkeypatch.setattr(module, "_train", dies)
    with pytest.raises(KeyboardInterrupt):
        proxies(tmp_path / "killed").train(ASKED, "train", silent)
    monkeypatch.setattr(module, "_train", real)
    file = tmp_path / "killed" / PROXIES
    file.write_bytes(file.read_bytes() + b'{"name": "2", "key')  # a line that is cut off
    again = proxies(tmp_path / "killed")
    found = again.train(ASKED, "train", silent)
    assert again.n_resumed == 2
    assert [one.model_dump(exclude={"seconds"}) for one in found] == [
        one.model_dump(exclude={"seconds"}) for one in whole
    ]
    assert len(file.read_bytes().splitlines()) == 4
    once_more = proxies(tmp_path / "killed")
    assert once_more.train(ASKED, "train", silent) == found and once_more.n_resumed == 4


def test_others_are_trained_anew(tmp_path: Path) -> None:
    proxies(tmp_path).train(ASKED[:2], "train", silent)
    more = proxies(tmp_path)
    assert [one.name for one in more.train(ASKED[:3], "train", silent)] == ["0", "1", "2"]
    assert more.n_resumed == 2
    for other in (proxies(tmp_path, seed=1), proxies(tmp_path, tokens=2560)):
        other.train(ASKED[:1], "train", silent)
        assert other.n_resumed == 0


@pytest.mark.slow  # each process loads torch
def test_processes_give_the_same_bits(tmp_path: Path) -> None:
    here, there = (proxies(tmp_path / str(n), n).train(ASKED[:2], "train", silent) for n in (1, 2))
    assert [(one.losses, one.final_loss) for one in here] == [(one.losses, one.final_loss) for one in there]


def test_a_model_that_diverges_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"search: model 0: step \d+: the loss is"):
        proxies(tmp_path, learning_rate=1e30).train(ASKED[:1], "train", silent)
