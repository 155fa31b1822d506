import pickle
import sys
from typing import Any

import pytest

from curation.extract import ExtractError, extractor
from manifests.errors import RequestError

SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody in the village minds it very much. "
PAGE = f"""<html><head><title>Foxes</title></head><body><nav><a href="/a">Home</a> <a href="/b">About</a></nav>
<article><h1>Foxes</h1><p>{SENTENCE * 4}</p><p>{SENTENCE * 3}</p></article>
<footer><a href="/imprint">Imprint</a></footer></body></html>"""
ENGINES: list[Any] = ["onggi", "resiliparse", "trafilatura"]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_finds_the_article(engine: Any) -> None:
    text = extractor(engine)(PAGE, None)
    assert text.count("quick brown fox") == 7
    assert "Imprint" not in text and "<" not in text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_page_without_text_fails_with_a_reason(engine: Any) -> None:
    with pytest.raises(ExtractError) as error:
        extractor(engine)("<html><body><script>x</script></body></html>", None)
    assert error.value.reason == "no_text"


@pytest.mark.parametrize("engine", ["resiliparse", "trafilatura"])
def test_peers_refuse_what_they_cannot_nest(engine: Any) -> None:
    with pytest.raises(ExtractError) as error:
        extractor(engine)("<div>" * 10_000 + SENTENCE + "</div>" * 10_000, None)
    assert error.value.reason == "too_deep"


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_travel_to_workers(engine: Any) -> None:
    assert pickle.loads(pickle.dumps(extractor(engine))) is extractor(engine)


def test_unknown_engine() -> None:
    with pytest.raises(RequestError, match="valid: onggi, resiliparse, trafilatura"):
        extractor("goose")  # type: ignore[arg-type]


def test_missing_extra_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["curation.extract"], "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'onggi\[extract\]'"):
        extractor("trafilatura")
