"""docs/running.md tells the truth: every outcome, reason, event and exit code of the code, and no other."""

from __future__ import annotations

import ast
import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.render.events import json_line

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
# where a reason stands in the calls that make one, and in which functions it is what comes back
PLACES = {"Verdict": 1, "RunEnd": 2, "Skip": 2, "LaunchError": 0, "Stop": 2, "Stretch": 6, "End": 1}
SOURCES = [path for path in (ROOT / "runjobs").rglob("*.py") if path.parent.name != "render"]


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| outcome")]


def constants(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def chosen(node: ast.expr) -> set[str]:
    """The constants that an expression may come to: not those that it compares."""
    if isinstance(node, ast.IfExp):
        return chosen(node.body) | chosen(node.orelse)
    if isinstance(node, ast.Tuple):
        return chosen(node.elts[0])
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def reasons(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in PLACES:
                given = node.args[PLACES[name] : PLACES[name] + 1]
                given += [word.value for word in node.keywords if word.arg == "reason"]
                found |= {reason for each in given for reason in chosen(each)}
            case ast.Assign(targets=[ast.Name(id="reason" | "step")]):
                found |= chosen(node.value)
            case ast.AnnAssign(target=ast.Name(id="reason"), value=ast.Constant() as value):
                found |= chosen(value)
            case ast.FunctionDef(name="reason" | "_absence"):
                returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                found |= {reason for each in returned for reason in chosen(each)}
    return found - {""}


def in_the_code() -> set[str]:
    found = {reason for path in SOURCES for reason in reasons(ast.parse(path.read_text(encoding="utf-8")))}
    assert {"exit", "overlap", "down", "guard-died", "cwd", "person", "shutdown"} <= found  # the net has no hole
    return found


def test_every_reason_in_the_code_is_in_the_table_and_no_other() -> None:
    documented = {reason for _, reason, *_ in rows("Outcomes and reasons") for reason in words(reason)}
    assert documented == in_the_code() - {"stop"}  # the default of a message, which no caller leaves in place


def test_every_outcome_is_in_the_table() -> None:
    assert {word for cell, *_ in rows("Outcomes and reasons") for word in words(cell)} == {
        each.value for each in Outcome
    }


def examples() -> list[dict[str, object]]:
    (block,) = re.findall(r"```json\n(.*?)```", section("Events"), re.DOTALL)
    return [json.loads(line) for line in block.splitlines()]


def test_there_is_one_example_of_each_event_and_of_a_line_of_output() -> None:
    assert [each["event"] for each in examples()] == ["output", *(happening.value for happening in Happening)]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example["event"]))
def test_every_key_of_an_example_is_explained_in_its_table(example: dict[str, object]) -> None:
    explained = {
        word for line in section("Events").splitlines() if line[:2] == "| " for word in words(line.split("|")[1])
    }
    assert set(example) <= explained


@pytest.mark.parametrize("example", examples()[1:], ids=lambda example: str(example["event"]))
def test_an_example_is_what_the_code_would_write(example: dict[str, object]) -> None:
    facts = {key: value for key, value in example.items() if key not in {"time", "event", "job", "run"}}
    when = datetime.fromisoformat(str(example["time"]))
    job, run = str(example.get("job", "")), str(example.get("run", ""))
    assert json.loads(json_line(Event(when, Happening(example["event"]), job, run, facts))) == example


def test_every_variable_of_ours_that_the_code_reads_is_there() -> None:
    read = {name for path in SOURCES for name in re.findall(r'"(RUNJOBS_[A-Z_]+)"', path.read_text(encoding="utf-8"))}
    assert {name for name in read if f"`{name}`" not in TEXT} == set()
