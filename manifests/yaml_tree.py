"""YAML as a tree that remembers its lines. Read safely: nothing is executed; depth and size are bounded."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

DEPTH_MAX = 50
NODES_MAX = 20_000
"""Nodes after aliases are expanded: an alias bomb ends here."""
PATH_CHARS_MAX = 120
"""How much of a path is shown."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_CONSTRUCT = yaml.constructor.SafeConstructor()


class Where(NamedTuple):
    """A place to look at; places sort in the order of the text."""

    line: int
    label: str


class Mistake(NamedTuple):
    """Something wrong with a manifest; mistakes sort in the order of the text."""

    where: Where
    path: str
    text: str

    def __str__(self) -> str:
        path = " ".join(self.path.split())
        path = path if len(path) <= PATH_CHARS_MAX else path[:PATH_CHARS_MAX] + "..."
        return ": ".join(part for part in (self.where.label, path, self.text) if part)


@dataclass(frozen=True)
class Node:
    """A value, where it stands, and how it is written there."""

    value: "dict[str, Node] | list[Node] | str | int | float | bool | None"
    where: Where
    written: str = ""

    def plain(self) -> Any:
        """The value as plain dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value


def planted(value: Any, where: Where) -> Node:
    """A plain value as a tree, all of which stands at one place."""
    if isinstance(value, dict):
        return Node({str(key): planted(child, where) for key, child in value.items()}, where)
    if isinstance(value, list):
        return Node([planted(child, where) for child in value], where)
    written = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return Node(value, where, written)


def parse_tree(text: str, name: str) -> tuple[Node | None, list[Mistake]]:
    """The tree of one YAML document and all that is wrong with it; None where there is no tree.

    Keys are text as they are written; dates stay text; tags other than those of plain YAML values are mistakes.
    """
    builder = _Builder(name)
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            return None, [Mistake(Where(1, f"{name}:1"), "", "there is nothing in it")]
        return builder.build(root, "", builder.where(root)), builder.mistakes
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_mistake(error, text, name)]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        found = f"the character U+{error.character:04X}, which YAML does not allow"
        return None, [Mistake(Where(line, f"{name}:{line}"), "", found)]
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return None, [Mistake(Where(line, f"{name}:{line}"), "", "half of a surrogate pair, which is no character")]
    except _TooLargeError as error:
        return None, [Mistake(Where(1, name), "", str(error))]


class _TooLargeError(Exception):
    """The text is too deep, or too large once its aliases are expanded."""


def _check_depth(text: str) -> None:
    """Stop at the first event that is too deep: libyaml's time grows with the square of the depth."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise _TooLargeError(f"nested more than {DEPTH_MAX} deep at line {_line(event.start_mark)}")


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 1


def _syntax_mistake(error: yaml.MarkedYAMLError, text: str, name: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line = _line(mark)
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    at_tab = mark is not None and text[mark.index : mark.index + 1] == "\t"
    hint = "; YAML is indented with spaces, not tabs" if at_tab else ""
    return Mistake(Where(line, f"{name}:{line}"), "", f"not YAML: {problem}{hint}")


@dataclass
class _Builder:
    """Turns YAML's nodes into ours, collecting mistakes on the way."""

    name: str
    mistakes: list[Mistake] = field(default_factory=list)
    n_nodes: int = 0

    def where(self, node: yaml.Node) -> Where:
        line = _line(node.start_mark)
        return Where(line, f"{self.name}:{line}")

    def build(self, node: yaml.Node, path: str, where: Where, depth: int = 0) -> Node:
        """The node at a path; `where` is its key's place if it has one."""
        self.n_nodes += 1
        if self.n_nodes > NODES_MAX or depth > DEPTH_MAX:  # an alias may hold itself
            raise _TooLargeError(
                f"larger than {NODES_MAX:,} values or {DEPTH_MAX} levels once its aliases are expanded"
            )
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return Node(self._mapping(node, path, depth), where)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            items = enumerate(node.value)
            return Node([self.build(item, f"{path}[{i}]", self.where(item), depth + 1) for i, item in items], where)
        return self._scalar(node, path, where)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Node]:
        built: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self.where(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(Mistake(where, path, "a key must be text, found a list or a mapping"))
                continue
            key = key_node.value
            child = self.build(value_node, f"{path}.{key}".removeprefix("."), where, depth + 1)
            if key in built:
                mistake = f"key given twice, first on line {built[key].where.line}"
                self.mistakes.append(Mistake(where, f"{path}.{key}".removeprefix("."), mistake))
            else:
                built[key] = child
        return built

    def _scalar(self, node: yaml.Node, path: str, where: Where) -> Node:
        written = node.value if isinstance(node, yaml.ScalarNode) else ""
        try:
            return Node(_scalar_value(node), where, written)
        except (ValueError, LookupError):
            tag = node.tag.replace(_TAG, "!!")
            expected = "expected plain YAML: text, a number, true, false, a list or a mapping"
            self.mistakes.append(Mistake(where, path, f"cannot be read as {tag}; {expected}"))
            return Node(None, where, written)


def _scalar_value(node: yaml.Node) -> str | int | float | bool | None:
    """The value of a scalar; raises ValueError or LookupError where its text does not suit its tag."""
    match node.tag.removeprefix(_TAG):
        case _ if not isinstance(node, yaml.ScalarNode):
            raise ValueError(node.tag)
        case "str" | "timestamp" | "value" | "merge":
            return str(node.value)
        case "int":
            return int(_CONSTRUCT.construct_yaml_int(node))
        case "float":
            return float(_CONSTRUCT.construct_yaml_float(node))
        case "bool":
            return bool(_CONSTRUCT.construct_yaml_bool(node))
        case "null":
            return None
    raise ValueError(node.tag)
