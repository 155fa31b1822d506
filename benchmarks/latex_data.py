"""TeX sources of real books, manuals and papers, for benchmarks/latex.py: the documentation of TeX Live and of some
programs, as Debian 12 ships them.

    python benchmarks/latex_data.py /tmp/tex       # 1.7 GB are fetched, 150 MB of sources are left; no apt, no dpkg

Unpacks the TeX files of each package into FOLDER/corpus/PACKAGE/..., compressed ones and those in archives too. What
has been fetched already is not fetched again.
"""

import argparse
import gzip
import io
import shutil
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

POOL = "http://deb.debian.org/debian/pool/main"
PACKAGES = (
    "t/texlive-lang/texlive-lang-korean_2022.20230122-1_all.deb",
    "t/texlive-lang/texlive-lang-english_2022.20230122-1_all.deb",
    "t/texlive-lang/texlive-lang-german_2022.20230122-1_all.deb",
    "t/texlive-extra/texlive-science-doc_2022.20230122-4_all.deb",
    "t/texlive-base/texlive-latex-recommended-doc_2022.20230122-3_all.deb",
    "t/texlive-extra/texlive-latex-extra-doc_2022.20230122-4_all.deb",
    "t/texlive-base/texlive-pictures-doc_2022.20230122-3_all.deb",
    "t/texlive-extra/texlive-publishers-doc_2022.20230122-4_all.deb",
    "t/texlive-extra/texlive-humanities-doc_2022.20230122-4_all.deb",
)
SOURCES = (
    "c/cfitsio/cfitsio_4.2.0.orig.tar.gz", "c/cjk/cjk_4.8.5.orig.tar.gz",
    "c/code-saturne/code-saturne_6.0.2.orig.tar.gz", "c/coq/coq_8.16.1+dfsg.orig.tar.xz",
    "e/espresso/espresso_6.7.orig.tar.gz", "f/feynmf/feynmf_1.08.orig.tar.gz", "h/hevea/hevea_2.36.orig.tar.gz",
    "o/ocaml/ocaml_4.13.1.orig.tar.gz", "p/petsc/petsc_3.18.5+dfsg1.orig.tar.xz",
    "s/sundials/sundials_6.4.1+dfsg1.orig.tar.xz", "s/swi-prolog/swi-prolog_9.0.4+dfsg.orig.tar.gz",
    "w/why3/why3_1.5.1.orig.tar.gz",
)  # fmt: skip
KEPT = (".tex", ".ltx", ".sty", ".cls", ".bbl", ".def", ".xxx")
FILE_BYTES_MAX = 20_000_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        path = fetched(package, folder)
        for name, data in of_package(path):
            put(folder / "corpus" / path.name.split("_")[0], name, data)
    for source in SOURCES:
        path = fetched(source, folder)
        with tarfile.open(path) as archive:
            for name, data in of_tar(archive, ""):
                put(folder / "corpus" / f"src-{path.name.split('_')[0]}", name, data)


def fetched(name: str, folder: Path) -> Path:
    """A file of Debian's pool, fetched whole or not at all."""
    path = folder / PurePosixPath(name).name
    if not path.exists():
        part = path.with_name(f"{path.name}.part")
        with urllib.request.urlopen(f"{POOL}/{name}", timeout=60) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
            expected = int(answer.headers["Content-Length"])
        if part.stat().st_size != expected:
            raise SystemExit(f"{name}: {part.stat().st_size} bytes of {expected} came; run it again")
        part.rename(path)
    return path


def of_package(path: Path) -> Iterator[tuple[str, bytes]]:
    """The TeX files of a Debian package's documentation."""
    with path.open("rb") as file:
        for name, size in members_of_ar(file):
            if name.startswith("data.tar"):
                with tarfile.open(fileobj=io.BytesIO(file.read(size))) as archive:
                    for inner, data in of_tar(archive, ""):
                        if "/texlive-doc/" in inner:
                            yield inner.partition("/texlive-doc/")[2], data
                return


def members_of_ar(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """The members of a .deb, which is an `ar` archive: name and size, with the file at the member's first byte."""
    position = 8  # behind the magic
    while file.seek(position) == position and len(header := file.read(60)) == 60:
        size = int(header[48:58])
        yield header[:16].decode().strip().rstrip("/"), size
        position += 60 + size + size % 2


def of_tar(archive: tarfile.TarFile, prefix: str) -> Iterator[tuple[str, bytes]]:
    """The TeX files of a tar, at any depth of archives."""
    for member in archive:
        if member.isreg() and (file := archive.extractfile(member)):
            yield from taken(f"{prefix}{member.name.removeprefix('./')}", file.read)


def taken(name: str, read: Callable[[], bytes]) -> Iterator[tuple[str, bytes]]:
    """A TeX file, or those in an archive; nothing else is read."""
    lower = name.lower()
    try:
        if lower.endswith(KEPT):
            yield name, read()
        elif lower.endswith(".gz") and lower[:-3].endswith(KEPT):
            yield name[:-3], gzip.decompress(read())
        elif lower.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(read())) as archive:
                for item in archive.infolist():
                    if item.filename.lower().endswith(KEPT) and item.file_size < FILE_BYTES_MAX:
                        yield f"{name[:-4]}/{item.filename}", archive.read(item)
        elif lower.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar")):
            with tarfile.open(fileobj=io.BytesIO(read())) as inner:
                yield from of_tar(inner, f"{name.rsplit('.', 1)[0]}/")
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError) as error:
        print(f"{name}: {error}")


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    if ".." in PurePosixPath(name).parts or len(data) > FILE_BYTES_MAX or path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
