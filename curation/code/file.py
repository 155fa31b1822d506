"""One file of a repository as a record: its text, its language, what kind of file it is, and its licence."""

import re
from typing import TYPE_CHECKING

from xxhash import xxh3_128_digest

from curation.code.headers import without_headers
from curation.code.kinds import file_kind
from curation.code.languages import all_languages, language_of
from curation.code.names import NOT_SOURCE
from curation.code.notebooks import BadNotebookError, read_notebook
from curation.code.text import decode_source, is_binary
from curation.read_batch import Note, Record
from manifests.errors import RequestError
from manifests.schema_readers import Code

if TYPE_CHECKING:
    from curation.licenses.detector import FileLicense, LicenseDetector, RepositoryLicense

NOTEBOOK = "Jupyter Notebook"
_LFS = b"version https://git-lfs.github.com/spec/"
_NOT_WRITTEN = frozenset({"eps", "ps", "ai", "ppm", "pgm", "pbm", "bdf", "rtf", "xcf", "cur"})
"""Endings of what is text and nobody writes."""
_NO_ALNUM = dict.fromkeys(map(ord, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
_OTHER_ALNUM = re.compile(r"[^\W_\x00-\x7f]+")
_LINE_END = re.compile(r"\r\n?")


def wanted_languages(settings: Code) -> frozenset[str]:
    """The languages that an input asks for, as they are spelled here; empty for all.

    Raises:
        RequestError: a language is unknown.
    """
    known = all_languages()
    unknown = [name for name in settings.languages if name.lower() not in known]
    if unknown:
        near = sorted({known[name] for name in known for wrong in unknown if name[:2] == wrong.lower()[:2]})[:10]
        raise RequestError(
            f"code.languages: unknown: {', '.join(unknown)}; known are, among {len(set(known.values()))}: "
            f"{', '.join(near) or 'Python, C++, JavaScript'}"
        )
    return frozenset(known[name.lower()] for name in settings.languages)


def what_it_is(path: str, content: bytes) -> tuple[str, str] | None:
    """Why a file is no text, as a reason and a detail; None where it may be text."""
    ending = path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""
    what = NOT_SOURCE.get(ending)
    if content.startswith(_LFS):
        return "content_type", "a pointer of Git LFS"
    if what and (ending in _NOT_WRITTEN or is_binary(content)):
        return "content_type", f".{ending}: {what}"
    return ("binary", f".{ending}" if ending else "") if is_binary(content) else None


def alnum_frac(text: str) -> float:
    """Share of a text's characters that are letters or digits, in any script."""
    n_ascii = len(text) - len(text.translate(_NO_ALNUM))
    n_others = 0 if text.isascii() else sum(map(len, _OTHER_ALNUM.findall(text)))
    return (n_ascii + n_others) / max(1, len(text))


class FileReader:
    """Fills in the records of files by the settings of an input."""

    def __init__(self, settings: Code, detector: "LicenseDetector | None") -> None:
        self._settings, self._detector = settings, detector
        self._languages = wanted_languages(settings)

    def fill(self, record: Record, path: str, content: bytes, licenses: "RepositoryLicense | None") -> Record | str:
        """The record with the file's text and facts, or dropped; or what is skipped, as a language not asked for."""
        digest = xxh3_128_digest(content)
        not_text = what_it_is(path, content)
        if not_text or not content:
            reason, detail = not_text or ("empty_file", "")
            return record.drop(reason, detail or None, digest, len(content))
        decoded = decode_source(content)
        text = _LINE_END.sub("\n", decoded.text) if "\r" in decoded.text else decoded.text
        language = language_of(path, text)
        if language == NOTEBOOK:
            try:
                notebook = read_notebook(content)
            except BadNotebookError as error:
                return record.fail("malformed_notebook", str(error), digest, len(content))
            text, language = notebook.text, notebook.language or NOTEBOOK
        text = _LINE_END.sub("\n", text) if "\r" in text else text
        if self._languages and language not in self._languages:
            return "another language"
        if decoded.replaced:
            record.notes.append(Note("undecodable", f"read as {decoded.charset}: {decoded.replaced}"))
        self._add_facts(record, path, text, language, content, licenses)
        return self._finish(record, text, language, digest, len(content))

    def _add_facts(
        self,
        record: Record,
        path: str,
        text: str,
        language: str | None,
        content: bytes,
        licenses: "RepositoryLicense | None",
    ) -> None:
        record.metadata["programming_language"] = language
        record.metadata["line_chars_max"] = str(max(map(len, text.split("\n"))))
        record.metadata["alnum_frac"] = f"{alnum_frac(text):.4f}"
        record.metadata["file_kind"] = self._kind(record, path, text, language)
        if self._detector is not None and licenses is not None:
            shown = text.encode("utf-8", "replace") if language == NOTEBOOK or path.endswith(".ipynb") else content
            found: FileLicense = self._detector.file(path, shown, licenses)
            record.license = found.expression
            record.metadata |= {"license_verdict": found.verdict, "license_evidence": found.evidence or None}

    def _kind(self, record: Record, path: str, text: str, language: str | None) -> str:
        repository = record.metadata.get("repository") or ""
        return file_kind(path, language, text, self._settings.data_bytes, repository).value

    def _finish(self, record: Record, text: str, language: str | None, digest: bytes, n_bytes: int) -> Record:
        if self._settings.headers != "keep":
            text, _ = without_headers(text, language, only_legal=self._settings.headers == "drop_copyright")
        if not text.strip():
            return record.drop("empty_file", "nothing but white space and what was left out", digest, n_bytes)
        return record.keep(text.encode("utf-8", "replace"), digest)
