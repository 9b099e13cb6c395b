"""docs/events.schema.json: every event has its part in it, and what is written is what it says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd
from runjobs.render.events import json_line
from runjobs.runner.crew import facts_of
from tests.support.eventschema import KINDS, SCHEMA, mistakes

DOCS = Path(__file__).parents[2] / "docs"
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def examples() -> list[dict[str, Any]]:
    text = (DOCS / "running.md").read_text(encoding="utf-8").split("\n## Events\n")[1]
    (block,) = re.findall(r"```json\n(.*?)```", text.split("\n## ")[0], re.DOTALL)
    return [json.loads(line) for line in block.splitlines()]


def written(outcome: str, **more: object) -> dict[str, Any]:
    end = RunEnd("run-1", outcome, **more)  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(json_line(Event(NOON, Happening.ENDED, "backup", "run-1", facts_of(end))))
    return found


def test_each_event_has_its_part_of_the_schema_and_no_other_has() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(KINDS) == {"output", *(happening.value for happening in Happening)}
    assert [part["$ref"] for part in SCHEMA["anyOf"] if "$ref" in part] == [f"#/$defs/{name}" for name in KINDS]
    assert KINDS["ended"]["properties"]["outcome"]["enum"] == [outcome.value for outcome in Outcome]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example["event"]))
def test_the_examples_are_as_the_schema_has_them(example: dict[str, Any]) -> None:
    assert mistakes(example) == []
    assert Draft202012Validator(SCHEMA).is_valid(example)


@pytest.mark.parametrize("outcome", [outcome.value for outcome in Outcome])
def test_an_end_is_as_the_schema_has_it_with_all_that_it_may_carry_and_with_nothing(outcome: str) -> None:
    assert mistakes(written(outcome)) == []
    more = {"reason": "exit", "detail": "exit code 3", "exit_code": 3, "started_at": 1.0, "ended_at": 2.0}
    assert mistakes(written(outcome, **more, leftovers=((7, "sh"),), again_at=3.0)) == []
    assert mistakes(written(outcome, signal=9)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "warning", "message": "no time"},
        {"event": "warning", "time": "2026-07-01T12:00:00.000Z"},
        {"event": "warning", "time": "yesterday", "message": "x"},
        {"event": "skipped", "time": "2026-07-01T12:00:00.000Z", "job": "x", "scheduled_at": 3, "reason": "overlap"},
        {"time": "2026-07-01T12:00:00.000Z"},
    ],
)
def test_what_is_not_an_event_is_found(wrong: dict[str, Any]) -> None:
    assert mistakes(wrong)
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


def test_events_and_keys_that_are_yet_to_come_are_let_pass_by_who_reads() -> None:
    reader = Draft202012Validator(SCHEMA)
    assert reader.is_valid({"event": "moon-rises", "phase": 3})
    assert reader.is_valid(examples()[4] | {"more": True})
    assert mistakes(examples()[4] | {"more": True})  # but with us they are in the schema first
