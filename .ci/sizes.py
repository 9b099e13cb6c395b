"""Report how long functions and modules are, and which are over the house's aims: a report, not a gate."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

LONGEST = 40  # lines of a function, its docstring not counted
LARGEST = 300  # lines of a module


class Function(NamedTuple):
    """A function and how many lines its body has."""

    lines: int
    place: str


def functions(path: Path) -> list[Function]:
    """Return every function of a module, nested ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        Function(length(node), f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a body, from the first statement after the docstring to the end."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def main(folder: Path) -> None:
    """Print the figures of a package, and what is over the aims."""
    modules = sorted(folder.rglob("*.py"))
    found = sorted(function for path in modules for function in functions(path))
    long = [f"{place} has {lines} lines" for lines, place in found if lines > LONGEST]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    large = [f"{path} has {count} lines" for path, count in lines.items() if count > LARGEST]
    middle, most = found[len(found) // 2].lines, found[int(len(found) * 0.95)].lines
    print(
        f"sizes: {len(modules)} modules of up to {max(lines.values())} lines; "
        f"{len(found)} functions, median {middle}, 95 % up to {most}, longest {found[-1].lines}"
    )
    for over in long + large:
        print(f"sizes: {over}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
