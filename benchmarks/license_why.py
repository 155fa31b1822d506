"""Why verdicts of `benchmarks/licenses.py` differ from declarations: read by hand, package by package."""

WHY: dict[tuple[str, str], str] = {}
FILES_WHY: dict[tuple[str, str], str] = {}
