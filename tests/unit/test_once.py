"""What runs once: from words to a value, in the ledger, as a job, and what the command says."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.ledger import Beginning, RunnerId, Skip
from runjobs.adapters.ledger.catching_up import CatchingUp, in_memory, read_open
from runjobs.adapters.ledger.sqlite import open_ledger
from runjobs.adapters.statefolder import prepare
from runjobs.core.answers import overdue_since
from runjobs.core.errors import FieldError
from runjobs.core.fire import Fire, Trigger
from runjobs.core.job import DAY, Base, Catchup, Options, Overlap
from runjobs.core.names import LONGEST, check_job_name
from runjobs.core.once import (
    Once,
    Planned,
    check_once_name,
    command_of,
    from_text,
    job_name,
    job_of,
    jobs_of,
    kept_environment,
    read_setting,
    to_text,
)
from runjobs.core.outcome import Outcome
from runjobs.core.plan import Boot, Decision, decide, look_on, look_once, mark_after
from runjobs.core.run import RunEnd, Start
from runjobs.runner.onces import Onces, tidy
from tests.support.calling import Answer, call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runjobs.adapters.ledger.sqlite import SqliteLedger

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
BOOT = Boot("boot", NOON - HOUR)
UID = 1000
ONE = RunnerId("runner-1", "/locks/runner")
ONCE = Once(NOON + HOUR, NOON, "echo hello", "/srv", 0o027, UID, user="ada", who="ada")


def planned(once: Once = ONCE, number: int = 7) -> Planned:
    return Planned(number, job_name(once.name, number), once)


# its value


def test_one_word_is_a_command_line_and_several_are_given_to_the_command_as_they_are() -> None:
    assert command_of(["cd /srv && make > log"]) == "cd /srv && make > log"
    assert command_of(["printf", "%s\n", "a b", "$x"]) == "printf '%s\n' 'a b' '$x'"


@pytest.mark.parametrize(
    ("words", "message"),
    [([""], "no command"), ([" \n"], "no command"), (["a\0b"], "NUL"), (["x" * 131_072], "131,071 bytes")],
)
def test_a_command_that_no_process_can_be_given_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        command_of(words)


def test_the_environment_is_kept_as_at_keeps_it_without_our_settings_and_the_callers_shell() -> None:
    given = {"PATH": "/bin", "TERM": "xterm", "_": "/bin/at", "RUNJOBS_STATE": "/s", "SHELL": "/bin/zsh", "FOO": "a b"}
    assert kept_environment(given | {"BASH_FUNC_x%%": "() { :; }"}) == (("PATH", "/bin"), ("FOO", "a b"))


def test_what_is_kept_as_text_comes_back_as_it_was_bytes_that_are_no_text_too() -> None:
    once = ONCE._replace(command="echo \udcff", environment=(("A", "ü\n"),), settings=(("retries", "2"),))
    assert from_text(to_text(once)) == once
    assert to_text(once).isascii()


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert from_text(json.dumps(json.loads(to_text(ONCE)) | {"later": 1})) == ONCE


@pytest.mark.parametrize(("text", "name"), [("report", "report"), ("at/report", "report"), ("a/b", "a/b")])
def test_a_name_may_be_written_with_or_without_its_prefix(text: str, name: str) -> None:
    assert check_once_name(text) == name


@pytest.mark.parametrize(
    ("text", "message", "start"),
    [
        ("12", "a number is no name", 0),
        ("at/12", "a number is no name", 3),
        ("at/a b", "can't contain", 4),
        ("", "can't be empty", 0),
        ("x" * (LONGEST - 2), "too long", 0),
    ],
)
def test_a_name_that_can_not_be_says_where_it_goes_wrong(text: str, message: str, start: int) -> None:
    with pytest.raises(FieldError, match=message) as caught:
        check_once_name(text)
    assert caught.value.start == start


def test_no_job_of_a_file_can_take_such_a_name() -> None:
    assert check_job_name("attic/1") == "attic/1"
    with pytest.raises(FieldError, match="runjobs at"):
        check_job_name("at/1")


def test_options_are_those_of_jobs_files_checked_as_there() -> None:
    assert read_setting("retry-on=75,timeout") == ("retry-on", "75,timeout")


@pytest.mark.parametrize(
    ("text", "message", "start", "end"),
    [
        ("retries", "'retries' has no value", 0, None),
        ("what", "'what' has no value", 0, None),
        ("retires=2", "no option 'retires'", 0, 7),
        ("=2", "no option ''", 0, None),
        ("timeout=", "not a duration", 8, None),
        ("retry-on=75,x", "no way for a run", 12, 13),
        ("name=x", "name means nothing", 0, 4),
        ("fields=6", "fields means nothing", 0, 6),
    ],
)
def test_an_option_that_can_not_be_says_where_it_goes_wrong(
    text: str, message: str, start: int, end: int | None
) -> None:
    with pytest.raises(FieldError, match=message) as caught:
        read_setting(text)
    assert (caught.value.start, caught.value.end) == (start, end)


# as a job


def test_its_job_runs_as_and_where_it_was_asked_for_with_nothing_of_the_runners_environment() -> None:
    job = job_of(planned(ONCE._replace(environment=(("A", "1"),))), UID)
    assert (job.name, job.command, job.stdin, job.shell) == ("at/7", "echo hello", None, "/bin/sh")
    assert job.options == Options(catchup=Catchup.LAST, overlap=Overlap.QUEUE, env=Base.CLEAN, cwd="/srv", umask=0o027)
    assert job.environment == (("A", "1"),)


def test_options_that_were_given_win() -> None:
    settings = (("catchup", "none"), ("overlap", "skip"), ("kill-after", "1m"), ("cwd", "/tmp"))
    options = job_of(planned(ONCE._replace(settings=settings)), UID).options
    assert (options.catchup, options.overlap) == (Catchup.NONE, Overlap.SKIP)
    assert (options.kill_after, options.cwd) == (MINUTE, "/tmp")


@pytest.mark.parametrize(("user", "runs_as"), [("ada", "ada"), ("", "uid 1000")])
def test_for_a_runner_of_another_user_it_is_a_job_of_who_asked(user: str, runs_as: str) -> None:
    assert job_of(planned(ONCE._replace(user=user)), 0).options.user == runs_as


def test_what_can_not_be_read_is_left_out_and_the_others_run() -> None:
    unknown = planned(ONCE._replace(settings=(("of-another-version", "1"),)), 8)
    assert list(jobs_of([unknown, planned()], UID)) == ["at/7"]


# when it is due


def test_a_runner_that_never_saw_it_before_starts_it_however_late() -> None:
    late = look_on(NOON + 100 * HOUR, NOON + 99 * HOUR, BOOT)
    decision = decide(job_of(planned(), UID), None, late)
    assert decision is not None
    assert decision.claims == (Fire("at/7", Trigger.ONCE, ONCE.at),)
    assert decision.missed == ()


def test_it_is_not_due_before_its_time_and_never_again_after_it() -> None:
    job = job_of(planned(), UID)
    first = decide(job, None, look_once(NOON, BOOT))
    assert first is not None
    assert (first.claims, first.mark.next_start) == ((), ONCE.at)
    assert decide(job, first.mark, look_once(ONCE.at - MINUTE, BOOT)) is None
    second = decide(job, first.mark, look_once(ONCE.at, BOOT))
    assert second is not None
    assert second.mark.next_fire is None
    assert decide(job, second.mark, look_once(ONCE.at + HOUR, BOOT)) is None


def test_asked_for_now_it_is_due_at_once() -> None:
    job = job_of(planned(ONCE._replace(at=NOON, asked_at=NOON + timedelta(milliseconds=700))), UID)
    decision = decide(job, None, look_on(NOON + timedelta(seconds=1), NOON - HOUR, BOOT))
    assert decision is not None
    assert len(decision.claims) == 1


def test_asked_for_anew_under_an_old_name_it_is_another_one() -> None:
    job, again = (job_of(planned(ONCE._replace(asked_at=at)), UID) for at in (NOON, NOON + MINUTE))
    assert decide(again, mark_after(job, ONCE.at), look_once(ONCE.at, BOOT)) is not None


def test_where_lateness_is_forbidden_it_is_missed_with_the_reason() -> None:
    job = job_of(planned(ONCE._replace(settings=(("catchup", "none"),))), UID)
    decision = decide(job, None, look_once(ONCE.at + HOUR, BOOT))
    assert decision is not None
    assert [(miss.trigger, miss.reason, miss.number) for miss in decision.missed] == [(Trigger.ONCE, "down", 1)]


def test_it_is_overdue_though_no_runner_has_ever_looked_at_it() -> None:
    job = job_of(planned(), UID)
    assert overdue_since(job, None, ONCE.at + HOUR) == ONCE.at
    assert overdue_since(replace(job, options=replace(job.options, enabled=False)), None, ONCE.at + HOUR) is None
    assert overdue_since(job, None, ONCE.at) is None


# in the ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = open_ledger(tmp_path / "ledger.sqlite3", announce=print)
    yield opened
    opened.close()


def deciding(*decisions: Decision) -> Callable[[object], list[Decision]]:
    return lambda _: list(decisions)


def claim(ledger: SqliteLedger, fire: Fire) -> list[int]:
    decision = Decision(fire.job, mark_after(job_of(planned(), UID), fire.scheduled_at), (fire,))
    return [one.fire_id for one in ledger.claim(ONE, NOON, None, deciding(decision)).claimed]


FIRST = Fire("at/1", Trigger.ONCE, ONCE.at)


def test_a_runner_reads_onces_anew_only_when_there_are_others(ledger: SqliteLedger) -> None:
    onces = Onces(ledger)
    beside = onces.beside({})
    onces.refresh()
    assert len(beside) == 0
    ledger.plan_once(ONCE)
    onces.refresh()
    first = beside["at/1"]
    onces.refresh()
    assert beside["at/1"] is first
    ledger.remove_once("at/1")
    onces.refresh()
    assert "at/1" not in beside


def test_of_a_broken_ledger_what_is_still_to_run_is_taken_over(ledger: SqliteLedger) -> None:
    over = ledger.plan_once(ONCE)
    ledger.plan_once(ONCE._replace(name="report"))
    kept = read_open(ledger._connection)
    assert over is not None
    other = CatchingUp(in_memory(), ledger._path)
    other.plan_once(ONCE)
    (fire,) = claim(other, FIRST)
    other.start(ONE, NOON, Beginning(skips=[Skip(fire, "skipped", "paused")]))
    other.take_in(kept)
    assert [each.job for each in other.onces()] == ["at/report"]
    other.close()


def test_long_after_it_was_over_all_that_is_left_of_it_goes_and_of_others_nothing(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    state = prepare(tmp_path, {})
    for name in ("old", "again", "young"):
        (state.logs / f"at,{name}").mkdir()
        (state.locks / f"job.at,{name}").touch()
    (state.locks / "job.at,old+2").touch()
    long_ago = NOON - 401 * DAY
    for name, at in (("old", long_ago), ("again", long_ago), ("young", NOON), ("again", NOON)):
        assert ledger.plan_once(ONCE._replace(name=name, at=at)) is not None
        (fire,) = claim(ledger, Fire(f"at/{name}", Trigger.ONCE, at))
        ledger.start(ONE, at, Beginning(skips=[Skip(fire, "skipped", "paused")]))
    tidy(ledger, state, NOON)
    assert sorted(path.name for path in state.logs.iterdir()) == ["at,again", "at,young"]
    assert sorted(path.name for path in state.locks.iterdir()) == ["job.at,again", "job.at,young"]
    assert ledger.newest("at/old", NOON) is None
    assert ledger.newest("at/again", long_ago) is not None


# the command


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "jobs").write_text("#: name=backup\n15 3 * * * backup\n")
    return tmp_path


def ask(place: Path, *words: str) -> Answer:
    return call("at", "--jobs", str(place / "jobs"), "--state", str(place / "state"), "--trust-jobs", *words)


def test_it_says_when_it_runs_and_that_nobody_is_there_to_run_it(place: Path) -> None:
    answer = ask(place, "in 10 minutes", "--", "true")
    assert answer.code == 0
    assert answer.out.startswith("at/1 runs ")
    assert answer.out.endswith(", in 10m\n")
    assert "no runner is there" in answer.err
    assert "try: runjobs run --foreground" in answer.err


def test_the_list_has_what_is_planned_in_the_order_of_time_and_no_values_of_variables(place: Path) -> None:
    ask(place, "in 2h", "--name", "second", "--set", "retries=2", "--timeout", "5m", "--", "echo", "a b")
    ask(place, "in 1h", "--env", "clean", "--cwd", "/", "--", "echo one")
    answer = ask(place, "--list", "--json")
    first, second = answer.json["onces"]
    assert (first["job"], first["cwd"], first["environment"]) == ("at/2", "/", [])
    assert (second["job"], second["command"], second["state"]) == ("at/second", "echo 'a b'", "planned")
    assert second["options"] == {"retries": "2", "timeout": "5m"}
    assert "PATH" in second["environment"]
    assert os.environ["PATH"] not in answer.out
    plain = ask(place, "--list")
    assert [line.split()[0] for line in plain.out.splitlines()] == ["JOB", "at/2", "at/second"]
    assert ask(place, "--list", "second").out.split()[5:6] == ["at/second"]


def test_what_is_removed_is_planned_no_more(place: Path) -> None:
    ask(place, "in 1h", "--", "true")
    ask(place, "in 1h", "--name", "x", "--", "true")
    answer = ask(place, "--remove", "1", "at/x")
    assert (answer.code, answer.out) == (0, "at/1 is removed\nat/x is removed\n")
    assert "nothing is planned" in ask(place, "--list").err
    assert ask(place, "in 1h", "--json", "--", "true").json["planned"]["id"] == 3  # numbers never come back


def test_what_has_begun_can_not_be_removed_and_the_way_out_is_to_stop_it(place: Path) -> None:
    ask(place, "now", "--", "true")
    ledger = open_ledger(place / "state" / "ledger.sqlite3", announce=print)
    (once,) = ledger.onces()
    claim(ledger, Fire("at/1", Trigger.ONCE, once.once.at))
    ledger.close()
    answer = ask(place, "--remove", "1")
    assert answer.code == 2
    assert "has begun" in answer.err
    assert "runjobs stop at/1" in answer.err
    assert ask(place, "--list", "--json").json["onces"][0]["state"] == "claimed"


@pytest.mark.parametrize(
    ("words", "said", "way_out"),
    [
        ((), "no time is named", "runjobs at"),
        (("yesterday", "--", "x"), '"yesterday" has passed', "in 10 minutes"),
        (("tomorow", "--", "x"), "is not a point in time", 'try: "tomorrow"'),
        (("whenever", "--", "x"), "is not a point in time", "next friday"),
        (("tomorrow", "7:30", "--", "x"), 'is the time "tomorrow", or "tomorrow 7:30"?', "put quotes around it"),
        (("now", "--", ""), "there is no command", "COMMAND"),
        (("now", "--set", "retires=1", "--", "x"), "no option 'retires'", "did you mean retries?"),
        (("now", "--set", "timeout=1h", "--timeout", "2h", "--", "x"), "timeout is given twice", "keep one"),
        (("now", "--set", "after=bakcup", "--", "x"), "no job is named bakcup", "backup"),
        (("now", "--name", "7", "--", "x"), "a number is no name", "--name report"),
        (("now", "--env", "some", "--", "x"), "'some' is none of keep, clean", "--env keep"),
        (("--list", "--remove", "1"), "two things", "leave out one"),
        (("--remove",), "nothing is named", "--list"),
        (("--remove", "1"), "nothing that is planned is called at/1", "runjobs at --list"),
        (("--list", "1"), "nothing that is planned is called at/1", "runjobs at --list"),
    ],
)
def test_what_can_not_be_asked_for_is_refused_with_the_way_out(
    place: Path, words: tuple[str, ...], said: str, way_out: str
) -> None:
    answer = ask(place, *words)
    assert answer.code == 2
    assert said in answer.err
    assert way_out in answer.err
    assert answer.out == ""


def test_a_name_that_is_taken_is_refused(place: Path) -> None:
    ask(place, "in 1h", "--name", "x", "--", "true")
    answer = ask(place, "in 2h", "--name", "x", "--", "true")
    assert answer.code == 2
    assert "at/x is planned already" in answer.err
    assert "runjobs at --remove at/x" in answer.err


def test_status_and_why_know_it_before_it_has_run(place: Path) -> None:
    ask(place, "now", "--", "true")
    asked = ("--jobs", str(place / "jobs"), "--state", str(place / "state"), "--trust-jobs")
    status = call("status", *asked, "--json").json["jobs"]
    assert [(job["name"], job["next"] is None) for job in status] == [("backup", False), ("at/1", False)]
    assert "(@at " in call("why", *asked, "at/1").out


# the outcome words that the ledger's triggers go by are those of the core


def test_a_once_is_over_when_its_fire_has_ended_and_not_before(ledger: SqliteLedger) -> None:
    ledger.plan_once(ONCE)
    (fire,) = claim(ledger, FIRST)
    start = Start("run-1", fire, 1, "/locks/job.at,1", "/log")
    ledger.start(ONE, NOON, Beginning([start]))
    again = (NOON + MINUTE).timestamp()
    ledger.record([], [RunEnd("run-1", Outcome.FAILED.value, "exit-code", again_at=again)])
    assert [each.job for each in ledger.appointed()] == ["at/1"]
    ledger.cancel(Skip(fire, Outcome.STOPPED.value, "person"), NOON)
    assert ledger.appointed() == []
    assert ledger.marks() == {}
