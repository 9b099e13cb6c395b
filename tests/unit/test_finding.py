"""Findings of a check-up."""

from __future__ import annotations

import pytest

from runjobs.core.finding import Level, fine, has_problem, in_bytes, note, problem


def test_only_a_problem_is_one() -> None:
    assert not has_problem([fine("disk", "roomy"), note("clock", "nobody keeps it right", "ntp")])
    assert has_problem([fine("disk", "roomy"), problem("ledger", "broken", "runjobs run")])
    assert problem("ledger", "broken", "runjobs run").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (4 << 20, "4.0 MiB"), (3 << 39, "1.5 TiB"), (5 << 50, "5120.0 TiB")],
)
def test_sizes_are_said_as_people_say_them(size: int, said: str) -> None:
    assert in_bytes(size) == said
