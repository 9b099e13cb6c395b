"""Forty passes at once on one state folder: none of them fails, and each fire starts once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.prove.crowd import crowd
from tests.prove.oracle import Oracle
from tests.prove.report import violations
from tests.prove.stage import Campaign
from tests.prove.works import CROWDED

if TYPE_CHECKING:
    from tests.prove.crowd import Round
    from tests.prove.evidence import Evidence

RUNNERS, ROUNDS = 40, 3

pytestmark = pytest.mark.xdist_group("many runners")  # what they share takes minutes to make


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Round], Evidence]:
    campaign = Campaign(tmp_path_factory.mktemp("crowd"), CROWDED)
    try:
        rounds = crowd(campaign, RUNNERS, ROUNDS, lambda _: None)
        return rounds, campaign.settle()
    finally:
        campaign.clear()


def test_every_pass_says_nothing_and_ends_well(seen: tuple[list[Round], Evidence]) -> None:
    rounds, _ = seen
    assert [len(round_.calls) for round_ in rounds] == [RUNNERS] * ROUNDS
    assert [(call.status, call.stderr) for round_ in rounds for call in round_.calls] == [(0, "")] * RUNNERS * ROUNDS


def test_each_fire_starts_once(seen: tuple[list[Round], Evidence]) -> None:
    _, evidence = seen
    starts = Counter((start.job, start.scheduled_at) for start in evidence.starts)
    assert set(starts.values()) == {1}
    assert {number for _, number in Counter(job for job, _ in starts).items() if number < ROUNDS} == set()


def test_every_due_time_has_one_row_and_ended_well(seen: tuple[list[Round], Evidence]) -> None:
    _, evidence = seen
    found = Oracle(evidence).judge()
    assert found == [], "\n".join(violations(evidence, found))
