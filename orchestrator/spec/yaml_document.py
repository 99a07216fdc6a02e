"""YAML to plain data that knows where each key and value stands.

Scalars are read as YAML 1.2 has them: `1e-3` is a number, `010` is ten, `no` is text. A file is read to the end in
spite of a duplicate key or a number that is not finite: such problems are collected with those of the spec's contents.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import Problem, SpecError, choices
from orchestrator.spec.yaml_nodes import TAG, Children, TooDeep, TooMuch, compose, each_once, expand, too_deep, too_much

KeyPath = tuple[str | int, ...]
"""The keys and (0-based) positions that lead to a value; `methods.2.mu` for people."""

_LARGEST = 2**63 - 1
_MOST_PROBLEMS = 1000
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class _Override:
    """Stands in for the line and column of what `--set` gave."""

    text: str


class Document:
    """A spec as plain data, and the problems found in it so far."""

    def __init__(self, file: str, root: MappingNode) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._root = root
        self._children = Children()
        self._reported: set[tuple[KeyPath, bool]] = set()
        self._elsewhere: Mapping[KeyPath, KeyPath] = {}
        self.data: dict[str, Any] = self._mapping(root, ())

    def add(self, path: KeyPath, message: str, value: object = None, remedy: str = "", *, at_key: bool = False) -> None:
        """Note a problem at the value (or the key) that `path` leads to; where that is missing, at what lacks it.

        One problem a place: what follows from a first one there is not news.
        """
        path = self._standing(path, at_key)
        if (path, at_key) in self._reported:
            return
        self._reported.add((path, at_key))
        file, line, column = self._place(path, at_key)
        self.problems.append(Problem(file, line, column, dotted(path), message, value, remedy))
        if len(self.problems) >= _MOST_PROBLEMS:  # nobody reads further, and each takes its time
            self.check()

    @contextmanager
    def elsewhere(self, places: Mapping[KeyPath, KeyPath]) -> Iterator[None]:
        """Meanwhile a value at one of these places stands at the one that it is mapped to, where problems are noted."""
        self._elsewhere = places
        try:
            yield
        finally:
            self._elsewhere = {}

    def _standing(self, path: KeyPath, at_key: bool) -> KeyPath:
        for place, there in self._elsewhere.items():
            if path[: len(place)] == place and not (at_key and path == place):
                return there + path[len(place) :]
        return path

    def sound(self, *sections: str) -> bool:
        """Whether no problem lies in any of these top-level sections."""
        return not any(path[:1] == (section,) for path, _ in self._reported for section in sections)

    def check(self, what: str = "the spec") -> None:
        """Raise SpecError with all problems, in the order of the file, if there are any."""
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda problem: (problem.line or 0, problem.column or 0)), what)

    def _place(self, path: KeyPath, at_key: bool) -> tuple[str, int | None, int | None]:
        key: Node | None = None
        node: Node = self._root
        for part in path:
            found = self._children.find(node, part)
            if found is None:
                break
            key, node = found
        # A value left empty "stands" at whatever comes next: its key is what a person looks for.
        empty = isinstance(node, ScalarNode) and not node.value and not node.style
        mark = key.start_mark if key is not None and (at_key or empty) else node.start_mark
        if isinstance(mark, _Override):
            return _told(mark.text), None, None
        return self.file, mark.line + 1, mark.column + 1

    # ---- nodes to plain data -----------------------------------------------------------------------------------------

    def _plain(self, node: Node, path: KeyPath) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.add(path, "has a key that is a list or a mapping", remedy="Keys are text")
                continue
            here = (*path, key.value)
            if key.value in values:
                first = lines[key.value]
                self.add(here, f"the key '{key.value}' is given twice, first on line {first}", key.value, at_key=True)
            else:
                lines[key.value] = getattr(key.start_mark, "line", 0) + 1
            values[key.value] = self._plain(value, here)
        return values

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        kind, text = node.tag or f"{TAG}str", node.value
        if not kind.startswith(TAG):
            self.add(path, f"the tag '{kind}' means nothing here", text, "Leave it out")
            return text
        try:
            value = _resolve(kind.removeprefix(TAG), text)
        except ValueError:
            self.add(path, f"{show(text)} cannot be read as {kind.removeprefix(TAG)}", text)
            return text
        if isinstance(value, float) and not math.isfinite(value):
            self.add(path, f"{show(text)[1:-1]} is not a finite number", value)
            return text
        if type(value) is int and abs(value) > _LARGEST:
            self.add(path, f"{show(text)} is too large for a whole number", text)
            return text
        return value


def read_document(text: str, file: str, overrides: Iterable[str] = ()) -> Document:
    """The document in `text`, with `overrides` (`training.lr=0.05`) in the place of what it says.

    Raises SpecError when it is no YAML, or no mapping.
    """
    try:
        root = compose(text, file)
        if root is None:
            raise SpecError([Problem(file, 1, 1, "spec", "the file is empty", None, "Begin with `name: my-sweep`")])
        if not isinstance(root, MappingNode):
            mark, value = root.start_mark, root.value if isinstance(root, ScalarNode) else None
            message = f"a spec is a mapping of keys to values, not {show(value) if value else 'a list'}"
            remedy = "Begin with `name: my-sweep`"
            raise SpecError([Problem(file, mark.line + 1, mark.column + 1, "spec", message, value, remedy)])
        for override in overrides:
            root = _override(root, override)
        expand(root)  # once more, with the overrides
        return Document(file, root)
    except (RecursionError, TooDeep):
        raise SpecError([too_deep(file)]) from None
    except TooMuch:
        raise SpecError([too_much(file)]) from None


def dotted(path: KeyPath) -> str:
    """`methods.2.mu`; `spec` for the whole."""
    return ".".join(str(part) for part in path) or "spec"


def show(value: object) -> str:
    """A value as it is shown in a message: text in quotes, the rest as JSON, cut where it is long."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\n", " ")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _resolve(kind: str, text: str) -> Any:
    """The value of a scalar of one of YAML's kinds. Raises ValueError where the text is not of that kind."""
    if kind == "null":
        return None
    if kind == "bool":
        # A `%YAML 1.1` line would have `no` and `on` be booleans: they stay text.
        return {"true": True, "false": False}.get(text.lower(), text)
    digits = text.replace("_", "")
    if kind == "int":
        return int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)
    if kind == "float":
        return float(re.sub(r"\.(?=inf|nan)", "", digits.lower()))
    return text  # text; and dates, which nothing here takes


# ---- overrides -------------------------------------------------------------------------------------------------------


def _told(override: str) -> str:
    return f"--set {override}" if len(override) <= 2 * _SHOWN else f"--set {override[: 2 * _SHOWN]}..."


def _override(root: MappingNode, override: str) -> MappingNode:
    file = _told(override)
    where, equals, text = override.partition("=")
    parts = [part.strip() for part in where.split(".")]
    if not equals or not all(parts):
        message = f"{show(override)} does not set anything"
        raise SpecError([Problem(file, None, None, "spec", message, override, "Write it as --set training.lr=0.05")])
    mark = _Override(override)
    value = compose(text, file) or ScalarNode(f"{TAG}null", "")
    each_once(value, lambda node: setattr(node, "start_mark", mark))
    grafted = _graft(root, parts, value, mark, ())
    assert isinstance(grafted, MappingNode)
    return grafted


def _graft(node: Node, parts: Sequence[str], value: Node, mark: _Override, path: KeyPath) -> Node:
    """A copy of `node` with `value` at `parts`: a copy, since an alias may share the node with another place."""
    if not parts:
        return value
    head, rest = parts[0], parts[1:]
    if isinstance(node, SequenceNode):
        index = _position(node, head, mark, path)
        items = list(node.value)
        items[index] = _graft(items[index], rest, value, mark, (*path, index))
        return SequenceNode(node.tag, items, node.start_mark)
    pairs = list(node.value) if isinstance(node, MappingNode) else _as_mapping(node)
    start = node.start_mark
    for index, (key, old) in enumerate(pairs):
        if key.value == head:
            pairs[index] = (key, _graft(old, rest, value, mark, (*path, head)))
            return MappingNode(f"{TAG}map", pairs, start)
    key = ScalarNode(f"{TAG}str", head, mark)
    empty = MappingNode(f"{TAG}map", [], mark)
    pairs.append((key, _graft(empty, rest, value, mark, (*path, head))))
    return MappingNode(f"{TAG}map", pairs, start)


def _as_mapping(node: Node) -> list[tuple[Node, Node]]:
    """`abd` is short for `{name: abd}`, of a method as of a data set."""
    if node.tag == f"{TAG}null":
        return []
    return [(ScalarNode(f"{TAG}str", "name", node.start_mark), node)]


def _position(node: SequenceNode, part: str, mark: _Override, path: KeyPath) -> int:
    """Which item of a list `part` means: by position from 0, or by its label, its name, or itself."""
    if part.isdecimal() and int(part) < len(node.value):
        return int(part)
    names = [_item_name(item) for item in node.value]
    if part in names:
        return names.index(part)
    message = f"'{part}' is no item of `{dotted(path)}`"
    known = [name or str(index) for index, name in enumerate(names)]
    raise SpecError([Problem(_told(mark.text), None, None, dotted(path), message, part, choices(part, known))])


def _item_name(item: Node) -> str:
    if isinstance(item, ScalarNode):
        return str(item.value)
    for name in ("label", "name"):
        found = Children().find(item, name)
        if found and isinstance(found[1], ScalarNode):
            return str(found[1].value)
    return ""
