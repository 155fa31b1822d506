"""What the tests of TeX sources share: archives as arXiv serves them, made in memory."""

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence

Files = Mapping[str, bytes | str]


def encoded(content: bytes | str) -> bytes:
    """UTF-8 where a test wrote text."""
    return content.encode() if isinstance(content, str) else content


def tarred(files: Files, order: Sequence[str] = ()) -> bytes:
    """A tar of the files, in the order given or in that of their names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in order or sorted(files):
            member = tarfile.TarInfo(name)
            content = encoded(files[name])
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(content: bytes | str) -> bytes:
    """Gzipped, the same at all times."""
    return gzip.compress(encoded(content), mtime=0)


def document(body: str, preamble: str = "") -> str:
    """A document of class article."""
    return f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
