"""Crawls in a manifest: the short form, and what cannot be meant."""

from typing import Any

import pytest
from pydantic import ValidationError

from manifests.schema import Input


def test_the_name_alone_is_enough() -> None:
    item = Input(source="cc", crawl="CC-MAIN-2025-05", languages=["kor"])
    assert item.crawl and item.crawl.id == "CC-MAIN-2025-05" and item.crawl.fetch.requests_per_second == 10
    assert item == Input(source="cc", crawl={"id": "CC-MAIN-2025-05"}, languages=["kor"])
    assert Input.model_validate(item.model_dump()) == item


def test_a_share_may_be_a_percentage() -> None:
    item = Input(source="cc", crawl={"id": "CC-MAIN-2025-05", "sample": "2.5%"})
    assert item.crawl and item.crawl.sample == 0.025


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"crawl": "CC-2025"}, "crawl.id"),
    ({"crawl": "CC-MAIN-2025-05", "languages": ["ko"]}, "languages.0"),
    ({"path": "a", "languages": ["kor"]}, "languages goes with `crawl`"),
    ({"crawl": "CC-MAIN-2025-05", "text": "t"}, "text does not go with `crawl`"),
    ({"crawl": "CC-MAIN-2025-05", "format": "warc"}, "format does not go with `crawl`"),
    ({"crawl": {"id": "CC-MAIN-2025-05", "sample": 0}}, "crawl.sample"),
    ({"crawl": {"id": "CC-MAIN-2025-05", "tlds": [".kr"]}}, "crawl.tlds.0"),
    ({"crawl": {"id": "CC-MAIN-2025-05", "hosts": ["한국.kr"]}}, "crawl.hosts.0"),
    ({"crawl": {"id": "CC-MAIN-2025-05", "fetch": {"requests_per_second": 0}}}, "crawl.fetch.requests_per_second"),
    ({}, "path: name a file"),
]


@pytest.mark.parametrize(("given", "expected"), WRONG)
def test_what_cannot_be_meant(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Input(source="cc", **given)
    told = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()]
    assert any(expected in line for line in told), told
