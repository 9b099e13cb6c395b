"""The schema of events, as strict as a test needs it: with us nothing may come that is not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "events.schema.json").read_text(encoding="utf-8")
)
KINDS = {name: kind for name, kind in SCHEMA["$defs"].items() if "title" in kind}


def mistakes(event: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event by its own part of the schema."""
    kind = KINDS.get(str(event.get("event")), {"not": {}})
    strict = {"$defs": SCHEMA["$defs"]} | kind | {"additionalProperties": False}
    return [error.message for error in Draft202012Validator(strict).iter_errors(event)]
