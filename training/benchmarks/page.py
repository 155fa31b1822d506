"""Writes the table of docs/benchmarks.md: `python -m training.benchmarks.page`."""

from collections.abc import Iterable
from pathlib import Path

from manifests.house import HOME
from manifests.schema_evaluation import BENCHMARKS
from training.benchmarks.catalogue import task_of
from training.benchmarks.task import Task

PAGE = HOME / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin: python -m training.benchmarks.page -->\n", "<!-- end -->"
HEADER = ("benchmark", "form", "shots", "main score", "columns", "dataset on the hub", "source")
FORMS = {"choices": "likeliest choice", "generation": "written answer"}


def table(tasks: Iterable[Task]) -> str:
    """A row for each benchmark, as Markdown."""
    lines = [HEADER, ("---",) * len(HEADER), *map(_cells, tasks)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _cells(task: Task) -> tuple[str, ...]:
    dataset, configuration = task.hub
    hub = f"`{dataset}`" + (f", `{configuration}`" if configuration else "")
    if task.configurations:
        hub += f", {len(task.configurations)} configurations"
    if task.example_split:
        hub += f"; `{task.test_split}`, examples of `{task.example_split}`"
    form = FORMS[task.form] + (", chat" if task.is_instruct else "")
    columns = ", ".join(f"`{name}`" for name in task.columns)
    return (f"`{task.name}`", form, str(task.shots), f"`{task.main}`", columns, hub, task.source)


def written(page: str, tasks: Iterable[Task]) -> str:
    """The page with the table of these benchmarks.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no lines `{BEGIN.strip()}` and `{END}`")
    return f"{before}{BEGIN}\n{table(tasks)}\n{END}{after}"


def main(page: Path = PAGE) -> None:
    """Write the table of all benchmarks into the page."""
    page.write_text(written(page.read_text("utf-8"), map(task_of, BENCHMARKS)), "utf-8")


if __name__ == "__main__":
    main()
