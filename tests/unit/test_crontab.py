"""The grammar of jobs files: what becomes a job, and what is said of everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.crontab import JobsFile, parse
from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.job import Job, Overlap


def jobs(text: str, *, user_column: bool = False) -> tuple[Job, ...]:
    """Parse a text that is expected to be all right."""
    file = parse(text, source="test.cron", user_column=user_column)
    assert not file.problems, file.problems
    return file.jobs


def job(text: str, *, user_column: bool = False) -> Job:
    """Parse a text with a single job."""
    (only,) = jobs(text, user_column=user_column)
    return only


def problem(text: str, *, user_column: bool = False) -> Problem:
    """Parse a text with a single mistake."""
    (only,) = parse(text, source="test.cron", user_column=user_column).problems
    return only


def marked(found: Problem) -> str:
    """Give the stretch of the line that the caret is under."""
    start = found.place.column - 1
    return found.text[start : start + found.place.width]


# lines


def test_an_empty_file_has_no_jobs_and_no_problems() -> None:
    assert parse("", source="x") == JobsFile("x", (), ())


def test_comments_and_blank_lines_are_passed_over() -> None:
    assert [each.line for each in jobs("# a\n\n   # b\n \t\n* * * * * x\n")] == [5]


@pytest.mark.parametrize("line", ["#:::::", "#:-----", "#:)", "#;", "# : name=x", "#  name=x"])
def test_a_decorated_comment_stays_a_comment(line: str) -> None:
    assert job(f"{line}\n* * * * * x\n").name.startswith("test/x-")


def test_the_last_line_needs_no_newline() -> None:
    assert job("* * * * * x").command == "x"


def test_crlf_is_warned_of_once_and_never_reaches_a_command() -> None:
    file = parse("A=1\r\n#: name=a\r\n* * * * * a\r\n\r\n* * * * * b\n", source="x")
    assert [(each.name, each.command, each.environment) for each in file.jobs] == [
        ("a", "a", (("A", "1"),)),
        ("x/b-beeff9", "b", (("A", "1"),)),
    ]
    assert [(p.severity, p.place.line, "CRLF" in p.message) for p in file.problems] == [(Severity.WARNING, 1, True)]


def test_a_bom_is_warned_of_and_stripped() -> None:
    file = parse("\ufeff* * * * * x\n")
    assert file.jobs[0].command == "x"
    assert [(p.severity, p.place.line, p.text) for p in file.problems] == [(Severity.WARNING, 1, "* * * * * x")]


@pytest.mark.parametrize(("mark", "said"), [("\0", "NUL"), ("\r", "carriage return")])
def test_a_nul_or_a_lone_carriage_return_is_an_error_at_its_place_and_takes_the_options_above_with_it(
    mark: str, said: str
) -> None:
    file = parse(f"#: name=a\n* * * * * x{mark}y\n* * * * * z\n", source="f")
    assert [(each.command, each.name.startswith("f/z-")) for each in file.jobs] == [("z", True)]
    assert file.problems[0].place == Place("f", 2, 12, 1)
    assert said in file.problems[0].message


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_one_mistake_not_one_per_line(order: str) -> None:
    raw = "\ufeff* * * * * x\n* * * * * y\n".encode(order)
    assert "UTF-16" in problem(raw.decode("utf-8", "surrogateescape")).message


def test_bytes_that_are_not_utf_8_survive_in_commands() -> None:
    text = b"* * * * * echo \xff\n".decode("utf-8", "surrogateescape")
    assert job(text).command.encode("utf-8", "surrogateescape") == b"echo \xff"


# jobs


def test_blanks_before_the_fields_and_tabs_between_them_do_not_matter_trailing_ones_belong_to_the_command() -> None:
    found = job("  *\t*  * *\t*\t a b  \n")
    assert (found.schedule.expression, found.command) == ("* * * * *", "a b  ")


@pytest.mark.parametrize(
    ("written", "command", "stdin"),
    [
        ("cat", "cat", None),
        ("a # not a comment", "a # not a comment", None),
        (r"date +\%Y", "date +%Y", None),
        ("cat%", "cat", None),
        ("cat%a%b", "cat", "a\nb\n"),
        ("cat%a%", "cat", "a\n"),
        (r"date +\%Y%in\%put%two", "date +%Y", "in%put\ntwo\n"),
        (r"sed 's/\\n/x/'", r"sed 's/\\n/x/'", None),
        (r"a\\%b", r"a\\", "b\n"),
        (r"a%b\\%c", "a", "b\\%c\n"),
        ("a\\", "a\\", None),
        (r"a\\\%b", r"a\\%b", None),
    ],
)
def test_percent_and_backslash_are_as_in_cronie(written: str, command: str, stdin: str | None) -> None:
    found = job(f"* * * * * {written}\n")
    assert (found.command, found.stdin) == (command, stdin)


@pytest.mark.parametrize(
    ("line", "expression", "command"),
    [
        ("@hourly x y", "@hourly", "x y"),
        ("@reboot\tx", "@reboot", "x"),
        ("@every 90s x y", "@every 90s", "x y"),
        ("@at 2026-12-24T18:00 x", "@at 2026-12-24T18:00", "x"),
        ("H H(0-5) * * * x", "H H(0-5) * * *", "x"),
    ],
)
def test_nicknames_and_hashes_are_schedules_too(line: str, expression: str, command: str) -> None:
    found = job(line)
    assert (found.schedule.expression, found.command) == (expression, command)


def test_a_job_that_starts_with_the_system_has_no_timeout_unless_it_asks_for_one() -> None:
    first, second = jobs("@reboot x\n#: timeout=1h\n@reboot y\n")
    assert (first.options.timeout, second.options.timeout) == (None, timedelta(hours=1))


@pytest.mark.parametrize(
    ("line", "said", "under", "hint"),
    [
        ("* * * *", "only 4 of the 5 fields", "* * * *", "a job is 5 fields"),
        ("* * * * *", "there is no command", "*", "5 fields and then a command"),
        ("* * * * *  ", "there is no command", "*", "5 fields and then a command"),
        ("@hourly", "there is no command", "y", "behind the nickname"),
        ("@every 90s", "there is no command", "s", "behind the nickname"),
        ("@every", "lacks its argument", "@every", "@every 90s"),
        ("oops", "only 1 of the 5", "oops", "NAME=value"),
        ("* * * * * * x", "a command can't begin with *", "*", "fields=6"),
        ("* * * * * -1", "a command can't begin with -", "-1", "path"),
        ("* * * * * %x", "no command before the %", "%x", r"\%"),
        ("-* * * * * x", "a leading - does nothing", "-", "take it out"),
        ("-", "a leading - does nothing", "-", "take it out"),
        ("export A=1", "only 2 of the 5", "export A=1", "leave out export"),
        ("A B=1", "only 2 of the 5", "A B=1", "no blanks"),
        ("61 * * * * x", "minute 61 is past 59", "61", "0 to 59"),
        ("  1 99 * * * x", "hour 99 is past 23", "99", "0 to 23"),
        ("@Hourly x", "not known", "@Hourly", "@hourly"),
        ("* *\u00a0* * * x", "U+00A0", "\u00a0", "type a space"),
        ("*\u00a0* * * * x y", "U+00A0", "\u00a0", "type a space"),
        ("A='1", "never closed", "'", "end the value"),
    ],
)
def test_a_bad_line_is_no_job_and_the_caret_is_under_the_mistake(line: str, said: str, under: str, hint: str) -> None:
    file = parse(f"{line}\n* * * * * good\n")
    assert [each.command for each in file.jobs] == ["good"]
    (found,) = file.problems
    assert said in found.message
    assert marked(found) == under
    assert hint in found.hint
    assert found.severity is Severity.ERROR


def test_a_field_too_many_gets_no_advice_to_add_fields_where_there_are_seven() -> None:
    assert "path" in problem("#: fields=7\n* * * * * * * * x\n").hint


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    file = parse("61 * * * * x\n#: nice=99 tmeout=3\n99 99 * * *\nA='\n@foo x\n")
    assert [each.place.line for each in file.problems] == [1, 2, 2, 3, 4, 5]


def test_a_command_longer_than_a_process_can_be_given_is_an_error() -> None:
    longest = 131_071
    assert len(job(f"* * * * * {'x' * longest}\n").command) == longest
    assert "131,071" in problem(f"* * * * * {'x' * (longest + 1)}\n").message
    assert "131,071" in problem(f"* * * * * {'ü' * (longest // 2 + 1)}\n").message


def test_a_line_of_a_megabyte_is_answered_like_any_other() -> None:
    assert parse("x" * 2**20).problems[0].place.width == 2**20
    assert "131,071" in problem("* * * * * " + "a " * 2**19).message


# variables


def test_variables_hold_from_their_line_down_and_are_shared() -> None:
    first, second, third = jobs("* * * * * a\nA=1\nB=2\n* * * * * b\n* * * * * c\n")
    assert (first.environment, second.environment) == ((), (("A", "1"), ("B", "2")))
    assert second.environment is third.environment


def test_cron_tz_moves_the_schedules_below_it_and_an_empty_one_means_local_time_again() -> None:
    text = "CRON_TZ=Asia/Tokyo\n0 9 * * * a\nCRON_TZ=\n0 9 * * * b\n"
    tokyo, local = parse(text, local=ZoneInfo("Europe/Berlin")).jobs
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert tokyo.schedule.next(after) == datetime(2026, 1, 2, 0, tzinfo=UTC)
    assert local.schedule.next(after) == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert (tokyo.schedule.tz, local.schedule.tz) == ("Asia/Tokyo", None)


def test_an_unknown_cron_tz_is_one_error_and_no_job_runs_at_the_wrong_hour() -> None:
    text = "CRON_TZ=Europe/Berlni\n0 9 * * * a\n#: tz=UTC\n0 9 * * * b\nCRON_TZ=Asia/Tokyo\n0 9 * * * c\n"
    file = parse(text)
    assert [each.command for each in file.jobs] == ["b", "c"]
    (found,) = file.problems
    assert (marked(found), "Europe/Berlin" in found.hint) == ("Europe/Berlni", True)


def test_tz_goes_before_the_defaults_and_those_before_cron_tz() -> None:
    text = "CRON_TZ=Asia/Tokyo\n#: defaults tz=Europe/Berlin\n0 0 * * * a\n#: tz=UTC\n0 0 * * * b\n"
    assert [each.schedule.tz for each in jobs(text)] == ["Europe/Berlin", "UTC"]


def test_random_delay_is_a_jitter_in_minutes_which_jitter_overrides() -> None:
    text = "RANDOM_DELAY=15\n0 0 * * * a\n#: jitter=1m\n0 0 * * * b\nRANDOM_DELAY=0\n0 0 * * * c\n"
    assert [each.options.jitter for each in jobs(text)] == [
        timedelta(minutes=15),
        timedelta(minutes=1),
        timedelta(0),
    ]


def test_a_random_delay_that_is_no_number_is_an_error_and_the_jobs_run_without() -> None:
    file = parse("RANDOM_DELAY= soon \n0 0 * * * a\n")
    assert file.jobs[0].options.jitter == timedelta(0)
    assert marked(file.problems[0]) == "soon"


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "RUNJOBS_JOB", "RUNJOBS_RUN_ID"])
def test_what_a_file_cannot_set_is_warned_of_and_left_out(name: str) -> None:
    file = parse(f"{name}=bob\n* * * * * x\n")
    assert file.jobs[0].environment == ()
    assert [(p.severity, marked(p)) for p in file.problems] == [(Severity.WARNING, name)]


# directives


def test_options_are_for_the_next_job_alone_and_add_up_over_comments_blank_lines_and_variables() -> None:
    options = "#: name=a\n# why\n\nA=1\n#:timeout=5m lock='db'\n  #: \"cwd=/my app\" # not an option\n"
    first, second = jobs(options + "* * * * * x\n* * * * * y\n")
    assert (first.name, first.options.timeout, first.options.lock, first.options.cwd) == (
        "a",
        timedelta(minutes=5),
        "db",
        "/my app",
    )
    assert second.options.lock is None


def test_defaults_are_for_all_jobs_below_and_give_way_to_options() -> None:
    text = "* * * * * a\n#: defaults timeout=1h overlap=allow\n#: timeout=2h\n* * * * * b\n"
    a, b, c = jobs(text + "#: defaults timeout=3h\n@daily c\n")
    assert [each.options.timeout for each in (a, b, c)] == [timedelta(days=1), timedelta(hours=2), timedelta(hours=3)]
    assert [each.options.overlap for each in (a, b, c)] == [Overlap.SKIP, Overlap.ALLOW, Overlap.ALLOW]


def test_equal_options_and_schedules_are_shared_between_jobs() -> None:
    text = "* * * * * a\n* * * * * b\n#: nice=5\n0 0 * * * c\n#: nice=5 name=d\n0 0 * * * d\n"
    a, b, c, d = jobs(text)
    assert a.options is b.options
    assert a.schedule is b.schedule
    assert c.options is d.options


def test_hashed_schedules_differ_by_the_name_of_the_job() -> None:
    text = "".join(f"#: name=job{number}\nH H * * * x\n" for number in range(9))
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({each.schedule.next(after) for each in jobs(text)}) > 1


def test_six_and_seven_fields_are_said_per_job_or_by_default() -> None:
    text = "#: fields=6\n*/5 * * * * * a\n#: defaults fields=7\n0 0 0 1 1 * 2030 b\n"
    a, b = jobs(text)
    assert a.schedule.next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert b.schedule.next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2030, 1, 1, tzinfo=UTC)


def test_a_disabled_job_stays_in_the_file() -> None:
    assert job("#: enabled=no\n* * * * * x\n").options.enabled is False


@pytest.mark.parametrize(
    ("line", "said", "under"),
    [
        ("#: tmeout=3", "no option 'tmeout'", "tmeout"),
        ("#: nice=99", "from -20 to 19", "99"),
        ("#: success-codes=0,999,1", "from 0 to 255", "999"),
        ("#: name='a b'", "contain ' '", "'a b'"),
        ('#: name=a\tb=c"d', "never closed", '"'),
        ("#: name=a b=c\\", "nothing follows this backslash", "\\"),
        ("#: timeout=", "not a duration", "timeout="),
        ("#: a note to myself", "a directive is key=value", "a note to myself"),
        ("#: timeout 30m", "a directive is key=value", "timeout 30m"),
        ("#: name=a timeout", "'timeout' has no value", "timeout"),
        ("#: name=a rubbish", "'rubbish' has no value", "rubbish"),
        ("#: tz=Europe/Berlni", "no time zone", "Europe/Berlni"),
        ("#: ''=3", "no option ''", "''=3"),
    ],
)
def test_a_bad_option_keeps_its_job_from_running_and_the_caret_is_under_it(line: str, said: str, under: str) -> None:
    file = parse(f"{line}\n* * * * * x\n* * * * * good\n")
    assert [each.command for each in file.jobs] == ["good"]
    (found,) = file.problems
    assert said in found.message
    assert marked(found) == under


def test_a_key_given_twice_for_one_job_is_an_error_that_shows_both_places() -> None:
    file = parse("#: nice=1\n#: keep=3 nice=2\n* * * * * x\n", source="f")
    assert not file.jobs
    assert (file.problems[0].place, file.problems[0].other) == (Place("f", 2, 11, 6), Place("f", 1))


def test_a_bad_number_of_fields_does_not_make_the_fields_look_wrong_too() -> None:
    assert "from 5 to 7" in problem("#: fields=8\n* * * * * * * * x\n").message


@pytest.mark.parametrize("line", ["#: defaults tmeout=1h", "#: defaults user='bob", "#: defaults tz=Nowhere"])
def test_a_bad_default_keeps_the_jobs_below_it_from_running_otherwise_than_meant(line: str) -> None:
    file = parse(f"* * * * * a\n{line}\n* * * * * b\n* * * * * c\n")
    assert [each.command for each in file.jobs] == ["a"]
    assert len(file.problems) == 1


@pytest.mark.parametrize("setting", ["name=x", "user-column"])
def test_what_is_for_one_job_or_the_whole_file_is_no_default(setting: str) -> None:
    assert "can't be a default" in problem(f"#: defaults {setting}\n").message


def test_options_that_no_job_follows_are_an_error() -> None:
    found = problem("* * * * * x\n#: name=a\n# the end\n#: nice=1\n")
    assert (found.place.line, found.message) == (2, "no job follows these options")


def test_an_empty_directive_is_nothing() -> None:
    assert job("#:\n* * * * * x\n#: defaults\n#:  # nothing\n").command == "x"


# users


def test_with_a_user_column_the_user_stands_before_the_command() -> None:
    for text, column in (("* * * * * www-data  x y\n", True), ("#: user-column\n* * * * * www-data x y\n", False)):
        found = job(text, user_column=column)
        assert (found.options.user, found.command) == ("www-data", "x y")
    assert job("#: user-column=no\n@daily x\n", user_column=True).options.user is None


def test_the_user_column_goes_before_the_default_user() -> None:
    assert job("#: user-column\n#: defaults user=a\n* * * * * b x\n").options.user == "b"


@pytest.mark.parametrize("line", ["* * * * * root", "@daily root", "* * * * * root  "])
def test_a_user_without_a_command_is_an_error(line: str) -> None:
    found = problem(line, user_column=True)
    assert "no command after the user" in found.message


def test_a_user_given_twice_is_an_error_that_shows_both_places() -> None:
    found = problem("#: user=a\n* * * * * b x\n", user_column=True)
    assert (found.place.line, found.other) == (2, Place("test.cron", 1))


@pytest.mark.parametrize("user", ["a:b", "-x"])
def test_a_user_column_is_checked_like_the_option(user: str) -> None:
    found = problem(f"* * * * * {user} x\n", user_column=True)
    assert "can't" in found.message


def test_user_column_after_a_job_is_an_error() -> None:
    found = problem("* * * * * x\n#: user-column\n")
    assert (found.place.line, marked(found)) == (2, "user-column")


def test_a_leading_dash_in_a_system_crontab_is_warned_of_and_means_nothing() -> None:
    file = parse("-*/15 * * * * root x\n", user_column=True)
    assert file.jobs[0].schedule.expression == "*/15 * * * *"
    assert [p.severity for p in file.problems] == [Severity.WARNING]


# names


def test_a_derived_name_survives_edits_elsewhere_and_repeats_are_numbered() -> None:
    text = "1 * * * * /bin/a x\n2 * * * * /bin/a x\n3 * * * * /bin/a y\n"
    first, second, third = jobs(text)
    assert second.name == first.name + ".2"
    assert third.name != first.name
    assert first.name.startswith("test/a-")
    assert [each.name for each in jobs("A=1\n@daily b\n" + text)[1:]] == [first.name, second.name, third.name]


def test_a_broken_job_keeps_its_name_for_when_it_is_mended() -> None:
    _, second = jobs("1 * * * * a\n2 * * * * a\n")
    (left,) = parse("61 * * * * a\n2 * * * * a\n", source="test.cron").jobs
    assert left.name == second.name


def test_a_derived_name_steps_aside_for_one_that_was_given() -> None:
    first = jobs("1 * * * * a\n")[0].name
    given, derived = jobs(f"#: name={first}\n@daily b\n1 * * * * a\n")
    assert (given.name, derived.name) == (first, first + ".2")


def test_two_jobs_of_one_name_are_an_error_that_shows_both_places_and_the_first_is_kept() -> None:
    file = parse("#: name=a\n* * * * * x\n\n#: name=a\n* * * * * y\n", source="f")
    assert [each.command for each in file.jobs] == ["x"]
    assert [(p.place.line, p.other) for p in file.problems] == [(5, Place("f", 2))]


def test_a_zone_that_is_none_is_an_error_wherever_it_stands() -> None:
    file = parse("#: tz=Europe/Berlni\n* * * * * a\n#: tz=Europe/Berlni\n* * * * * b\n#: tz=UTC\n* * * * * c\n")
    assert [each.command for each in file.jobs] == ["c"]
    assert [problem.place.line for problem in file.problems] == [1, 3]
