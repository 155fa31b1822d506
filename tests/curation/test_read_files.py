from collections.abc import Iterator

from curation.read_batch import Record, Split
from curation.read_files import file_events

FILES = {"a": ["1", "skipped", "2"], "b": [], "c": ["3"]}
SPLIT = Split("s", "folder", "text", 0, 3, 0, "", tuple(FILES))


def records_of(folder: str, name: str) -> Iterator[Record | str]:
    for key in FILES[name]:
        yield key if key == "skipped" else Record(offset=0, kind="text", key=f"{folder}/{name}/{key}")


def names(cursor: int) -> list[tuple[str, int]]:
    found = file_events(SPLIT, cursor, records_of)
    return [(event if isinstance(event, str) else event.key, after) for event, after in found]


def test_all_records_of_all_files_come_in_order() -> None:
    assert [name for name, _ in names(0)] == ["folder/a/1", "skipped", "folder/a/2", "folder/c/3"]


def test_every_cursor_gives_exactly_what_follows_it() -> None:
    events = names(0)
    for number, (_, cursor) in enumerate(events, 1):
        assert names(cursor) == events[number:]
