"""Schedules against what Debian's cron, cronie and other libraries' test suites say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.schedule import CronSchedule, Schedule, parse_schedule

ROOT = Path(__file__).parent.parent.parent
CASES = ROOT / "tests" / "cases" / "schedule"
Row = dict[str, Any]

# What other programs refuse and we take on purpose; each is argued in docs/schedule.md.
ON_PURPOSE = {
    "a period": {"@every 5m"},
    "? as * for days": {"0 0 1 * ?"},
    "last days": {"0 0 L-3 * *", "0 0 LW * *", "0 0 LW,15 * *"},
    "nearest weekdays": {"0 0 1W * *", "0 0 15W * *", "0 0 15w * *", "0 0 31W * *"},
    "a value per job": {"0 0 H * *", "0 0 * * H", "H/15 * * * *"},
    "names in full": {"0 0 1 january *", "0 0 * * sunday", "0 0 * * Sunday"},
    "blanks in front": {" @daily"},
    "seconds first": {"0 0 0 * * *"},
}

# Where cronie takes an expression and we refuse it, with the message.
STRICTER = {
    "0 22-2 * * *": "hour range 22-2 runs backwards",
    "50-10/5 * * * *": "minute range 50-10 runs backwards",
    "* * 5-1 * *": "day of the month range 5-1 runs backwards",
    "0 0 1 mar-jan *": "month range mar-jan runs backwards",
    "0 0 * * fri-mon": "weekday range fri-mon runs backwards",
    "0 0 * * 5-1": "weekday range 5-1 runs backwards",
    "0 0 * * 7-1": "weekday range 7-1 runs backwards",
    "61-60 * * * *": "minute 61 is past 59",
    "* * * 61-DEC *": "month 61 is past 12",
    "* * * * 61-SUN": "weekday 61 is past 7",
    "-1 * * * *": "a minute is missing here",
    "0 0 30 2 *": "there is no such day, ever",
    "0 0 31 6 *": "there is no such day, ever",
}

# Where cronie refuses an expression and we take it: an extension, or blanks that crontab(5) allows.
WIDER: dict[str, list[Any]] = {
    "0 0 L * *": [[0], [0], ["l"], "*", "*"],
    "0 0 L,15 * *": [[0], [0], [15, "l"], "*", "*"],
    "0 0 * * fri#2": [[0], [0], "*", "*", ["5#2"]],
    "0 0 * * 5#5": [[0], [0], "*", "*", ["5#5"]],
    "5/15 * * * *": [[5, 20, 35, 50], "*", "*", "*", "*"],
    "0 12/6 * * *": [[0], [12, 18], "*", "*", "*"],
    " * * * * *": ["*", "*", "*", "*", "*"],
    "\t*\t*\t*\t*\t*": ["*", "*", "*", "*", "*"],
}

# cronie draws anew at each load: what it drew when asked can't be compared, only that ours is in the range.
DRAWN = {"~ * * * *": (0, 59), "5~ * * * *": (5, 59), "~5 * * * *": (0, 5), "1~5 * * * *": (1, 5)}


def rows(name: str) -> list[Row]:
    with (CASES / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def fires(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    following = schedule.next(start)
    while following is not None and len(found) < count:
        found.append(following)
        following = schedule.next(following)
    return found


def test_every_fire_around_every_change_of_the_clock_is_debian_crons() -> None:
    wrong, count = [], 0
    for row in rows("dst.jsonl"):
        schedule = parse_schedule(row["expr"], tz=row["tz"])
        expected = [datetime.fromtimestamp(instant, UTC) for instant in row["expect_ts"]]
        found = fires(schedule, datetime.fromtimestamp(row["start_ts"], UTC), len(expected))
        count += len(found)
        if found != expected:
            wrong.append((row["expr"], row["tz"], row["start"]))
    assert (wrong, count) == ([], 27_990)


def test_a_row_that_ends_before_its_window_does_has_no_further_fire_in_it() -> None:
    for row in rows("dst.jsonl"):
        if len(row["expect_ts"]) < 20:
            last = datetime.fromtimestamp(row["expect_ts"][-1], UTC)
            following = parse_schedule(row["expr"], tz=row["tz"]).next(last)
            assert following is None or following.timestamp() > row["until_ts"]


def in_our_order(row: Row) -> tuple[str, int]:
    """Move a row's seconds to the front, where we have them; the year stays last."""
    words = row["expr"].split()
    year = [words.pop()] if row.get("year") else []
    seconds_first = row["seconds"] == "first" or "second_at_beginning" in row.get("options", {})
    seconds = [words.pop(0 if seconds_first else -1)] if row["seconds"] else ["0"] if year else []
    ours = [*seconds, *words, *year]
    return " ".join(ours), len(ours)


def agrees(row: Row) -> bool:
    expression, fields = in_our_order(row)
    zone = ZoneInfo(row["tz"] or "UTC")
    start = datetime.fromisoformat(row["start"])
    try:
        schedule = parse_schedule(expression, fields=fields, tz=zone.key)
    except FieldError:
        return False
    found = fires(schedule, start if start.tzinfo else start.replace(tzinfo=zone), max(1, len(row["expect"])))
    walls = [fire.astimezone(zone).replace(tzinfo=start.tzinfo and zone).isoformat() for fire in found]
    if "expect_not" in row:
        return not set(walls) & set(row["expect_not"])
    return walls == list(row["expect"])


def test_each_upstream_row_that_debians_rules_agree_with_holds() -> None:
    assert [row["expr"] for row in rows("upstream.jsonl") if row["agrees"] and not agrees(row)] == []


def test_each_upstream_row_that_needs_an_option_we_have_holds() -> None:
    ours = [row for row in rows("upstream.jsonl") if row.get("note", "").endswith(("wrap", "second_at_beginning"))]
    assert (len(ours), [row["expr"] for row in ours if not agrees(row)]) == (10, [])


def test_the_upstream_rows_that_need_an_option_we_do_not_have_are_these() -> None:
    others = {row["expr"] for row in rows("upstream.jsonl") if row["agrees"] is None and not agrees(row)}
    assert others == {
        "30 23 1-7 JAN MON-FRI#1",  # a range with #, matching both days: refused
        "0 13 8 1,4,7,10 wed",  # day_or=False: matching both days where cron matches either
        "0 0 1 */3 *",  # expand_from_start_time: steps counted from when one asks
        "0 */7 * * *",  # the same
    }


@pytest.mark.parametrize("row", [row for row in rows("upstream.jsonl") if row["agrees"] is False and row["tz"]])
def test_an_upstream_row_that_debian_contradicts_is_as_debian_has_it(row: Row) -> None:
    expression, fields = in_our_order(row)
    debian = [datetime.fromisoformat(fire) for fire in row["note"].removeprefix("debian oracle: ").split(",")]
    start = datetime.fromisoformat(row["start"])
    assert fires(parse_schedule(expression, tz=row["tz"], fields=fields), start, len(debian)) == debian


def attempt(expression: str, fields: int) -> Schedule | FieldError:
    try:
        return parse_schedule(expression, fields=fields)
    except FieldError as refused:
        return refused


def accepted(expression: str, fields: int) -> bool:
    found = attempt(expression, fields)
    if isinstance(found, Schedule):
        return True
    assert found.hint
    assert found.end is not None
    assert 0 <= found.start < found.end <= len(expression)
    return False


def test_nothing_invalid_is_accepted_but_what_is_on_purpose() -> None:
    invalid = rows("invalid.jsonl")
    taken = {row["expr"] for row in invalid for fields in {5, max(5, row["nfields"])} if accepted(row["expr"], fields)}
    assert taken == set().union(*ON_PURPOSE.values())


def sets(schedule: Schedule) -> list[Any]:
    assert isinstance(schedule, CronSchedule)
    return ["*" if field.full else [*field.values, *field.special] for field in schedule.fields[1:]]


def test_each_odd_expression_is_as_cronie_has_it_or_one_of_the_differences_listed() -> None:
    stricter, wider = {}, {}
    for row in (row for row in rows("odd.jsonl") if row["nfields"] <= 5 and row["expr"] not in DRAWN):
        try:
            found = sets(parse_schedule(row["expr"]))
        except FieldError as refused:
            if row["sets"]["cronie"] is not None:
                stricter[row["expr"]] = refused.message
        else:
            if found != row["sets"]["cronie"]:
                wider[row["expr"]] = found
    assert (stricter, wider) == (STRICTER, WIDER)


@pytest.mark.parametrize(("expression", "low", "high"), [(text, *bounds) for text, bounds in DRAWN.items()])
def test_a_drawn_value_is_one_that_cronie_could_draw(expression: str, low: int, high: int) -> None:
    drawn = [sets(parse_schedule(expression, name=f"job-{number}"))[0][0] for number in range(50)]
    assert low <= min(drawn) < max(drawn) <= high


def test_odd_expressions_with_seconds_or_a_year_are_read_in_our_order() -> None:
    seconds = [row["expr"] for row in rows("odd.jsonl") if row["nfields"] == 6]
    assert (len(seconds), [text for text in seconds if not accepted(text, 6)]) == (3, [])
    years = [in_our_order({**row, "seconds": "last", "year": True}) for row in rows("odd.jsonl") if row["nfields"] == 7]
    assert (len(years), [text for text, fields in years if accepted(text, fields)]) == (4, [])  # none ever fires


def test_each_difference_is_in_the_docs() -> None:
    docs = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8").lower()
    about_blanks_or_layout = ON_PURPOSE["blanks in front"] | ON_PURPOSE["seconds first"]
    listed = {*STRICTER, *WIDER, *set().union(*ON_PURPOSE.values())} - about_blanks_or_layout
    for expression in listed:
        said = " ".join(word for word in expression.split() if word not in {"*", "0", "1"}).lower()
        assert not said or f"`{said}`" in docs, expression
