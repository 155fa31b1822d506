"""Changes to a manifest from the command line: `--set limits.shard_bytes=1048576`."""

from collections.abc import Sequence
from typing import Any

from manifests.yaml_tree import Mistake, Node, Where, parse_tree, planted

_AFTER_ALL_LINES = 1 << 62


def override(root: Node, assignment: str) -> list[Mistake]:
    """Put the YAML value of `PATH=VALUE` into the tree; the mistakes that prevented it, if any.

    A step into a list is a number or what the item calls itself (its name, source, ruleset or gate), so
    `inputs.crawl.path=...` and `inputs[0].path=...` may mean the same. Mappings that are missing are made.
    """
    where = Where(_AFTER_ALL_LINES, f"--set {assignment}")
    path, equals, value = assignment.partition("=")
    steps = _steps(path)
    if not equals or not steps:
        return [Mistake(where, "", "expected PATH=VALUE, as in limits.shard_bytes=1048576")]
    tree, mistakes = parse_tree(value, "value")
    if tree is None or mistakes:
        return [Mistake(where, "", mistake.text) for mistake in mistakes]
    return _put(root, steps, _moved(tree, where))


def put(root: Node, path: str, value: Any, label: str) -> list[Mistake]:
    """Put a plain value at a path, as `override` reads it; `label` is where it was asked for."""
    where, steps = Where(_AFTER_ALL_LINES, label), _steps(path)
    if not steps:
        return [Mistake(where, "", "names no field; expected one, as limits.shard_bytes")]
    return _put(root, steps, planted(value, where))


def _steps(path: str) -> list[str]:
    return [step for step in path.strip().replace("[", ".").replace("]", "").split(".") if step]


def _put(holder: Node, steps: Sequence[str], tree: Node) -> list[Mistake]:
    for n_steps in (1, 2):  # the name of a rule may have a dot in it
        key = _key(holder, ".".join(steps[:n_steps]))
        if key is None or n_steps > len(steps):
            continue
        if n_steps < len(steps):
            return _put(_child(holder, key, tree.where), steps[n_steps:], tree)
        holder.value[key] = tree  # type: ignore[index]  # _key answers for this very container
        return []
    return [Mistake(tree.where, "", f"nothing is called `{steps[0]}` there; {_choices(holder)}")]


def _key(holder: Node, step: str) -> str | int | None:
    """The key or position that a step means in a mapping or list."""
    if isinstance(holder.value, dict):
        return step
    if not isinstance(holder.value, list):
        return None
    if step.isascii() and step.isdigit():
        return int(step) if int(step) < len(holder.value) else None
    return next((position for position, item in enumerate(holder.value) if step in _own_names(item)), None)


def _child(holder: Node, key: str | int, where: Where) -> Node:
    if isinstance(holder.value, dict):
        return holder.value.setdefault(str(key), Node({}, where))
    assert isinstance(holder.value, list)
    return holder.value[int(key)]


def _own_names(item: Node) -> list[str]:
    if not isinstance(item.value, dict):
        return []
    return [item.value[key].written for key in ("name", "source", "ruleset", "gate") if key in item.value]


def _choices(holder: Node) -> str:
    if not isinstance(holder.value, list):
        return "it is a single value"
    if not holder.value:
        return "the list is empty"
    names = [name for item in holder.value for name in _own_names(item)]
    return f"valid: {', '.join(names or map(str, range(len(holder.value))))}"


def _moved(node: Node, where: Where) -> Node:
    """The node as if it stood elsewhere."""
    if isinstance(node.value, dict):
        return Node({key: _moved(child, where) for key, child in node.value.items()}, where, node.written)
    if isinstance(node.value, list):
        return Node([_moved(child, where) for child in node.value], where, node.written)
    return Node(node.value, where, node.written)
