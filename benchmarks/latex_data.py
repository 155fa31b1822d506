"""TeX sources of real books, manuals and papers, for benchmarks/latex.py: the documentation of TeX Live and of some
programs, as Debian ships them.

    python benchmarks/latex_data.py /tmp/tex       # Debian or Ubuntu; 900 MB are fetched, 250 MB of sources are left

Unpacks the TeX files of each package into FOLDER/corpus/PACKAGE/..., compressed ones and those in archives too.
"""

import argparse
import gzip
import io
import subprocess
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

PACKAGES = (
    "texlive-lang-korean", "texlive-lang-english", "texlive-lang-german", "texlive-science-doc",
    "texlive-latex-recommended-doc", "texlive-latex-extra-doc", "texlive-pictures-doc", "texlive-publishers-doc",
    "texlive-humanities-doc",
)  # fmt: skip
POOL = "http://deb.debian.org/debian/pool/main"
SOURCES = (
    "c/cfitsio/cfitsio_4.2.0.orig.tar.gz", "l/latex-cjk-common/cjk_4.8.5.orig.tar.gz",
    "c/code-saturne/code-saturne_6.0.2.orig.tar.gz", "e/espresso/espresso_6.7.orig.tar.gz",
    "h/hevea/hevea_2.36.orig.tar.gz", "s/sundials/sundials_6.4.1+dfsg1.orig.tar.xz",
    "s/swi-prolog/swi-prolog_9.0.4+dfsg.orig.tar.gz", "w/why3/why3_1.5.1.orig.tar.gz",
)  # fmt: skip
KEPT = (".tex", ".ltx", ".sty", ".cls", ".bbl", ".def", ".xxx")
FILE_BYTES_MAX = 20_000_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True)
    for path in sorted(folder.glob("*.deb")):
        for name, data in of_package(path):
            put(folder / "corpus" / path.name.split("_")[0], name, data)
    for source in SOURCES:
        path = folder / PurePosixPath(source).name
        if not path.exists():
            urllib.request.urlretrieve(f"{POOL}/{source}", path)
        with tarfile.open(path) as archive:
            for name, data in of_tar(archive, ""):
                put(folder / "corpus" / f"src-{path.name.split('_')[0]}", name, data)


def of_package(path: Path) -> Iterator[tuple[str, bytes]]:
    """The TeX files of a Debian package's documentation."""
    command = ["dpkg-deb", "--fsys-tarfile", path]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for name, data in of_tar(archive, ""):
            if "/texlive-doc/" in name:
                yield name.partition("/texlive-doc/")[2], data


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
