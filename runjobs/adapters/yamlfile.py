"""YAML read into nodes that know their lines; PyYAML comes with the extra `yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError, RunjobsError
from runjobs.core.imports.nodes import Node, Pair

if TYPE_CHECKING:
    from yaml.nodes import Node as YamlNode

DEEPEST = 100  # maps within maps: no settings go so deep, and aliases may lead round in a circle


def read_yaml(text: str) -> Node:
    """Read one document; an empty one is an empty text.

    Texts are as written: `on` is no truth and `012` no number. RunjobsError where PyYAML is not installed, FieldError
    with the line in its message where the text is no YAML.
    """
    try:
        import yaml
    except ImportError:
        raise RunjobsError("reading YAML needs PyYAML, which is not installed", "pip install 'runjobs[yaml]'") from None
    try:
        # composing makes nodes of the text and no objects, so nothing in it is carried out
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error) or "it goes too deep"
        raise FieldError(f"{place}{what}", "yacron itself would refuse the file: mend it first") from None
    return Node(1, 1, "") if root is None else _node(root, text.split("\n"), 0)


def _node(found: YamlNode, lines: list[str], depth: int) -> Node:
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if depth > DEEPEST:
        raise FieldError("it goes too deep", "mend the file first")
    first = found.start_mark.line + 1
    if isinstance(found, ScalarNode):
        return Node(first, _last(found, lines), found.value)
    if isinstance(found, SequenceNode):
        items = tuple(_node(each, lines, depth + 1) for each in found.value)
        return Node(first, max([first, *(item.last for item in items)]), items=items)
    if not isinstance(found, MappingNode):
        raise FieldError(f"line {first}: this is no text, list or map", "mend the file first")
    pairs = tuple(
        Pair(str(key.value), key.start_mark.line + 1, _node(value, lines, depth + 1)) for key, value in found.value
    )
    return Node(first, max([first, *(pair.last for pair in pairs)]), pairs=pairs)


def _last(found: YamlNode, lines: list[str]) -> int:
    """The last line of a text: PyYAML's mark stands behind the blank lines and comments that follow a block."""
    last = found.end_mark.line + 1 if found.end_mark.column else found.end_mark.line
    while last > found.start_mark.line + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
        last -= 1
    return int(max(last, found.start_mark.line + 1))
