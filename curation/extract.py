"""From HTML to the text that a reader came for: one interface, three engines."""

from collections.abc import Callable
from typing import Literal

from curation.main_content import ExtractError, main_content
from manifests.errors import RequestError

Extract = Callable[[str, str | None], str]
Engine = Literal["onggi", "resiliparse", "trafilatura"]

__all__ = ["Engine", "Extract", "ExtractError", "extractor"]


def extractor(engine: Engine) -> Extract:
    """The function `(html, url) -> main text` of an engine; RequestError where it is unknown or not installed.

    The function raises ExtractError, with a machine-readable `reason`, for a page that gives no text. Its text
    holds one paragraph, list item or table row per line, without markup; preformatted text keeps its lines.
    """
    if engine == "onggi":
        return main_content
    if engine == "resiliparse":
        return _resiliparse
    if engine == "trafilatura":
        return _trafilatura()
    raise RequestError(f"extract.engine: {engine!r} is unknown; valid: onggi, resiliparse, trafilatura")


def _resiliparse(html: str, url: str | None) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return _refuse_empty(extract_plain_text(html, main_content=True, alt_texts=False, comments=False))


def _trafilatura() -> Extract:
    try:
        import trafilatura
    except ImportError:
        raise RequestError("extract.engine: trafilatura is not installed: pip install 'onggi[extract]'") from None

    def extract(html: str, url: str | None) -> str:
        return _refuse_empty(trafilatura.extract(html, url=url, include_comments=False) or "")

    return extract


def _refuse_empty(text: str) -> str:
    if not text.strip():
        raise ExtractError("no_text")
    return text
