"""Which part of a page is its main content: the engine `onggi`."""

from resiliparse.extract.html2text import extract_plain_text


class ExtractError(Exception):
    """A page that gives no text; `reason` is the machine-readable why, such as `no_text` or `too_deep`."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def main_content(html: str, url: str | None = None) -> str:
    """The main text of a page, one paragraph, list item or table row per line."""
    text: str = extract_plain_text(html, main_content=True, alt_texts=False, comments=False)
    if not text.strip():
        raise ExtractError("no_text")
    return text
