"""What is news, how letters travel, and what a ledger keeps of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.ledger import RunnerId
from runjobs.adapters.ledger.outbox import Outbox
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.adapters.ledger.tidings import Glance, glance, look
from runjobs.core import digest
from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError
from runjobs.core.fire import Fire, Trigger, milliseconds
from runjobs.core.job import NotifyOn
from runjobs.core.letter import Delivery, Kind, Letter
from runjobs.core.news import (
    Occasion,
    Standing,
    Terms,
    after,
    facts_of,
    from_text,
    is_slow,
    is_told,
    kind_of,
    letters_of,
    mark_of,
    ping_of,
    receiver_hash,
    terms_of,
    to_text,
    usual_of,
)
from runjobs.core.options import find_option
from runjobs.core.receivers import Receiver
from runjobs.core.run import ProcessId, RunEnd, Start, Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.core.job import Job

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AT = milliseconds(NOON)
SECOND = timedelta(seconds=1)
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
OPS = Receiver("mail", "ops@example.org")
HOOK = Receiver("webhook", "@OPS_HOOK")
PING = Receiver("ping", "@HC_BACKUP")
RUNNER = RunnerId("runner-1", "/locks/runner")
SENT = Delivery("sent")
LATER = Delivery("later", "HTTP 500")
NEVER = Delivery("never", "HTTP 410")


def terms(*on: str, receivers: tuple[Receiver, ...] = (OPS,), **spans: float) -> Terms:
    known = {"expect": None, "slow_after": None} | spans
    return Terms(receivers, frozenset(map(NotifyOn, on or ("change",))), **known, about={})


def end(outcome: str, reason: str = "", seconds: float | None = None, usual: float | None = None) -> Occasion:
    return Occasion("end", "backup", AT, AT, "3574rvws8az", outcome, reason, seconds, usual)


LAPSE = Occasion("lapse", "backup", AT, outcome="missed", reason="expected")
START = Occasion("start", "backup", AT, AT, "3574rvws8az")


def told(on: str, *outcomes: str) -> list[str | None]:
    """What each of these ends, one after the other, is to people."""
    standing, kinds = Standing(), []
    for outcome in outcomes:
        kind = kind_of(terms(*on.split(",")), standing, end(outcome))
        kinds.append(kind.value if kind else None)
        standing = after(standing, end(outcome))
    return kinds


@pytest.mark.parametrize(
    ("on", "kinds"),
    [
        ("change", [None, "failure", None, "recovery", None]),
        ("failure", [None, "failure", "failure", None, None]),
        ("recovery", [None, None, None, "recovery", None]),
        ("failure,recovery", [None, "failure", "failure", "recovery", None]),
        ("always", ["success", "failure", "failure", "recovery", "success"]),
        ("missed", [None] * 5),
        ("slow", [None] * 5),
    ],
)
def test_what_is_told_of_ends_is_as_notify_on_says(on: str, kinds: list[str | None]) -> None:
    assert told(on, "ok", "failed", "timeout", "ok", "ok") == kinds


@pytest.mark.parametrize("outcome", ["failed", "timeout", "error", "interrupted"])
def test_whatever_went_wrong_by_itself_is_a_failure(outcome: str) -> None:
    assert told("change", outcome) == ["failure"]


@pytest.mark.parametrize("outcome", ["stopped", "skipped"])
def test_what_a_person_stopped_or_a_lock_kept_from_starting_is_no_news_and_changes_nothing(outcome: str) -> None:
    assert told("always", "failed", outcome, "ok") == ["failure", None, "recovery"]
    assert told("change", "ok", outcome, "ok") == [None, None, None]


@pytest.mark.parametrize(("reason", "is_news"), [("down", True), ("late", True), ("superseded", False)])
def test_missed_fires_are_news_to_who_asks_for_them_unless_a_newer_one_took_their_place(
    reason: str, is_news: bool
) -> None:
    missed = end("missed", reason)._replace(id="")
    assert (kind_of(terms("missed"), Standing(), missed) is Kind.MISSED) is is_news
    assert kind_of(terms("change"), Standing(), missed) is None
    assert after(Standing(2), missed) == Standing(2)


def test_a_lapse_is_news_to_everybody_and_so_is_its_end() -> None:
    lapsed = after(Standing(), LAPSE)
    assert kind_of(terms("recovery"), Standing(), LAPSE) is Kind.MISSED
    assert kind_of(terms("change"), lapsed, end("ok")) is Kind.RECOVERY
    assert kind_of(terms("failure"), lapsed, end("ok")) is None
    assert after(lapsed, end("ok")) == Standing()


@pytest.mark.parametrize(
    ("seconds", "usual", "slow_after", "slow"),
    [
        (61, None, 60, True),
        (60, None, 60, False),
        (601, 1, 6_000, False),  # what the job says comes first
        (31, 10, None, True),
        (30, 10, None, False),
        (9, 1, None, False),  # three times of little is little
        (12, 1, None, True),
        (10_000, None, None, False),  # nobody knows what is usual
    ],
)
def test_slow_is_longer_than_the_job_says_or_three_times_what_is_usual(
    seconds: float, usual: float | None, slow_after: float | None, slow: bool
) -> None:
    occasion = end("ok", seconds=seconds, usual=usual)
    asked = Terms((OPS,), frozenset({NotifyOn.SLOW}), None, slow_after, {})
    assert is_slow(asked, occasion) is slow
    assert (kind_of(asked, Standing(), occasion) is Kind.SLOW) is slow
    assert not is_slow(asked, end("ok"))


def test_what_is_usual_needs_ten_runs_and_passes_over_a_few_that_took_long() -> None:
    assert usual_of([1.0] * 9) is None
    assert usual_of([1.0] * 10) == 1.0
    assert usual_of([1.0] * 96 + [3_600.0] * 4) == 1.0
    assert usual_of([*range(100)]) == 95


def test_who_counts_pings_is_told_each_start_and_each_end_of_a_run_whatever_notify_on_says() -> None:
    asked = terms("recovery", receivers=(PING, OPS))
    kinds = [
        [(receiver.kind, letter.kind.value) for receiver, letter in letters_of(asked, Standing(), occasion)]
        for occasion in (START, end("ok"), end("failed"), end("stopped"), end("skipped"), LAPSE)
    ]
    ping = [[("ping", kind)] for kind in ("start", "success", "failure", "failure")]
    assert kinds == [*ping, [], [("mail", "missed")]]
    assert ping_of(end("missed", "down")._replace(id="")) is None
    assert after(Standing(1), START) == Standing(1)
    assert kind_of(asked, Standing(), START) is None


def test_a_key_is_the_same_on_every_repeat_and_anothers_for_all_else() -> None:
    def keys(*occasions: Occasion, receivers: tuple[Receiver, ...] = (OPS, HOOK)) -> list[str]:
        asked = terms("always", receivers=receivers)
        return [letter.key for each in occasions for _, letter in letters_of(asked, Standing(), each)]

    different = [end("failed"), end("ok"), end("failed")._replace(id="3574rvws8b0"), LAPSE, LAPSE._replace(at=AT + 1)]
    different += [LAPSE._replace(job="other"), end("missed", "down")._replace(id="")]
    assert keys(*different) == keys(*different)
    assert len(set(keys(*different))) == len(keys(*different)) == 14
    assert keys(end("failed"))[0] == f"3574rvws8az.failure.{receiver_hash(OPS)}"
    assert all(key.isascii() and " " not in key and "/" not in key for key in keys(*different))


def test_facts_say_what_is_known_and_leave_out_the_rest() -> None:
    asked = terms()._replace(about={"schedule": "@daily", "command": "x"})
    facts = facts_of(asked, Standing(1), end("failed", "exit", 2.5)._replace(facts={"exit_code": 0}))
    assert facts == {
        "job": "backup",
        "run": "3574rvws8az",
        "outcome": "failed",
        "reason": "exit",
        "seconds": 2.5,
        "scheduled_at": "2026-11-20T12:00:00.000Z",
        "schedule": "@daily",
        "command": "x",
        "exit_code": 0,
        "failures": 2,
    }
    assert facts_of(asked, Standing(3), end("ok"))["failures"] == 3  # a recovery says after how many
    assert facts_of(asked, Standing(), LAPSE).keys() == {"job", "outcome", "reason", "schedule", "command"}


# what a jobs file says


def jobs(text: str) -> dict[str, Job]:
    file = parse(text, source="jobs")
    assert not file.problems
    return {job.name: job for job in file.jobs}


def test_terms_come_from_the_jobs_own_options_or_the_files_defaults() -> None:
    found = jobs(
        "#: defaults notify=webhook:@OPS_HOOK notify-on=failure\n"
        "#: name=a expect-within=26h slow-after=10m user=www-data\n@daily x\n"
        "#: name=b notify=none\n@daily x\n"
        "#: name=c notify=none expect-within=1h\n@daily x\n"
        "#: name=d enabled=no\n@daily x\n"
    )
    a = terms_of(found["a"], "root")
    about = {"schedule": "@daily", "command": "x", "user": "www-data"}
    assert a == Terms((HOOK,), frozenset({NotifyOn.FAILURE}), 93_600.0, 600.0, about)
    assert terms_of(found["b"], "root") is None
    c = terms_of(found["c"], "root")
    assert c is not None
    assert (c.receivers, c.expect, c.about["user"]) == ((), 3_600.0, "root")
    assert [name for name, job in found.items() if is_told(job)] == ["a", "c"]


def test_mail_alone_goes_to_whom_mailto_names_and_to_nobody_where_it_is_empty() -> None:
    found = jobs(
        '#: defaults notify=mail\nMAILTO=ops@example.org\n#: name=a\n@daily x\nMAILTO=""\n#: name=b\n@daily x\n'
    )
    a, b = (terms_of(found[name], "root") for name in "ab")
    assert a is not None
    assert b is not None
    assert a.receivers == (OPS,)
    assert b.receivers == ()


def test_terms_are_read_back_as_they_were_written() -> None:
    asked = Terms((OPS, PING._replace(options=(("a", "b"),))), frozenset(NotifyOn), 1.5, None, {"command": "ü\udcff"})
    assert from_text(to_text(asked)) == asked
    assert asked.wants_all
    assert asked.has_pings
    assert not terms("failure").wants_all


def test_the_mark_of_jobs_changes_with_all_that_their_terms_are_made_of() -> None:
    base = "#: name=a notify=mail\n@daily x\n"
    changed = [
        base,
        base + "#: name=b notify=mail\n@daily x\n",
        base.replace("=a", "=b"),
        base.replace(" x", " y"),
        base.replace("daily", "hourly"),
        base.replace("notify=mail", "notify=webhook:@X"),
        base.replace("notify", "notify-on=missed notify"),
        base.replace("notify", "slow-after=1m notify"),
        "MAILTO=x@example.org\n" + base,
    ]
    marks = [mark_of(jobs(text).values(), "root") for text in changed]
    assert len(set(marks)) == len(marks)
    assert mark_of(jobs(base).values(), "ann") not in marks
    assert mark_of(jobs(base).values(), "root") == mark_of(
        jobs("#: name=a retries=2 notify=mail\n@daily x\n").values(), "root"
    )
    assert mark_of([], "root") == ""


@pytest.mark.parametrize(
    ("key", "text", "said", "place"),
    [
        ("notify-on", "failure,mised", "'mised' is nothing to tell of", (8, 13)),
        ("notify-on", "", "'' is nothing to tell of", (0, 0)),
        ("expect-within", "0s", "more than 0", (0, None)),
        ("expect-within", "400d", "longer than a year", (0, None)),
        ("slow-after", "3x", "not a duration", None),
        ("notify", "pigeon:home", "no kind of receiver", (0, 6)),
    ],
)
def test_a_mistake_in_an_option_about_news_is_pointed_at(
    key: str, text: str, said: str, place: tuple[int, int | None] | None
) -> None:
    with pytest.raises(FieldError, match=said) as caught:
        find_option(key).parse(text)
    assert place is None or (caught.value.start, caught.value.end) == place
    assert caught.value.hint


# how letters travel


def test_a_few_letters_go_at_once_and_those_after_them_when_the_minute_is_over() -> None:
    crowd, times = digest.Crowd(), []
    for second in (0, 1, 2, 3, 59):
        crowd, due = digest.joined(crowd, AT + second * 1000)
        times.append(due - AT)
    assert times == [0, 1_000, 2_000, 60_000, 60_000]
    assert digest.joined(crowd, AT + 61_000)[1] == AT + 121_000  # it goes on: they wait for company at once
    assert digest.joined(crowd, AT + 130_000)[1] == AT + 130_000  # a quiet minute, and all is as before
    assert digest.joined(crowd, AT - 10_000)[1] == AT - 10_000  # the clock was set back


@given(st.integers(1, 10_000))
def test_pauses_between_tries_grow_from_ten_seconds_to_an_hour(tries: int) -> None:
    assert 10 * SECOND <= digest.pause_after(tries) <= digest.pause_after(tries + 1) <= HOUR


def test_a_receiver_that_asks_for_more_time_gets_it_up_to_a_day() -> None:
    assert digest.pause_after(1) == 10 * SECOND
    assert digest.pause_after(2, 5.0) == 20 * SECOND
    assert digest.pause_after(1, 300.0) == 5 * MINUTE
    assert digest.pause_after(1, 1e9) == 24 * HOUR


def test_a_digest_names_some_and_counts_all() -> None:
    letters = [
        Letter(f"k{n}", Kind.FAILURE, f"job-{n}", {"job": f"job-{n}", "log": "…", "detail": "x"}) for n in range(60)
    ]
    one = digest.digest(letters, {"failure": 9_990, "missed": 10}, "hash")
    assert one.kind is Kind.DIGEST
    assert one.facts["letters"][0] == {"kind": "failure", "job": "job-0", "detail": "x"}
    assert (len(one.facts["letters"]), one.facts["left_out"], one.facts["number"]) == (50, 9_950, 10_000)
    assert one.facts["kinds"] == {"failure": 9_990, "missed": 10}
    assert one.key == digest.digest(letters, {"failure": 60}, "hash").key != digest.digest(letters[1:], {}, "hash").key


# the ledger


def refuse(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = open_ledger(path, announce=refuse)
    yield opened
    opened.close()


@pytest.fixture
def outbox(ledger: SqliteLedger, path: Path) -> Iterator[Outbox]:
    opened = Outbox(path, refuse)
    yield opened
    opened.close()


def run(ledger: SqliteLedger, job: str, outcome: str, at: datetime = NOON, again: datetime | None = None) -> None:
    """A run of a job, from its claim to its end."""
    claimed = ledger.claim_one(RUNNER, at, Fire(job, Trigger.SCHEDULE, at))
    assert claimed is not None
    begin(ledger, job, claimed.fire_id, 1, at)
    finish(ledger, job, outcome, 1, at, again)


def begin(ledger: SqliteLedger, job: str, fire: int, attempt: int, at: datetime) -> None:
    from runjobs.adapters.ledger import Beginning

    start = Start(f"{job}-{attempt}-{milliseconds(at)}", fire, attempt, "/locks/job", "/logs/job/run.log")
    assert ledger.start(RUNNER, at, Beginning([start]))
    ledger.record([Started(start.run_id, 1, ProcessId(2, 3, "boot", 4), at.timestamp())], [])


def finish(
    ledger: SqliteLedger, job: str, outcome: str, attempt: int, at: datetime, again: datetime | None = None
) -> None:
    ended = RunEnd(f"{job}-{attempt}-{milliseconds(at)}", outcome, "exit", exit_code=3, started_at=at.timestamp())
    ended = ended._replace(ended_at=(at + SECOND).timestamp(), again_at=again.timestamp() if again else None)
    assert ledger.record((), [ended])


def letters(outbox: Outbox, receiver: Receiver, now: datetime, delivery: Delivery = SENT) -> list[str]:
    """The kinds of all letters that a receiver gets now, in order."""
    while outbox.gather(now):
        pass
    kinds = []
    while receiver in outbox.postboxes(now) and (posted := outbox.take(receiver, now)):
        kinds.append(posted.letter.kind.value)
        outbox.settle(posted, delivery, now)
    return kinds


def test_an_end_is_queued_in_the_transaction_that_records_it_and_told_once(
    ledger: SqliteLedger, outbox: Outbox
) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    assert ledger.news_due() is not None
    assert letters(outbox, OPS, NOON + SECOND) == ["failure"]
    assert letters(outbox, OPS, NOON + HOUR) == []
    assert ledger.news_due() is None


def test_an_end_that_can_be_no_news_queues_nothing(ledger: SqliteLedger) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "ok")
    run(ledger, "other", "failed")
    assert ledger.news_due() is None


def test_an_end_that_goes_well_before_anybody_has_heard_of_the_failure_is_a_recovery(
    ledger: SqliteLedger, outbox: Outbox
) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    run(ledger, "backup", "ok", NOON + MINUTE)
    assert letters(outbox, OPS, NOON + HOUR) == ["failure", "recovery"]


def test_a_run_that_is_tried_again_is_no_failure_yet(ledger: SqliteLedger, outbox: Outbox) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed", again=NOON + MINUTE)
    assert letters(outbox, OPS, NOON + SECOND) == []
    waiting = ledger.waiting()[0]
    begin(ledger, "backup", waiting.fire_id, 2, NOON + MINUTE)
    finish(ledger, "backup", "failed", 2, NOON + MINUTE)
    outbox.gather(NOON + HOUR)
    posted = outbox.take(OPS, NOON + HOUR)
    assert posted is not None
    assert posted.letter.facts["attempt"] == 2
    assert posted.letter.facts["exit_code"] == 3


def test_pings_hear_of_starts_and_of_each_end(ledger: SqliteLedger, outbox: Outbox) -> None:
    ledger.subscribe({"backup": terms(receivers=(PING,))}, (), NOON)
    run(ledger, "backup", "ok")
    assert letters(outbox, PING, NOON + SECOND) == ["start", "success"]


def test_a_job_that_is_gone_has_the_end_of_its_last_run_told_and_is_forgotten_then(
    ledger: SqliteLedger, outbox: Outbox
) -> None:
    ledger.subscribe({"backup": terms(expect=60.0)}, (), NOON)
    claimed = ledger.claim_one(RUNNER, NOON, Fire("backup", Trigger.SCHEDULE, NOON))
    assert claimed is not None
    begin(ledger, "backup", claimed.fire_id, 1, NOON)
    ledger.subscribe({}, ["backup"], NOON)
    assert ledger.subscriptions() == {}
    outbox.tidy(NOON)
    finish(ledger, "backup", "failed", 1, NOON)
    assert letters(outbox, OPS, NOON + SECOND) == ["failure"]
    outbox.tidy(NOON + HOUR)
    assert outbox.raise_lapses(NOON + HOUR) == 0
    run(ledger, "backup", "failed", NOON + HOUR)
    assert ledger.news_due() is None


def test_a_job_that_has_not_gone_well_for_too_long_is_told_once_until_it_does(
    ledger: SqliteLedger, outbox: Outbox, path: Path
) -> None:
    ledger.subscribe({"backup": terms(expect=26 * 3600.0)}, (), NOON)
    assert ledger.news_due() == NOON + 26 * HOUR
    run(ledger, "backup", "ok", NOON + HOUR)
    lapse = NOON + HOUR + SECOND + 26 * HOUR
    assert ledger.news_due() == lapse
    assert outbox.raise_lapses(lapse - SECOND) == 0
    assert glance(path, lapse - SECOND).lapsed == {}
    assert glance(path, lapse + SECOND).lapsed == {"backup": lapse}  # though nobody was there to notice
    assert outbox.raise_lapses(lapse) == 1
    assert glance(path, lapse).lapsed == {"backup": lapse}
    assert letters(outbox, OPS, lapse) == ["missed"]
    assert outbox.raise_lapses(lapse + 100 * HOUR) == 0
    run(ledger, "backup", "ok", lapse + HOUR)
    assert letters(outbox, OPS, lapse + 2 * HOUR) == ["recovery"]
    assert glance(path, lapse + 2 * HOUR).lapsed == {}
    assert ledger.news_due() == lapse + HOUR + SECOND + 26 * HOUR


def test_the_time_until_a_lapse_counts_from_the_last_success_on_record(ledger: SqliteLedger) -> None:
    run(ledger, "backup", "ok")
    ledger.subscribe({"backup": terms(expect=3600.0)}, (), NOON + 5 * HOUR)
    assert ledger.news_due() == NOON + SECOND + HOUR
    ledger.subscribe({"backup": terms("failure", expect=3600.0)}, (), NOON + 6 * HOUR)  # other terms move nothing
    assert ledger.news_due() == NOON + SECOND + HOUR
    ledger.subscribe({"backup": terms("failure", expect=7200.0)}, (), NOON + 6 * HOUR)
    assert ledger.news_due() == NOON + SECOND + 2 * HOUR


def test_many_failures_in_a_minute_are_a_few_letters_and_one_digest(ledger: SqliteLedger, outbox: Outbox) -> None:
    names = [f"job-{number}" for number in range(250)]
    ledger.subscribe({name: terms(receivers=(OPS, HOOK)) for name in names}, (), NOON)
    for name in names:
        run(ledger, name, "failed")
    now = NOON + 2 * SECOND
    assert letters(outbox, OPS, now) == ["failure"] * 3
    assert letters(outbox, OPS, now + 59 * SECOND) == []
    assert ledger.news_due() == now + MINUTE or ledger.news_due() == now  # those to the other receiver
    outbox_now = now + MINUTE
    posted = outbox.take(OPS, outbox_now)
    assert posted is not None
    assert posted.letter.kind is Kind.DIGEST
    assert (posted.letter.facts["number"], len(posted.letter.facts["letters"])) == (247, 50)
    outbox.settle(posted, SENT, outbox_now)
    assert outbox.take(OPS, outbox_now) is None
    assert letters(outbox, HOOK, outbox_now) == ["digest"]  # nobody has sent it anything before: all were due by then


def test_of_many_pings_that_wait_the_newest_are_sent_one_by_one(ledger: SqliteLedger, outbox: Outbox) -> None:
    ledger.subscribe({"backup": terms(receivers=(PING,))}, (), NOON)
    for minute in range(5):
        run(ledger, "backup", "ok", NOON + minute * MINUTE)
    run(ledger, "backup", "failed", NOON + HOUR)
    assert letters(outbox, PING, NOON + 2 * HOUR) == ["success", "start", "failure"]


def test_a_letter_that_fails_is_tried_again_later_with_the_same_key_and_keeps_the_others_waiting(
    ledger: SqliteLedger, outbox: Outbox
) -> None:
    ledger.subscribe({name: terms() for name in ("a", "b")}, (), NOON)
    run(ledger, "a", "failed")
    run(ledger, "b", "failed")
    now = NOON + SECOND
    outbox.gather(now)
    first = outbox.take(OPS, now)
    assert first is not None
    assert not outbox.settle(first, LATER, now)
    assert outbox.postboxes(now) == []
    assert ledger.news_due() == now + 10 * SECOND
    again = outbox.take(OPS, now + 10 * SECOND)  # the other one: should the first be at fault, it keeps nobody waiting
    assert again is not None
    assert again.letter.job == "b"
    assert outbox.settle(again, SENT, now + 10 * SECOND)
    repeat = outbox.take(OPS, now + 10 * SECOND)
    assert repeat is not None
    assert (repeat.letter.key, repeat.tries) == (first.letter.key, 2)


def test_who_dies_over_a_letter_has_it_tried_again_not_at_once_but_with_the_same_key(
    ledger: SqliteLedger, outbox: Outbox
) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    outbox.gather(NOON)
    first = outbox.take(OPS, NOON)  # and nothing is heard of it any more
    assert first is not None
    assert outbox.take(OPS, NOON + 9 * SECOND) is None
    second = outbox.take(OPS, NOON + 10 * SECOND)
    assert second is not None
    assert second.letter.key == first.letter.key


def test_a_receiver_that_says_never_has_only_that_letter_given_up(
    ledger: SqliteLedger, outbox: Outbox, path: Path
) -> None:
    ledger.subscribe({name: terms() for name in ("a", "b")}, (), NOON)
    run(ledger, "a", "failed")
    run(ledger, "b", "failed")
    outbox.gather(NOON)
    first = outbox.take(OPS, NOON)
    assert first is not None
    assert outbox.settle(first, NEVER, NOON)
    assert letters(outbox, OPS, NOON) == ["failure"]
    assert [(each.letter.job, each.has_failed, each.detail) for each in look(path)] == [("a", True, "HTTP 410")]
    assert ledger.news_due() is None
    assert glance(path, NOON) == Glance({}, waiting=0, failed=1)


def test_what_can_not_be_delivered_for_three_days_is_given_up_and_can_be_retried(
    ledger: SqliteLedger, outbox: Outbox, path: Path
) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    now, tries = NOON, 0
    while (due := ledger.news_due()) is not None:
        now = max(due, now)
        tries += len(letters(outbox, OPS, now, LATER))
    assert 3 * 24 * HOUR <= now - NOON <= 3 * 24 * HOUR + HOUR
    assert 72 <= tries <= 90
    assert [each.has_failed for each in look(path)] == [True]
    assert outbox.retry(now) == 1
    assert letters(outbox, OPS, now) == ["failure"]
    assert look(path) == []


def test_what_was_given_up_is_forgotten_after_a_month(ledger: SqliteLedger, outbox: Outbox, path: Path) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    assert letters(outbox, OPS, NOON, NEVER) == ["failure"]
    outbox.tidy(NOON + 29 * 24 * HOUR)
    assert len(look(path)) == 1
    outbox.tidy(NOON + 31 * 24 * HOUR)
    assert look(path) == []


def test_a_slow_run_is_told_by_what_was_usual_before_it(ledger: SqliteLedger, outbox: Outbox) -> None:
    ledger.subscribe({"backup": terms("slow")}, (), NOON)
    for number in range(10):
        run(ledger, "backup", "ok", NOON + number * MINUTE)
    assert letters(outbox, OPS, NOON + HOUR) == []
    at = NOON + HOUR
    claimed = ledger.claim_one(RUNNER, at, Fire("backup", Trigger.SCHEDULE, at))
    assert claimed is not None
    begin(ledger, "backup", claimed.fire_id, 1, at)
    run_id = f"backup-1-{milliseconds(at)}"
    ledger.record((), [RunEnd(run_id, "ok", started_at=at.timestamp(), ended_at=(at + MINUTE).timestamp())])
    outbox.gather(at + HOUR)
    posted = outbox.take(OPS, at + HOUR)
    assert posted is not None
    assert posted.letter.kind is Kind.SLOW
    assert (posted.letter.facts["seconds"], posted.letter.facts["usual_seconds"]) == (60.0, 1.0)


def test_news_of_a_fire_that_was_pruned_is_let_go(ledger: SqliteLedger, outbox: Outbox) -> None:
    ledger.subscribe({"backup": terms()}, (), NOON)
    run(ledger, "backup", "failed")
    ledger._connection.executescript("DELETE FROM runs; DELETE FROM fires;")
    assert letters(outbox, OPS, NOON) == []
    assert ledger.news_due() is None


def test_a_look_writes_nothing_and_finds_nothing_where_there_is_no_ledger(path: Path) -> None:
    assert look(path) == []
    assert glance(path, NOON) == Glance()
    assert not path.exists()
