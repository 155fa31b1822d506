"""Requests for tests."""

from pathlib import Path

from curation.removal.entries import Request, read_request


def request_of(folder: Path, *, copies: bool = False, **entries: list[str]) -> Request:
    """The request for `ids`, `urls` or `domains`, written to files in a folder."""
    files = {}
    for kind, lines in entries.items():
        (folder / f"{kind}.txt").write_text("\n".join(lines), "utf-8")
        files[kind] = [str(folder / f"{kind}.txt")]
    return read_request(files, copies=copies)  # type: ignore[arg-type]
