"""What a crawl will take, by row groups of its index: no page is fetched for a plan.

How much text pages hold and what it costs to measure it is taken from the pages that come with Onggi: real ones,
Korean and English, but not of this crawl. What repeats in a crawl they cannot tell.
"""

from collections.abc import Iterator
from pathlib import Path

import manifests
from curation.read import Batch, Split, plan_splits, read_split
from curation.read_crawl import count_crawl
from manifests.schema import CorpusManifest, Input

PAGES = Path(manifests.__file__).parent / "sample" / "web"
"""WARC files that stand in for those of a crawl."""
GROUPS_MAX = 16
"""Row groups of an index that are looked into."""


def expected_crawl(item: Input, splits: list[Split]) -> tuple[float, float]:
    """(records, bytes of their ranges) of a crawl, from some of its row groups, which lie evenly over all.

    Raises:
        RunError: the index cannot be read.
    """
    n_looked = min(len(splits), GROUPS_MAX)
    looked = [splits[(2 * number + 1) * len(splits) // (2 * n_looked)] for number in range(n_looked)]
    counts = [count_crawl(split, item) for split in looked]
    n_records, n_bytes = (sum(count[of] for count in counts) * len(splits) / n_looked for of in (0, 1))
    return n_records, n_bytes


def stand_in_bytes() -> int:
    """Size of the files that stand in for a crawl's."""
    return sum(path.stat().st_size for path in PAGES.glob("*.warc.gz"))


def stand_in(item: Input, manifest: CorpusManifest) -> Iterator[Batch]:
    """The records of the pages that stand in for a crawl's."""
    pages = Input(source=item.source, path=f"{PAGES}/*.warc.gz", set=item.set)
    for split in plan_splits(pages, "", manifest.limits.shard_bytes):
        yield from read_split(split, pages, manifest.limits, manifest.metadata_names)
