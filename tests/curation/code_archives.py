"""Archives of a small repository, made in memory: shared by the tests of reading code."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import zstandard

REPOSITORY: dict[str, bytes] = {
    "LICENSE": b"MIT License\n\nCopyright (c) 2024 Onggi\n",
    "README.md": b"# Onggi\n\nA jar.\n",
    "src/jar.py": b"def jar() -> int:\n    return 1\n",
    "src/__init__.py": b"",
    "src/장독.c": "/* 장독대를 센다 */\nint main(void) { return 0; }\n".encode("cp949"),
    "tests/test_jar.py": b"def test_jar():\n    assert jar() == 1\n",
    "logo.png": b"\x89PNG\r\n\x1a\n\0\0",
    "data/blob": b"\0\1\2\3" * 20,
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": lambda data: data,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda data: zstandard.compress(data),
}


def tar(
    files: Mapping[str, bytes], extra: list[tarfile.TarInfo] | None = None, form: int = tarfile.PAX_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra or []:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def below(top: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{top}/{name}": content for name, content in files.items()}


def lay(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
