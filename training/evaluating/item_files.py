"""Files of items: what was asked, and what was said, for people to read."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import xxhash

from training.evaluating.results import Evaluated, Item

ITEMS = "items"
"""Folder of a run: `items/MODEL/RESULT.jsonl`."""


def file_name(model: str) -> str:
    """What files of a model are called: its name, or of one that is known by its folder, that one's and a digest."""
    if "/" not in model and model.strip("."):
        return model
    return f"{Path(model).name or 'model'}-{xxhash.xxh3_64_hexdigest(model.encode())[:8]}"


def write_items(output: Path, model: str, name: str, items: Sequence[Item]) -> str:
    """Write what was asked and said, for people; the path from the run's folder, empty where there is nothing."""
    if not items:
        return ""
    path = output / ITEMS / model / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(b"".join(item.model_dump_json().encode() + b"\n" for item in items))
    partial.rename(path)
    return str(path.relative_to(output))


def read_items(output: Path, result: Evaluated) -> list[Item]:
    """The items of a result; none where there are none, or the file is gone."""
    path = output / result.items
    if not result.items or not path.is_file():
        return []
    return [Item.model_validate(orjson.loads(line)) for line in path.read_bytes().splitlines()]
