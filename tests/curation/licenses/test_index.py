"""ScanCode's matcher as it is used: no file types, nothing left behind, and an answer where it is not installed."""

import importlib.util
import sys
from pathlib import Path

import pytest

from curation.licenses import index
from curation.licenses.detector import LicenseDetector
from manifests.errors import RequestError
from tests.curation.license_examples import standard, text


def test_exact_and_near_copies() -> None:
    exact = index.find(standard("isc"), approximate=False)
    assert [(one.expression, one.coverage, one.kind) for one in exact] == [("isc", 100.0, "text")]
    near = index.find(standard("isc").replace("fee is hereby granted", "charge is hereby given"))
    assert [one.expression for one in near] == ["isc"] and 80 < near[0].coverage < 100
    assert index.find(" \n") == ()


def test_words_put_in_are_told() -> None:
    content = text("mit-attrs").replace("The above copyright", "It must not harm anybody. The above copyright")
    (found,) = (one for one in index.find(content) if one.expression == "mit" and one.kind == "text")
    assert {"must", "not"} <= set(found.inserted.split())


def test_nothing_stays_behind() -> None:
    index.find("MIT")
    import scancode_config

    assert not Path(scancode_config.scancode_temp_dir).exists()
    assert not any(isinstance(sys.modules.get(name), index._Absent) for name in index.FILE_TYPES)


def test_without_the_library_the_request_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RequestError, match=r"pip install 'onggi\[code\]'"):
        LicenseDetector()
