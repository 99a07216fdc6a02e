"""YAML text to nodes, of a size that can be worked with: aliases and merges multiply what a few lines say."""

from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from orchestrator.errors import Problem, SpecError

TAG = "tag:yaml.org,2002:"
MOST_VALUES = 40_000
"""Keys and values in a file, and with all aliases and merges written out. Reading them takes a second or two."""
DEEPEST = 100


class _Counting(Composer):
    """Stops at the first value too many, and not after minutes."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # else it writes to standard error; an anchor's last place counts
        self.count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            raise TooMuch
        return super().compose_node(parent, index)


class TooMuch(Exception):
    """There are more values than `MOST_VALUES`."""


class TooDeep(Exception):
    """There are more levels than `DEEPEST`, or endlessly many."""


def compose(text: str, file: str) -> Node | None:
    """The root of the document, every `<<` merged; None for an empty one. Raises SpecError."""
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer = _Counting
        root: Node | None = yaml.compose(text)
        if root is not None:
            expand(root)
        return root
    except (RecursionError, TooDeep):
        problem = too_deep(file)
    except TooMuch:
        problem = too_much(file)
    except ReaderError as error:
        before = text[: error.position]
        column = error.position - (before.rfind("\n") + 1) + 1
        character = f"U+{ord(text[error.position]):04X}"
        message = f"the character {character} cannot stand in YAML"
        problem = Problem(file, before.count("\n") + 1, column, "spec", message, character)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = "this is not YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
        remedy = "Indent with spaces" if "'\\t'" in message else ""
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(file, line, column, "spec", message, None, remedy)
    except YAMLError as error:
        problem = Problem(file, 1, 1, "spec", f"this is not YAML: {error}")
    raise SpecError([problem])


def too_deep(file: str) -> Problem:
    """That there are too many levels."""
    return Problem(file, 1, 1, "spec", "is nested too deeply, or an alias contains itself")


def too_much(file: str) -> Problem:
    """That there are too many values."""
    message = f"there are more than {MOST_VALUES} keys and values, with every alias written out"
    return Problem(file, 1, 1, "spec", message, None, "Split it into several files")


def expand(root: Node) -> None:
    """Put merges in the place of every `<<`, and see to it that what aliases stand for is not too much in all.

    Each node is looked at once, however many aliases lead to it. Raises TooMuch and TooDeep.
    """
    known: dict[int, tuple[int, int]] = {}
    under_way: set[int] = set()

    def measure(node: Node, depth: int) -> tuple[int, int]:
        """How many values the node is with all below it, and over how many levels."""
        if id(node) not in known:
            if depth > DEEPEST or id(node) in under_way:
                raise TooDeep
            under_way.add(id(node))
            known[id(node)] = of_all(node, depth + 1)
            under_way.remove(id(node))
        size, height = known[id(node)]
        if depth + height > DEEPEST:
            raise TooDeep
        if size > MOST_VALUES:
            raise TooMuch
        return size, height

    def of_all(node: Node, depth: int) -> tuple[int, int]:
        if isinstance(node, MappingNode):
            for part in (part for pair in node.value for part in pair):
                measure(part, depth)
            node.value = _merged(node)
        measured = [measure(part, depth) for part in children(node)]
        return 1 + sum(size for size, _ in measured), 1 + max((height for _, height in measured), default=0)

    measure(root, 0)


def _merged(node: MappingNode) -> list[tuple[Node, Node]]:
    """The keys and values of a mapping; those that `<<` merges in come last, and only where the mapping has none."""
    own, merged = [], []
    for key, value in node.value:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        if key.tag == f"{TAG}merge" and all(isinstance(source, MappingNode) for source in sources):
            merged += [source.value for source in {id(source): source for source in sources}.values()]
        else:
            own.append((key, value))
    names = {key.value for key, _ in own if isinstance(key, ScalarNode)}
    for key, value in (pair for pairs in merged for pair in pairs):
        if isinstance(key, ScalarNode) and key.value not in names:
            names.add(key.value)
            own.append((key, value))
    return own


class Children:
    """The children of nodes by name or position, looked up in one step."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Node, dict[Any, tuple[Node | None, Node]]]] = {}

    def find(self, node: Node, part: str | int) -> tuple[Node | None, Node] | None:
        """The key (of a mapping) and value that `part` names; the last one where a key is given twice."""
        if isinstance(node, MappingNode):
            if id(node) not in self._known:
                named: dict[Any, tuple[Node | None, Node]]
                named = {key.value: (key, value) for key, value in node.value if isinstance(key, ScalarNode)}
                self._known[id(node)] = node, named  # the node too: its id is its own as long as it lives
            return self._known[id(node)][1].get(part)
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            return None, node.value[part]
        return None


def each_once(root: Node, visit: Callable[[Node], None]) -> None:
    """Call `visit` with every node of a tree, once however many aliases lead to it."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        visit(node)
        waiting += children(node)


def children(node: Node) -> list[Node]:
    """The keys and values of a mapping, the items of a list."""
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
