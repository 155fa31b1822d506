"""From HTML to the text that a reader came for: one interface, three engines."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

from curation.main_content import main_content
from curation.main_content_limits import MAX_PEER_DEPTH, ExtractError, refuse_monsters
from manifests.errors import RequestError

Extract = Callable[[str, str | None], str]
Engine = Literal["onggi", "resiliparse", "trafilatura"]

__all__ = ["Engine", "Extract", "ExtractError", "extractor"]


def extractor(engine: Engine) -> Extract:
    """The function `(html, url) -> main text` of an engine; RequestError where it is unknown or not installed.

    The function raises ExtractError, with a machine-readable `reason`, for a page that gives no text. Its text
    holds one paragraph, list item or table row per line, without markup; preformatted text keeps its lines.
    It can be pickled, so that workers receive it as it is.
    """
    engines: dict[str, Extract] = {"onggi": _onggi, "resiliparse": _resiliparse, "trafilatura": _trafilatura}
    if engine not in engines:
        raise RequestError(f"extract.engine: {engine!r} is unknown; valid: {', '.join(engines)}")
    if engine == "trafilatura" and find_spec("trafilatura") is None:
        raise RequestError("extract.engine: trafilatura is not installed: pip install 'onggi[extract]'")
    return engines[engine]


def _onggi(html: str, url: str | None) -> str:
    return main_content(html)


def _resiliparse(html: str, url: str | None) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    refuse_monsters(html.encode("utf-8", "replace"), MAX_PEER_DEPTH)
    return _refuse_empty(extract_plain_text(html, main_content=True, alt_texts=False, comments=False))


def _trafilatura(html: str, url: str | None) -> str:
    import trafilatura

    refuse_monsters(html.encode("utf-8", "replace"), MAX_PEER_DEPTH)
    return _refuse_empty(trafilatura.extract(html, url=url, include_comments=False) or "")


def _refuse_empty(text: str) -> str:
    if not text.strip():
        raise ExtractError("no_text")
    return text
