"""YAML files of tasks of lm-eval: what they may hold, so that reading and running them runs no code of theirs.

lm-eval takes functions by tags, loads metrics that it does not know as scripts, and renders templates that reach all
of Python; none of that is let of a file that somebody wrote. What lm-eval ships is its own code, and may.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lm_eval.api.metrics
import lm_eval.tasks
import lm_eval.utils
import yaml
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lm_eval.api.registry import AGGREGATION_REGISTRY, METRIC_REGISTRY

from manifests.errors import RequestError

SHIPPED = Path(str(lm_eval.tasks.__file__)).resolve().parent
RUNS_CODE = ("class", "custom_dataset", "use_prompt", "unsafe_code")
"""Fields of a task that name Python code, read another file, or hide that answers are run."""


@contextmanager
def sandboxed_templates(at: str) -> Iterator[None]:
    """In here lm-eval renders templates that reach nothing but what they are given.

    Raises:
        RequestError: a template reaches for more.
    """
    own = lm_eval.utils.env
    safe = ImmutableSandboxedEnvironment(
        loader=own.loader, undefined=own.undefined, keep_trailing_newline=own.keep_trailing_newline
    )
    safe.filters.update(own.filters)
    lm_eval.utils.env = safe
    try:
        yield
    except SecurityError as error:
        raise RequestError(f"{at}: a template runs what a template may not: {error}") from error
    finally:
        lm_eval.utils.env = own


def check_no_code(path: Path, at: str, seen: frozenset[Path] = frozenset()) -> list[Path]:
    """Check a file and what it includes, and tell which files these are; what lm-eval ships may name functions of its
    own.

    Raises:
        RequestError: it names a function, or cannot be read.
    """
    try:
        text = path.read_text("utf-8")
        config = yaml.load(text, _Plain)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RequestError(f"{at}: {path}: is no YAML that can be read: {error}") from error
    if not isinstance(config, dict):
        raise RequestError(f"{at}: {path}: expected a task of lm-eval, a mapping with `task`, `doc_to_text`, ...")
    code = next((field for field in RUNS_CODE if field in config), None)
    if code is None and _has_function(yaml.compose(text, yaml.SafeLoader)):
        code = "!function"
    if code is not None:
        raise RequestError(
            f"{at}: {path}: `{code}` runs Python code, which is not run from files; write it without, or name a task "
            "that lm-eval ships"
        )
    files, includes = [path], config.get("include") or []
    for name in includes if isinstance(includes, list) else [includes]:
        included = Path(str(name)) if Path(str(name)).is_absolute() else path.parent / str(name)
        whole = included.resolve()
        if whole in seen | {path}:
            raise RequestError(f"{at}: {path}: `include` goes round: {whole}")
        if not whole.is_relative_to(SHIPPED):
            files += check_no_code(whole, at, seen | {path})
    return files


class _Plain(yaml.SafeLoader):
    """Reads what is there, and takes tags for text."""


_Plain.add_multi_constructor("!", lambda loader, suffix, node: None)


def _has_function(node: yaml.Node | None) -> bool:
    """Whether a tag of its own stands anywhere."""
    if node is None:
        return False
    if node.tag.startswith("!"):
        return True
    if isinstance(node, yaml.MappingNode):
        return any(_has_function(part) for pair in node.value for part in pair)
    return isinstance(node, yaml.SequenceNode) and any(map(_has_function, node.value))


def check_metrics(config: Mapping[str, Any], path: Path, at: str) -> None:
    """Check that all metrics are those that lm-eval knows, or functions that it ships.

    Raises:
        RequestError: one would be loaded as a script.
    """
    metrics = config.get("metric_list") or []
    if not isinstance(metrics, list) or not all(isinstance(one, dict) for one in metrics):
        raise RequestError(f"{at}: {path}: `metric_list`: expected a list of mappings with `metric`")
    has_own_scores = callable(config.get("process_results"))  # then a metric is a name, and nothing more
    for number, metric in enumerate(metrics):
        place = f"{at}: {path}: metric_list.{number}"
        if metric.get("hf_evaluate"):
            raise RequestError(
                f"{place}: `hf_evaluate` runs Python code, which is not run from files; {_valid(METRIC_REGISTRY)}"
            )
        name, aggregation = metric.get("metric"), metric.get("aggregation")
        if not callable(name) and not has_own_scores and str(name) not in METRIC_REGISTRY:
            raise RequestError(f"{place}: lm-eval has no metric `{name}`; {_valid(METRIC_REGISTRY)}")
        if aggregation is not None and not callable(aggregation) and str(aggregation) not in AGGREGATION_REGISTRY:
            raise RequestError(f"{place}: lm-eval has no aggregation `{aggregation}`; {_valid(AGGREGATION_REGISTRY)}")


def _valid(names: Any) -> str:
    return "valid: " + ", ".join(sorted(map(str, names)))


def check_dataset(config: Mapping[str, Any], path: Path, at: str) -> None:
    """Check that a dataset is data.

    Raises:
        RequestError: it is a script, code that comes with it is to be trusted, or a function makes it.
    """
    if config.get("custom_dataset") is not None:  # included; some load a tokenizer by `metadata`, with its code
        raise RequestError(
            f"{at}: {path}: a function makes the dataset of the task that it includes, and takes arguments from the "
            "file; name the task that lm-eval ships"
        )
    more = config.get("dataset_kwargs") or {}
    if not isinstance(more, dict):
        raise RequestError(f"{at}: {path}: `dataset_kwargs`: expected a mapping")
    if more.get("trust_remote_code"):
        raise RequestError(
            f"{at}: {path}: `dataset_kwargs.trust_remote_code` runs Python code, which is not run from files; "
            "leave it out, and name `data`: Parquet or JSONL in the columns of the task's dataset"
        )
    named = str(config.get("dataset_path") or "")
    folder = Path(named).resolve()
    if named.endswith(".py") or (named and (folder / f"{folder.name}.py").is_file()):
        raise RequestError(
            f"{at}: {path}: `dataset_path: {named}` is a script, and Python code is not run from files; name a "
            "folder of Parquet or JSONL, or `data` in the manifest"
        )
