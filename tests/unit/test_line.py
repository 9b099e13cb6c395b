"""The line: who waits is tried when its time has come or something has changed, and not more often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runjobs.adapters.ledger import Claimed
from runjobs.core.fire import Fire, Trigger, WaitFor
from runjobs.runner.line import FIRST_LOOK, LONGEST_LOOK, Line, Place, place_of

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def line(*places: Place) -> Line:
    made = Line()
    for number, place in enumerate(places, 1):
        made.put(number, place)
    return made


def waiting(wait: WaitFor, at: datetime = NOON) -> Place:
    return Place("backup", wait, at)


def test_a_retry_is_tried_at_its_instant_and_not_before_whatever_ends() -> None:
    one = line(waiting(WaitFor.RETRY, NOON + MINUTE))
    one.stir()
    assert one.due(NOON, None) == []
    assert one.next_at(NOON) == NOON + MINUTE
    assert one.due(NOON + MINUTE, None) == [1]


def test_who_waits_for_somebodys_end_is_tried_at_once_when_something_has_ended() -> None:
    one = line(waiting(WaitFor.OVERLAP))
    assert one.due(NOON, None) == [1]
    assert one.due(NOON, None) == []
    one.stir()
    assert one.next_at(NOON) == NOON
    assert one.due(NOON, None) == [1]


def test_what_others_hold_is_looked_at_ever_less_often_while_nothing_changes() -> None:
    one = line(waiting(WaitFor.POOL))
    now, pauses = NOON, []
    for _ in range(8):
        assert one.due(now, None) == [1]
        following = one.next_at(now)
        assert following is not None
        pauses.append(following - now)
        now = following
    assert pauses[:3] == [FIRST_LOOK, 2 * FIRST_LOOK, 4 * FIRST_LOOK]
    assert max(pauses) == pauses[-1] == LONGEST_LOOK


def test_a_clock_that_was_set_back_keeps_nobody_waiting() -> None:
    one = line(waiting(WaitFor.POOL))
    one.due(NOON, None)
    long_ago = NOON - 1000 * MINUTE
    assert one.next_at(long_ago) == long_ago + LONGEST_LOOK


def test_of_those_that_wait_for_room_only_as_many_are_tried_as_there_is_room_for() -> None:
    one = line(*[waiting(WaitFor.PARALLEL)] * 4, waiting(WaitFor.POOL))
    assert one.due(NOON, 2) == [1, 2, 5]
    one.stir()
    assert one.due(NOON, 0) == [5]
    one.stir()
    assert one.due(NOON, None) == [1, 2, 3, 4, 5]


def test_it_is_news_when_a_fire_waits_for_something_else_and_only_then() -> None:
    one = Line()
    assert one.put(1, waiting(WaitFor.AFTER))
    assert not one.put(1, waiting(WaitFor.AFTER, NOON + MINUTE))
    assert one.put(1, waiting(WaitFor.OVERLAP))
    assert len(one) == 1
    assert (1 in one, 2 in one) == (True, False)


def test_nobody_waits_in_an_empty_line() -> None:
    one = line(waiting(WaitFor.RETRY))
    assert one.drop(1)
    assert not one.drop(1)
    assert (len(one), one.next_at(NOON), one.due(NOON, None)) == (0, None, [])


def test_a_retry_that_waits_for_a_lock_keeps_the_instant_that_it_was_due_at() -> None:
    fire = Fire("backup", Trigger.SCHEDULE, NOON)
    retry = Claimed(1, fire, 1, NOON, WaitFor.RETRY, NOON + MINUTE)
    late = NOON + 2 * MINUTE
    assert place_of(retry, WaitFor.OVERLAP, late, "").not_before == NOON + MINUTE
    assert place_of(Claimed(1, fire), WaitFor.OVERLAP, late, "").not_before == late


def test_a_retry_waits_no_longer_than_it_was_told_to_though_the_clock_is_set_back() -> None:
    one = line(waiting(WaitFor.RETRY, NOON + MINUTE)._replace(longest=MINUTE))
    long_ago = NOON - 1000 * MINUTE
    assert one.next_at(long_ago) == long_ago + MINUTE
    assert one.due(long_ago + MINUTE, None) == [1]


def test_looks_go_on_though_the_clock_is_set_back() -> None:
    one = line(waiting(WaitFor.POOL))
    one.due(NOON, None)
    assert one.due(NOON - 120 * MINUTE, None) == [1]
