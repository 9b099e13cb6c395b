"""`runjobs status`, `history`, `why` and `logs`, asked about a night with a failure, a skip and a reboot."""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import locks
from runjobs.adapters.ledger.sqlite import open_ledger
from runjobs.cli import history, status, why
from runjobs.core.fire import Trigger
from runjobs.core.pausing import Pause
from runjobs.core.run import RunEnd
from runjobs.render.output import LONGEST, Lines, harmless, last_lines
from runjobs.render.reasons import tell
from runjobs.render.screen import Screen
from runjobs.render.table import MANY, Column, Table, draw
from runjobs.render.times import near, took
from tests.support.calling import call
from tests.support.night import JOBS, MORNING, SCREEN, Night, at, build, recorded, screens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.cli.recorded import Recorded

DOCUMENT = Path(__file__).parents[2] / "docs" / "answers.md"
PIPE = Screen()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    build(folder)
    return folder


@pytest.fixture
def night(built: Path, tmp_path: Path) -> Path:
    """A folder with the night on record, for one test to change."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def record(night: Path) -> Iterator[Recorded]:
    with recorded(night) as opened:
        yield opened


@pytest.fixture
def place(night: Path) -> list[str]:
    """The options that lead to the night."""
    return ["--jobs", str(night / "jobs"), "--state", str(night / "state"), "--trust-jobs"]


@pytest.fixture
def nowhere(tmp_path: Path) -> list[str]:
    """The options that lead to jobs that no runner has ever seen."""
    (tmp_path / "jobs").write_text(JOBS)
    return ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "none"), "--trust-jobs"]


def told(record: Recorded, job: str, when: datetime | None = None, now: datetime = MORNING) -> str:
    return tell(why.find(record, job, when, now), UTC, PIPE)


def shown(record: Recorded, now: datetime = MORNING, screen: Screen = PIPE) -> str:
    return status.text(status.look(record, list(record.jobs), now), UTC, screen)


def line(text: str, start: str) -> list[str]:
    """The words of the line that begins so."""
    return next(found.split() for found in text.splitlines() if found.startswith(start))


def test_the_documented_screens_are_what_the_commands_print(night: Path) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for command, screen in screens(night).items():
        assert f"```\n$ {command}\n{screen}\n```" in document, f"$ {command}\n{screen}"


# status


def test_status_has_how_each_job_ended_when_how_long_and_when_it_fires_next(record: Recorded) -> None:
    assert line(shown(record), "vacuum") == ["vacuum", "ok", "03:00", "47m", "Sat", "03:00"]
    assert line(shown(record), "backup") == ["backup", "failed", "03:15", "2m", "44s", "Sat", "03:15"]


def test_status_says_since_when_a_job_fails_and_the_command_that_says_why(record: Recorded) -> None:
    assert "backup has not been ok since 03:15; last: failed, exit code 2\n  try: runjobs why backup" in shown(record)
    later = shown(record, MORNING + timedelta(days=2))
    assert "backup has not been ok since Fri 03:15" in later


def test_status_says_that_nobody_runs_the_jobs_when_a_fire_is_overdue(record: Recorded) -> None:
    assert "nobody runs" not in shown(record)
    late = shown(record, MORNING + timedelta(hours=1)).splitlines()
    assert late[-2] == "nobody runs these jobs: poll was due at 08:40, 50m ago, and no runner is alive"
    assert "* * * * * runjobs run" in late[-1]
    assert "and 4 others after it" in shown(record, MORNING + timedelta(days=1))


def test_status_of_jobs_that_no_runner_has_seen_says_so(nowhere: list[str]) -> None:
    answer = call("status", *nowhere)
    assert answer.code == 0
    assert line(answer.out, "backup")[:3] == ["backup", "never", "ran"]
    assert "nobody runs these jobs: no runner has looked at them yet" in answer.out
    assert not Path(nowhere[3]).exists()
    assert call("status", *nowhere, "--json").json["watched"] is False


def test_status_names_the_runner_that_is_alive(record: Recorded) -> None:
    lock = locks.take(record.state.locks / "runner")
    assert lock is not None
    locks.write(lock.fd, {"runner": "foreground-812-x", "pid": os.getpid(), "since": "2026-11-20T03:00:00.5+00:00"})
    now = MORNING + timedelta(hours=1)
    text = shown(record, now)
    assert text.endswith(f"a foreground runner follows them: pid {os.getpid()} since 2026-11-20 03:00")
    assert "a runner is alive, but has not looked: poll was due at 08:40" in text
    os.close(lock.fd)
    assert "a foreground runner" not in shown(record, now)


def test_a_run_is_running_while_its_lock_is_held_and_else_is_nobodys(record: Recorded) -> None:
    story = Night(record.state.locks.parent)
    name = story.start(story.claim("backup", at("8:00")), "backup", at("8:00"))
    lock = locks.take(record.state.locks / "job.backup")
    assert lock is not None
    locks.write(lock.fd, {"run": name, "pid": os.getpid()})
    assert line(shown(record), "backup")[-3:] == ["running", "29m", "59s"]
    assert "run 1 goes on, 29m 59s by now" in told(record, "backup")
    os.close(lock.fd)
    assert "running" not in shown(record)
    assert f"backup: nobody watches over run {name} any more; the next pass settles it" in shown(record)
    assert "run 1 has no end on record, and nobody watches over it" in told(record, "backup")
    story.ledger.close()


def test_a_fire_that_waits_says_what_for_and_until_when(record: Recorded) -> None:
    story = Night(record.state.locks.parent)
    began = at("8:20")
    name = story.start(story.claim("backup", began), "backup", began)
    failed = RunEnd("", "failed", "exit", "exit code 2", exit_code=2, again_at=at("8:45").timestamp())
    story.end(name, began, timedelta(minutes=5), failed)
    story.ledger.close()
    assert line(shown(record), "backup")[-3:] == ["waits:", "retry", "08:45"]
    (entry,) = record.reader.fires(["backup"], (), most=1)
    (row,) = history.text([entry], MORNING, UTC, PIPE).splitlines()[1:]
    assert re.search("waiting .* to be tried again at 2026-11-20 08:45, its last run was failed", row)
    text = told(record, "backup")
    assert "and waits to be tried again at 2026-11-20 08:45, its last run was failed" in text
    assert "run 1 ended, failed: exit code 2, after 5m" in text


def test_a_job_that_is_paused_disabled_or_gone_says_so(place: list[str], tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "state" / "ledger.sqlite3", announce=print)
    ledger.pause(Pause("poll", MORNING, None, "the server moves", "anna"))
    ledger.close()
    text = (tmp_path / "jobs").read_text()
    (tmp_path / "jobs").write_text(text.replace("name=backup", "name=backup enabled=no").replace("mirror", "copy"))
    answer = call("status", *place)
    assert line(answer.out, "backup")[-1] == "disabled"
    assert line(answer.out, "poll")[-1] == "paused"
    assert "poll is paused by anna since 2026-11-20 08:30:00+00:00: the server moves" in answer.out
    assert "mirror" not in answer.out
    assert "gone" in line(call("status", *place, "mirror").out, "mirror")


def test_an_unknown_job_is_a_mistake_that_names_the_nearest_on_record_too(place: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("#: name=other\n* * * * * true\n")
    for command in ("status", "history", "why", "logs"):
        answer = call(command, *place, "bakcup")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.endswith("  try: backup\n")


def test_status_for_machines_has_the_same_keys_for_every_job(place: list[str]) -> None:
    document = call("status", *place, "--json").json
    backup = next(job for job in document["jobs"] if job["name"] == "backup")
    assert {frozenset(job) for job in document["jobs"]} == {frozenset(backup)}
    assert (backup["failing_since"], backup["failures"]) == ("2026-11-20T03:15:00+00:00", 1)
    assert [run["exit_code"] for run in backup["last"]["runs"]] == [2, 2]


def keys_in(document: str, word: str) -> set[str]:
    """The keys that the section of docs/answers.md about a word lists."""
    section = re.split(r"\n##", document.partition(f"### {word}\n")[2], maxsplit=1)[0]
    return {key for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}


def test_every_key_of_the_json_is_documented_and_no_other(place: list[str]) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    stand = call("status", *place, "--json").json
    fires = call("history", *place, "--json").json["fires"]
    assert keys_in(document, "status --json") == {*stand, *stand["jobs"][0]}
    assert keys_in(document, "A fire") == set(fires[0])
    assert keys_in(document, "A run") == set(fires[0]["runs"][0])
    assert keys_in(document, "why --json") == set(call("why", *place, "backup", "--json").json)


# history


def test_history_has_the_newest_last_with_every_attempt(record: Recorded) -> None:
    text = history.text(record.reader.fires(["backup"], ()), MORNING, UTC, PIPE)
    when = [found.split("  ")[0] for found in text.splitlines()]
    assert when == ["WHEN", "2026-11-19 03:15", "2026-11-20 03:15", "", ""]
    assert re.search(r"^  run 2, 03:22:31 +failed +2m 44s +exit code 2", text, re.MULTILINE)


def test_history_shows_missed_fires_as_one_row_with_their_number(record: Recorded) -> None:
    text = history.text(record.reader.fires(["poll"], ("missed",)), MORNING, UTC, PIPE)
    assert line(text, "2026-11-20 04:20")[2:] == ["poll", "missed", "2", "fires", "up", "to", "04:30:", "down"]


def test_history_is_asked_by_time_outcome_and_number(place: list[str]) -> None:
    def found(*words: str) -> list[tuple[str, str]]:
        fires = call("history", *place, *words, "--json").json["fires"]
        return [(fire["job"], fire["scheduled"][5:16]) for fire in fires]

    assert found("--since", "2026-11-20 03:00", "--outcome", "failed,interrupted") == [
        ("backup", "11-20T03:15"),
        ("mirror", "11-20T04:00"),
    ]
    assert found("backup", "--until", "2026-11-20") == [("backup", "11-19T03:15")]
    assert found("--limit", "1") == [("poll", "11-20T08:30")]
    assert len(found()) == history.COUNT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outcome", "faild"], '"faild" is no outcome'),
        (["--since", "soon"], '"soon" is not a point in time'),
        (["--since", "2026-11-20", "--until", "2026-11-19"], "--since 2026-11-20 is after the end"),
        (["--limit", "0"], "0 is less than 1"),
    ],
)
def test_a_mistake_in_what_is_asked_says_where_and_the_way_out(place: list[str], words: list[str], said: str) -> None:
    answer = call("history", *place, *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "try: " in answer.err


def test_history_of_nothing_says_so_aside(place: list[str], nowhere: list[str]) -> None:
    answer = call("history", *place, "--outcome", "timeout")
    assert (answer.code, answer.out, answer.err) == (0, "", "runjobs: nothing of that is on record\n")
    assert call("history", *nowhere[:2], "--state", "/nonexistent", "--trust-jobs").err == (
        "runjobs: nothing is on record yet\n"
    )


# why


def test_why_tells_who_claimed_a_fire_each_run_and_the_end_of_the_output(record: Recorded) -> None:
    text = told(record, "backup", at("3:15"))
    assert "was due Fri 2026-11-20 03:15:00 +00:00: failed, exit code 2" in text
    assert "03:15:00  claimed by the foreground runner, pid 812, which has ended" in text
    assert re.search(
        r"03:22:31  run 2 \(\w{11}\) started, pid \d+\n    03:25:15  run 2 ended, failed: exit code 2", text
    )
    assert "    | tar: Error is not recoverable: exiting now" in text
    assert told(record, "backup") == text.replace(" at Fri 2026-11-20 03:15:00 +00:00", "", 1)


def test_why_of_a_time_that_was_not_due_names_the_field_and_the_nearest_fires(record: Recorded) -> None:
    text = told(record, "backup", at("4:15"))
    assert "it was not due then: the hour field 3 does not have 4" in text
    assert "before Fri 2026-11-20 03:15:00 +00:00, after Sat 2026-11-21 03:15:00 +00:00" in text
    assert text.endswith('try: runjobs why backup --at "2026-11-20 03:15"')


def test_why_tells_the_time_in_the_zone_of_the_job_too(place: list[str], night: Path) -> None:
    (night / "jobs").write_text("CRON_TZ=Europe/Berlin\n#: name=backup\n15 3 * * * true\n")
    assert ", Fri 03:15 in Europe/Berlin\n" in call("why", *place, "backup", "--at", "2026-11-20 02:15Z").out


def test_why_of_a_skipped_fire_names_the_holder_of_the_lock(record: Recorded) -> None:
    text = told(record, "report", at("3:30"))
    assert "skipped, a lock that it needs was held: the lock database is held by run" in text


def test_why_finds_the_stretch_that_a_missed_fire_belongs_to(record: Recorded) -> None:
    for minute in ("4:20", "4:30"):
        assert "2 fires were due from" in told(record, "poll", at(minute))
        assert "missed, no runner was there in time" in told(record, "poll", at(minute))
    assert "the minute field */10 does not have 25" in told(record, "poll", at("4:25"))
    assert "2 fires" not in told(record, "poll", at("4:25"))


@pytest.mark.parametrize(
    ("job", "when", "now", "said"),
    [
        ("backup", at("3:15", 21), MORNING, "it will be due Sat 2026-11-21 03:15:00 +00:00"),
        ("backup", at("4:15", 21), MORNING, "it will not be due then: the hour field 3 does not have 4"),
        ("poll", at("8:40"), at("9:30"), "it was due, but no runner has looked at this job since 2026-11-20 08:30"),
        ("poll", at("8:40"), at("8:41"), "it is due just now, Fri 2026-11-20 08:40:00 +00:00"),
        ("backup", at("3:15", 18), MORNING, "runjobs did not know this job then: its record begins 2026-11-19 03:15"),
        ("backup", at("3:15", 1), MORNING + timedelta(days=900), "what became of it is not kept any more"),
    ],
)
def test_why_of_what_is_not_on_record_says_how_that_comes(
    record: Recorded, job: str, when: datetime, now: datetime, said: str
) -> None:
    assert said in told(record, job, when, now)


def test_why_tells_of_a_person_who_asked_and_that_the_schedule_did_not(record: Recorded) -> None:
    story = Night(record.state.locks.parent)
    story.claim("backup", at("7:00"), trigger=Trigger.MANUAL)
    text = told(record, "backup", at("7:00"))
    assert "was asked for by a person at Fri 2026-11-20 07:00:00 +00:00" in text
    assert "it was not due then" in text
    story.ledger.close()


def test_why_of_a_job_that_is_only_on_record_tells_its_story(place: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("#: name=other\n* * * * * true\n")
    answer = call("why", *place, "backup", "--at", "2026-11-20 03:15Z")
    assert "in no jobs file any more" in answer.out
    assert "failed, exit code 2" in answer.out
    assert "nothing of that time is on record" in call("why", *place, "backup", "--at", "2026-11-20 07:15Z").out
    assert "nothing of this job is on record yet" not in call("why", *place, "backup").out


def test_why_of_a_job_that_has_done_nothing_says_so(nowhere: list[str]) -> None:
    answer = call("why", *nowhere, "backup")
    assert (answer.code, "nothing of this job is on record yet" in answer.out) == (0, True)
    assert "no runner has ever looked at this job" in call("why", *nowhere, "poll", "--at", "12:00").out


def test_why_for_machines_has_the_case_and_the_story(place: list[str]) -> None:
    document = call("why", *place, "backup", "--at", "2026-11-20 03:15Z", "--json").json
    assert document["case"] == "recorded"
    assert [run["attempt"] for run in document["fires"][0]["runs"]] == [1, 2]
    assert document["tail"].endswith("exiting now\n")
    missing = call("why", *place, "backup", "--at", "2026-11-20 04:15Z", "--json").json
    assert (missing["case"], missing["reasons"]) == ("not-due", ["the hour field 3 does not have 4"])


# logs


def test_logs_are_those_of_the_newest_run_byte_for_byte(place: list[str]) -> None:
    answer = call("logs", *place, "backup")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "tar: Error is not recoverable: exiting now"
    assert call("logs", *place, "backup", "--lines", "1").out == "tar: Error is not recoverable: exiting now\n"


def test_logs_of_every_run_are_told_apart(place: list[str]) -> None:
    answer = call("logs", *place, "backup", "--all")
    assert answer.out.startswith("backup: done\ncopying /home\ncopying /home\n")
    assert answer.err.count("runjobs: backup: run ") == 3


def test_logs_of_a_run_are_found_by_the_beginning_of_its_id(place: list[str]) -> None:
    fires = call("history", *place, "backup", "--json").json["fires"]
    first = fires[-1]["runs"][0]["run"]
    assert call("logs", *place, first).out == "copying /home\n"
    assert call("logs", *place, first[:-1]).out == "copying /home\n"
    several = call("logs", *place, first[:4])
    assert (several.code, several.err.startswith(f"runjobs: several runs begin with {first[:4]}")) == (2, True)


def test_logs_of_several_jobs_have_the_name_before_each_line(place: list[str]) -> None:
    answer = call("logs", *place, "mirror", "vacuum", "backup", "-n", "1")
    assert answer.out.splitlines() == [
        "mirror | receiving file list",
        "backup | tar: Error is not recoverable: exiting now",
    ]


def test_logs_that_are_empty_gone_or_not_yet_there_say_so_aside(place: list[str], tmp_path: Path) -> None:
    assert re.fullmatch(r"runjobs: run \w{11} of vacuum said nothing\n", call("logs", *place, "vacuum").err)
    for log in (tmp_path / "state" / "logs" / "backup").iterdir():
        log.unlink()
    gone = call("logs", *place, "backup")
    assert (gone.code, gone.out) == (0, "")
    assert "is not kept any more" in gone.err
    (tmp_path / "jobs").write_text("#: name=new\n* * * * * true\n")
    assert call("logs", *place, "new").err == "runjobs: new has had no run yet\n"


def test_logs_of_nothing_is_a_mistake(place: list[str]) -> None:
    answer = call("logs", *place)
    assert (answer.code, answer.out) == (2, "")
    assert "name a job or a run" in answer.err


def test_output_moves_no_cursor_on_a_terminal_and_keeps_its_colours() -> None:
    said = "\x1b[31mred\x1b[0m\tblue \x1b[2J\r\n"
    colored, plain = Screen(pretty=True, color=True), Screen(pretty=True)
    assert harmless(said.removesuffix("\n"), colored) == "\x1b[31mred\x1b[0m\tblue \\x1b[2J\x1b[0m"
    assert harmless(said.removesuffix("\n"), plain) == "red\tblue \\x1b[2J"
    assert harmless("10%\r 20%", plain) == " 20%"
    lines = Lines((), colored)
    assert lines.add("r", "backup", b"\xff\x07\nbeg") == b"\\xff\\x07\n"
    assert lines.end("r", "backup") == b"beg\n"
    assert Lines((), PIPE).add("r", "backup", b"\xff\x07\n") == b"\xff\x07\n"


def test_lines_of_several_jobs_are_whole_whoever_speaks_between() -> None:
    lines = Lines(("backup", "poll"), PIPE)
    assert lines.add("1", "backup", b"one\ntw") == b"backup | one\n"
    assert lines.add("2", "poll", b"three\n") == b"poll   | three\n"
    assert lines.add("1", "backup", b"o\n\n") == b"backup | two\nbackup | \n"
    assert lines.add("1", "backup", b"x" * (LONGEST + 1)) == b"backup | " + b"x" * (LONGEST + 1) + b"\n"
    assert lines.end("1", "backup") == b""


def test_the_last_lines_of_pieces_are_those_of_the_whole() -> None:
    assert last_lines([b"a\nb", b"c\nd\n", b"e"], 2) == b"d\ne"
    assert last_lines([b"a\nb", b"c\n"], 1) == b"bc\n"
    assert last_lines([b"a\n"], 0) == b""
    assert last_lines([b"a\n"], 5) == b"a\n"


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(record: Recorded, width: int) -> None:
    screen = Screen(pretty=True, width=width)
    assert widest(shown(record, MORNING + timedelta(hours=3), screen)) <= width
    assert widest(history.text(record.reader.fires((), ()), MORNING, UTC, screen)) <= width
    for job in record.jobs:
        assert widest(tell(why.find(record, job, at("3:30"), MORNING), UTC, screen)) <= width


@pytest.mark.parametrize(
    ("span", "written"),
    [(0.3, "300ms"), (0.0004, "0ms"), (1.25, "1.2s"), (9.96, "10.0s"), (12, "12s"), (75, "1m 15s"), (90_000, "1d 1h")],
)
def test_what_is_short_is_told_to_the_tenth(span: float, written: str) -> None:
    assert took(timedelta(seconds=span)) == written


@pytest.mark.parametrize(
    ("days", "written"), [(0, "08:30"), (1, "Sat 08:30"), (-6, "Sat 08:30"), (7, "2026-11-27"), (-7, "2026-11-13")]
)
def test_an_instant_is_as_short_as_it_can_be_told_from_now(days: int, written: str) -> None:
    assert near(MORNING + timedelta(days=days), MORNING, UTC) == written


@pytest.mark.parametrize("screen", [Screen(pretty=True, unicode=True), Screen(pretty=True, width=40)])
def test_a_long_table_looks_as_a_short_one(screen: Screen) -> None:
    columns = (Column("JOB", color="bold"), Column("N", right=True), Column("LAST", colors={"ok": "green"}))
    rows = [(f"job-{number}", str(number), "ok") for number in range(MANY + 1)]
    short = draw(Table(columns, rows[-2:]), screen).splitlines()
    long = draw(Table(columns, rows), screen).splitlines()
    assert (long[:2], long[-2:]) == (short[:2], short[-2:])
    assert "\x1b[32mok  \x1b[0m" in draw(Table(columns, rows), screen._replace(color=True))


def test_a_ledger_of_a_newer_runjobs_is_refused(place: list[str], tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "state" / "ledger.sqlite3", announce=print)
    ledger._connection.execute("PRAGMA user_version = 99")
    ledger.close()
    for command in (["status"], ["history"], ["why", "backup"], ["logs", "backup"]):
        answer = call(*command, *place)
        assert (answer.code, answer.out) == (78, "")
        assert "newer runjobs" in answer.err


def test_a_screen_of_a_terminal_has_sentences_wrapped_between_words(record: Recorded) -> None:
    assert "report was skipped at 03:30: the lock database is held by run" in shown(record, screen=SCREEN)
    assert all(len(found) <= 80 for found in shown(record, screen=SCREEN).splitlines())


def test_a_run_that_ends_between_two_looks_is_not_taken_for_dead(record: Recorded) -> None:
    story = Night(record.state.locks.parent)
    began = at("8:00")
    name = story.start(story.claim("backup", began), "backup", began)
    looked_up = record.reader.run(name)
    assert looked_up is not None
    assert not record.is_alive(looked_up.runs[0])
    story.end(name, began, timedelta(minutes=1), RunEnd("", "ok"))
    assert record.is_alive(looked_up.runs[0])
    story.ledger.close()
