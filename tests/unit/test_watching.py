"""`@watch`: how paths are written, what two looks tell, when that is told, and what a decision makes of it."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.mounts import may_hang
from runjobs.core.crontab import parse
from runjobs.core.errors import Severity
from runjobs.core.fire import EPOCH, Mark, Trigger
from runjobs.core.job import On
from runjobs.core.outcome import Outcome
from runjobs.core.plan import Boot, decide, look_on
from runjobs.core.run import RunEnd
from runjobs.core.schedule import ScheduleKind, WatchSchedule
from runjobs.core.surprises import surprises
from runjobs.core.turn import Busy, Facts, Go, Stay, Turn, judge_busy, replaces
from runjobs.core.turn import judge as judge_turn
from runjobs.core.watching import (
    Memory,
    Noticed,
    Seen,
    Sight,
    Tale,
    Verdict,
    differences,
    instance_at,
    judge,
    key_of,
    mark_after,
)
from runjobs.core.watchpaths import is_glob, literal, read_paths
from runjobs.core.watchstate import pack, unpack
from runjobs.core.watchtales import Passed, is_lost, pass_on, retold_at
from runjobs.core.why import rule, window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.core.job import Job

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BOOT = Boot("boot", NOON - timedelta(days=1))
LOOK = look_on(NOON, NOON, BOOT)
NEW = {On.CREATE, On.MOVE}


def job_of(text: str, options: str = "name=in") -> Job:
    found = parse(f"#: {options}\n{text}\n")
    assert not found.problems, found.problems
    return found.jobs[0]


def watching(options: str = "") -> Job:
    return job_of("@watch /in true", f"name=in {options}")


def paths(text: str) -> tuple[str, ...]:
    schedule = job_of(text).schedule
    assert isinstance(schedule, WatchSchedule)
    return schedule.paths


def complaint(text: str) -> str:
    (problem,) = parse(text + "\n").problems
    at = problem.place.column - 1
    return f"{problem.message}: {problem.text[at : at + problem.place.width]}"


def at(when: datetime) -> int:
    """A time as stat(2) has it, with a fraction."""
    return (when - EPOCH) // timedelta(microseconds=1) * 1000 + 7


def file(when: datetime = NOON - 10 * SECOND, inode: int = 1, size: int = 5) -> Seen:
    return Seen("f", inode, size, at(when), at(when))


def told(before: Mapping[str, Seen], after: Mapping[str, Seen], **unread: str) -> dict[str, set[On]]:
    found = differences(before, Sight(after, unread={f"/{name}": why for name, why in unread.items()}))
    return {path: set(kinds) for path, kinds in found.items()}


# how it is written


@pytest.mark.parametrize(
    ("line", "expected", "command"),
    [
        ("@watch /in import", ("/in",), "import"),
        ("@watch /in /bin/import -v /out", ("/in",), "/bin/import -v /out"),
        ("@watch\t/in  /conf -- /bin/import /x", ("/in", "/conf"), "/bin/import /x"),
        ("@watch /in -- /bin/import -- /x", ("/in",), "/bin/import -- /x"),
        ("@watch /in git log -- /x", ("/in",), "git log -- /x"),
        ("@watch /in/*.csv import", ("/in/*.csv",), "import"),
        ('@watch \'/my in\' "/a\\"b" /c\\ d -- import', ("/my in", '/a"b', "/c d"), "import"),
        ("@watch '/in/*' x", ("/in/[*]",), "x"),
        ("@watch /in 'it is", ("/in",), "'it is"),
        ("@watch //in/./a/ /in/a -- x", ("/in/a",), "x"),
        ("@watch / x", ("/",), "x"),
    ],
)
def test_paths_end_where_the_command_begins(line: str, expected: tuple[str, ...], command: str) -> None:
    job = job_of(line)
    assert (paths(line), job.command) == (expected, command)
    assert job.schedule.kind is ScheduleKind.WATCH


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@watch in import", "in is not an absolute path: in"),
        ("@watch /in ~/conf -- import", None),
        ("@watch ../in import", "../in is not an absolute path: ../in"),
        ("@watch /in/../x import", "a path with .. is not understood: /in/../x"),
        ("@watch /in/**/x import", "** is not understood: /in/**/x"),
        ("@watch '/in import", "this quote is never closed: '"),
        ("@watch /in\\", "nothing follows this backslash: \\"),
        ("@watch", "there is no command after the schedule: h"),
        ("@watch /in", "there is no command after the schedule: n"),
        ("@watch /in /out --", "there is no command after the schedule: t"),
        ("@watcher /in x", '"@watcher" is not known: @watcher'),
    ],
)
def test_what_is_wrong_with_paths_is_said_with_its_place(line: str, said: str | None) -> None:
    if said is None:  # what does not begin as a path does is the command
        assert job_of(line).command == "~/conf -- import"
    else:
        assert complaint(line) == said


def test_a_schedule_of_no_path_says_so() -> None:
    with pytest.raises(ValueError, match="lacks its path"):
        read_paths("@watch")


def test_a_user_stands_behind_the_paths() -> None:
    job = parse("#: user-column\n@watch /in /out -- daemon import\n").jobs[0]
    assert (job.options.user, job.command) == ("daemon", "import")


def test_what_is_quoted_stands_for_itself() -> None:
    (pattern,) = read_paths("@watch '/a[b]?/x*'")
    assert not is_glob(pattern)
    assert literal(pattern) == "/a[b]?/x*"
    assert is_glob(read_paths("@watch /a'?'/*")[0])


@given(st.text(st.characters(exclude_characters="\0\r\n/", codec="utf-8"), min_size=1, max_size=12))
def test_any_name_can_be_watched_in_quotes(name: str) -> None:
    if name.strip(".") == "" or "'" in name:
        return
    (pattern,) = read_paths(f"@watch '/in/{name}'")
    assert literal(pattern) == f"/in/{name}"
    assert not is_glob(pattern)


def test_the_same_paths_in_another_order_are_the_same_schedule() -> None:
    one, other = (job_of(f"@watch {both} -- x").schedule for both in ("/a /b", "'/b' /a/"))
    assert one.key == other.key
    assert one.next(NOON) is None
    assert key_of(watching("recursive")) != key_of(watching())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("on=write,shout", "'shout' is nothing that happens to a path"),
        ("settle=10ms", "10ms is not from 50ms to 1d"),
        ("settle=2d", "2d is not from 50ms to 1d"),
        ("recursive=perhaps", "'perhaps' is neither yes nor no"),
        ("overlap=allow", "overlap says nothing of a schedule that watches paths"),
        ("jitter=5s", "jitter says nothing of a schedule that watches paths"),
    ],
)
def test_options_that_say_nothing_are_refused(options: str, said: str) -> None:
    problems = parse(f"#: {options}\n@watch /in import\n").problems
    assert [problem.message for problem in problems] == [said]
    assert all(problem.hint for problem in problems)


@pytest.mark.parametrize("options", ["on=write", "settle=1s", "recursive"])
def test_options_of_paths_say_nothing_of_times(options: str) -> None:
    key = options.partition("=")[0]
    (problem,) = parse(f"#: {options}\n@daily import\n").problems
    assert problem.message == f"{key} says nothing of a schedule of times"


def test_defaults_are_for_those_whom_they_concern() -> None:
    found = parse("#: defaults settle=2s on=create overlap=queue\n@daily a\n@watch /in b\n")
    assert not found.problems
    assert (found.jobs[1].options.settle, found.jobs[1].options.on) == (2 * SECOND, frozenset({On.CREATE}))


# what two looks tell


def test_each_way_to_change_is_told_apart_where_two_looks_can_tell() -> None:
    before = {"/same": file(), "/written": file(inode=2), "/gone": file(inode=3), "/old": file(inode=4),
              "/replaced": file(inode=5), "/dir": Seen("d", 6)}  # fmt: skip
    renamed = file(inode=4)._replace(ctime=at(NOON))
    after = {"/same": file(), "/written": file(NOON, 2), "/new": file(inode=7), "/renamed": renamed,
             "/replaced": file(inode=8), "/dir": Seen("d", 6)}  # fmt: skip
    assert told(before, after) == {
        "/written": {On.WRITE},
        "/gone": {On.DELETE},
        "/old": {On.MOVE},
        "/renamed": {On.MOVE},
        "/new": NEW,
        "/replaced": {On.WRITE, On.CREATE, On.MOVE},
    }


def test_a_write_whose_time_was_set_back_is_told_by_its_ctime() -> None:
    assert told({"/a": file()}, {"/a": file()._replace(ctime=at(NOON))}) == {"/a": {On.WRITE}}


def test_an_inode_that_is_used_again_is_no_rename() -> None:
    assert told({"/a": file(size=5)}, {"/b": file(NOON, size=6)}) == {"/a": {On.DELETE}, "/b": NEW}


def test_what_can_not_be_read_has_not_changed() -> None:
    before = {"/in/a": file(), "/in/deep/b": file(inode=2), "/inner": file(inode=3)}
    assert told(before, {}, **{"in": "Permission denied"}) == {"/inner": {On.DELETE}}
    assert told({"/in": file()}, {}, **{"in": "Input/output error"}) == {}


# when it is told


def test_nothing_is_told_before_all_is_at_rest() -> None:
    job = watching("settle=2s")
    sight = Sight({"/in/a": file(NOON - 3 * SECOND), "/in/b": file(NOON - SECOND, 2)})
    early = judge({}, sight, job, NOON)
    assert (early.told, early.entries) == ((), None)
    assert early.again is not None
    late = judge({}, sight, job, early.again + timedelta(milliseconds=1))
    assert (late.told, late.entries, late.again) == (("/in/a", "/in/b"), dict(sight.entries), None)


def test_where_something_never_rests_what_rests_for_long_is_told_alone() -> None:
    calm, busy = file(NOON - timedelta(minutes=2)), file(NOON, 2)
    verdict = judge({}, Sight({"/in/calm": calm, "/in/busy": busy}), watching(), NOON)
    assert (verdict.told, verdict.entries) == (("/in/calm",), {"/in/calm": calm})
    assert verdict.again is not None
    patient = watching("settle=5m")
    assert judge({}, Sight({"/in/calm": calm, "/in/busy": busy}), patient, NOON).told == ()


def test_what_is_not_asked_for_is_taken_note_of_and_keeps_nobody_waiting() -> None:
    job = watching("on=create")
    before = {"/in/old": file(), "/in/log": file(inode=2)}
    after = {"/in/old": file(NOON - 5 * SECOND, size=9), "/in/log": file(NOON, 2), "/in/new": file(inode=3)}
    verdict = judge(before, Sight(after), job, NOON)
    assert verdict.told == ("/in/new",)
    assert verdict.entries == after | {"/in/log": before["/in/log"]}
    quiet = judge(before, Sight({"/in/log": before["/in/log"]}), job, NOON)
    assert (quiet.told, quiet.entries) == ((), {"/in/log": before["/in/log"]})


def test_what_is_gone_is_told_when_its_folder_is_at_rest_but_not_waited_for_in_a_hurry() -> None:
    before, touched = {"/in/a": file()}, Sight({"/in/b": file(inode=2), "/in/d": Seen("d", 3)}, touched=at(NOON))
    assert judge(before, touched, watching(), NOON).told == ()
    assert judge(before, touched, watching(), NOON + SECOND).told == ("/in/a", "/in/b", "/in/d")
    assert judge(before, touched, watching(), NOON, hurry=True).told == ("/in/a", "/in/b", "/in/d")


def test_in_a_hurry_what_is_at_rest_is_told_without_the_others() -> None:
    sight = Sight({"/in/a": file(NOON - 3 * SECOND), "/in/b": file(NOON, 2)})
    verdict = judge({}, sight, watching(), NOON, hurry=True)
    assert (verdict.told, verdict.entries) == (("/in/a",), {"/in/a": sight.entries["/in/a"]})


def test_a_time_far_in_the_future_keeps_nobody_waiting() -> None:
    sight = Sight({"/in/a": file(NOON + timedelta(hours=1))})
    assert judge({}, sight, watching(), NOON).told == ("/in/a",)
    near = Sight({"/in/a": file(NOON + SECOND)})
    assert judge({}, near, watching(), NOON).told == ()


def test_times_of_whole_seconds_are_waited_for_until_a_second_change_would_show() -> None:
    coarse = Sight({"/in/a": Seen("f", 1, 5, 0, at(NOON - SECOND) - 7)})
    assert judge({}, coarse, watching(), NOON).told == ()
    assert judge({}, coarse, watching(), NOON + 2 * SECOND).told == ("/in/a",)


def test_no_difference_is_nothing() -> None:
    assert judge({"/a": file()}, Sight({"/a": file()}), watching(), NOON) == Verdict()


def test_a_named_path_that_is_gone_is_told_when_nothing_has_come_or_gone_where_it_was_for_long_enough() -> None:
    job, before = watching("settle=5s"), {"/conf": file()}
    sight = Sight({}, touched=at(NOON - timedelta(days=1)), missing={"/conf": at(NOON)})
    assert judge(before, sight, job, NOON + SECOND).told == ()
    assert judge(before, sight, job, NOON + SECOND).again == NOON + 5 * SECOND
    assert judge(before, sight, job, NOON + 6 * SECOND).told == ("/conf",)


def test_a_file_of_a_runner_is_neither_new_nor_gone() -> None:
    assert differences({"/in/log": file()}, Sight({}, ours=frozenset({"/in/log"}))) == {}


def test_what_does_not_rest_is_told_in_the_end_and_not_taken_as_known() -> None:
    calm = file(NOON - timedelta(hours=1), 2)
    sight = Sight({"/in/busy": file(NOON), "/in/calm": calm})
    verdict = judge({}, sight, watching(), NOON, restless={"/in/busy": NOON - timedelta(minutes=11)})
    assert (verdict.told, verdict.entries) == (("/in/busy", "/in/calm"), {"/in/calm": calm})
    assert verdict.restless == {"/in/busy": NOON - timedelta(minutes=11)}
    alone = judge({}, Sight({"/in/busy": file(NOON)}), watching(), NOON, restless={"/in/busy": NOON - SECOND})
    assert (alone.told, alone.restless) == ((), {"/in/busy": NOON - SECOND})
    patient = watching("settle=1h")
    assert judge({}, sight, patient, NOON, restless={"/in/busy": NOON - timedelta(hours=9)}).told == ()
    ahead = judge({}, Sight({"/in/busy": file(NOON)}), watching(), NOON, restless={"/in/busy": NOON + SECOND})
    assert ahead.restless == {"/in/busy": NOON}


# what becomes of what was told

TALE = Tale("run", "fire", ("/in/a",))


def end(outcome: str, began: float = 0.0) -> RunEnd:
    return RunEnd("run", outcome, started_at=began, ended_at=NOON.timestamp())


@pytest.mark.parametrize("outcome", [each.value for each in Outcome])
def test_what_was_told_is_lost_where_no_job_began(outcome: str) -> None:
    assert is_lost(end(outcome))
    assert is_lost(end(outcome, 1.0)) is (outcome == "error")
    assert not is_lost(None)


@pytest.mark.parametrize(
    ("outcome", "losses", "minutes"),
    [("error", 0, 1), ("error", 1, 2), ("timeout", 3, 8), ("stopped", 6, 60), ("error", 5000, 60),
     ("interrupted", 1, 1), ("interrupted", 2, 2)],
)  # fmt: skip
def test_what_was_lost_is_told_again_less_and_less_often(outcome: str, losses: int, minutes: int) -> None:
    later = NOON + SECOND
    assert retold_at(TALE._replace(losses=losses), end(outcome), later) == NOON + timedelta(minutes=minutes)


def test_what_was_lost_with_a_runner_is_told_again_at_once_and_so_it_is_by_a_clock_that_was_set_back() -> None:
    assert retold_at(TALE, end("interrupted"), NOON + SECOND) == NOON + SECOND
    assert retold_at(TALE, end("error"), NOON - SECOND) == NOON - SECOND


def test_a_run_is_told_what_its_fire_was_told_and_what_was_lost_and_open_fires_keep_theirs() -> None:
    other = Tale("other", "open", ("/in/b",))
    lost = Tale("lost", "open", ("/in/c",), 2)
    ends = {"run": end("failed", 1.0), "other": end("failed", 1.0), "lost": end("error")}
    passed = pass_on((TALE, other, lost), "fire", lambda tale: ends[tale.run], lambda tale: tale.fire == "open")
    assert passed == Passed(frozenset({"/in/a", "/in/c"}), 3, (other, lost))
    over = pass_on((TALE, other), "new", lambda tale: ends[tale.run], lambda _: False)
    assert over == Passed(frozenset(), 0, ())


# what is kept


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1),
        st.builds(Seen, st.sampled_from("fdl"), *[st.integers(0, 2**130)] * 4),
    ),
    st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)),
    st.integers(0, 3),
)
def test_what_is_kept_comes_back(entries: dict[str, Seen], paths: list[str], number: int) -> None:
    tales = tuple(Tale(f"run-{each}", "fire", tuple(paths), each) for each in range(number))
    memory = Memory(entries, tales, dict.fromkeys(paths, NOON + number * SECOND))
    assert unpack(pack(memory)) == memory


def test_names_that_are_no_text_are_kept() -> None:
    memory = Memory({b"/in/\xff".decode("utf-8", "surrogateescape"): file()})
    assert unpack(pack(memory)) == memory


TORN = [b"2" + zlib.compress(text) for text in (b"", b"1", b"1\0001\0run", b"1\0000\0run\0fire\0000\0009\0/a")]


@pytest.mark.parametrize("state", [None, b"", b"1abc", b"2abc", pack(Memory({}))[:-3], *TORN])
def test_what_can_not_be_read_is_nothing_so_that_all_is_told(state: bytes | None) -> None:
    assert unpack(state) == Memory({})


# what is decided


KEY = key_of(watching())
MARK = Mark(KEY, NOON - timedelta(hours=1))


def noticed(**more: object) -> Noticed:
    return Noticed(KEY, MARK, None, is_due=True)._replace(**more)  # type: ignore[arg-type]


def test_a_change_fires_with_an_id_of_its_own_at_the_time_it_was_noticed() -> None:
    decision = decide(watching(), MARK, LOOK._replace(noticed={"in": noticed()}))
    assert decision is not None
    (fire,) = decision.claims
    assert (fire.trigger, fire.scheduled_at, fire.key) == (Trigger.WATCH, NOON, instance_at(NOON))
    assert decision.mark == Mark(KEY, NOON)
    assert not decision.supersedes


def test_without_a_look_nothing_is_decided() -> None:
    assert decide(watching(), MARK, LOOK) is None
    assert decide(watching(), None, LOOK) is None


def test_who_was_slower_decides_nothing() -> None:
    look = LOOK._replace(noticed={"in": noticed()})
    assert decide(watching(), MARK._replace(watermark=NOON), look) is None
    assert decide(watching(), None, look) is None


def test_a_first_look_is_kept_and_fires_nothing() -> None:
    first = noticed(base=None, memory=b"1", is_due=False)
    decision = decide(watching(), None, LOOK._replace(noticed={"in": first}))
    assert decision is not None
    assert (decision.claims, decision.watched, decision.mark.schedule_key) == ((), b"1", KEY)


def test_a_clock_that_was_set_back_moves_no_mark_back() -> None:
    ahead = MARK._replace(watermark=NOON + timedelta(hours=9))
    assert mark_after(noticed(base=ahead), NOON) > ahead.watermark
    decision = decide(watching(), ahead, LOOK._replace(noticed={"in": noticed(base=ahead)}))
    assert decision is not None
    assert decision.claims[0].key != instance_at(ahead.watermark)


# its turn


def turn() -> Turn:
    decision = decide(watching(), MARK, LOOK._replace(noticed={"in": noticed()}))
    assert decision is not None
    return Turn(watching(), decision.claims[0])


def test_a_fire_that_meets_a_lock_waits_for_it_as_long_as_it_takes() -> None:
    busy = Busy("job in", {"run": "x"}, is_own=True)
    stay = judge_busy(turn(), busy)
    assert isinstance(stay, Stay)
    waited = turn()._replace(wait=stay.wait, since=NOON)
    assert isinstance(judge_turn(waited, Facts(NOON + timedelta(days=3))), Go)


def test_a_run_is_never_replaced() -> None:
    job = parse("#: defaults overlap=replace\n@watch /in b\n").jobs[0]
    assert not replaces(turn()._replace(job=job), Busy("job in", {"run": "x"}, is_own=True))


# what will surprise


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@watch /var/lib/runjobs/logs x", "/var/lib/runjobs/logs is in the state folder, which is never watched"),
        ("@watch /in x >/in/log", "the job writes to /in/log, which it watches: each run causes the next one"),
        ("@watch /in/*.csv x | tee -a /in/all.csv", "the job writes to /in/all.csv, which it watches: each run"),
        ("@watch /in /bin/x -- y", "/bin/x is a program, and is watched as a path"),
        ("@watch /in x >>log", "the job writes to log, which it watches: each run causes the next one"),
        ("@watch /in /out -- y", ""),
        ("@watch /var/lib x", ""),
        ("@watch /in x >/in/deep/log", ""),
        ("@watch /in/*.csv x >/in/log 2>/dev/null", ""),
        ("0 0 * * * x >/in/log", ""),
    ],
)
def test_paths_that_will_surprise_are_told(line: str, said: str) -> None:
    text = f"#: defaults cwd=/in\n{line}\n"
    found = surprises(
        parse(text), text, now=NOON, find_command=lambda word, _: word != "/out", state="/var/lib/runjobs"
    )
    assert [problem.message.startswith(said) and bool(problem.hint) for problem in found] == [True] * bool(said)
    assert [problem.severity is Severity.ERROR for problem in found] == ["state folder" in said] * bool(said)


def test_what_a_job_writes_matters_where_writing_is_told() -> None:
    text = "#: on=delete\n@watch /in x >/in/log\n#: recursive\n@watch /in x >/in/deep/log\n@watch /in x >log\n"
    assert [problem.place.line for problem in surprises(parse(text), text, now=NOON)] == [4]


@pytest.mark.parametrize(
    ("path", "expected"), [("/srv/in", False), ("/mnt/share/x", True), ("/mnt", True), ("/", True), ("/sys", True)]
)
def test_what_may_wait_for_another_machine_is_not_looked_at_by_the_runner_itself(path: str, expected: bool) -> None:
    mounts = {"/": "ext4", "/sys": "sysfs", "/srv": "xfs", "/mnt/share": "nfs4"}
    assert may_hang(path, mounts) is expected
    assert may_hang("/", {"/": "ext4", "/sys": "sysfs", "/dev/pts": "devpts"}) is False


def test_no_time_of_the_clock_makes_it_due() -> None:
    ruling = rule(watching().schedule, window(NOON))
    assert (ruling.due, ruling.before, ruling.after) == ((), None, None)
    assert ruling.reasons == ("it is due when something changes at its paths, at no time of the clock",)
