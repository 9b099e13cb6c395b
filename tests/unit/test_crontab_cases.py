"""Conformance: whole files as cronie and supercronic read them, real crontabs, and properties over any text."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runjobs.core.crontab import JobsFile, parse
from runjobs.core.errors import Severity
from runjobs.core.schedule import CronSchedule, ScheduleKind

if TYPE_CHECKING:
    from runjobs.core.job import Job

CASES = Path(__file__).parents[1] / "cases" / "crontabs"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text().splitlines()]


# cronie


class Difference(NamedTuple):
    """Where we are not as cronie: the commands that become jobs here, a word of our message, and why."""

    commands: list[str]
    said: str
    why: str


# Every row of parse.jsonl that is read otherwise than by cronie; docs/jobs-file.md lists them for people.
DIFFERENCES = {
    "leading percent": Difference([], "no command before the %", "cron starts a shell with an empty command"),
    "reversed range": Difference([], "", "cron loads a job that never runs"),
    "env-like: minute with =": Difference([], "", "cron takes the line for a variable named 5: the job is lost"),
    "CRLF env": Difference(["a"], "CRLF", "cron gives the shell a command that ends in a carriage return"),
    "CR only": Difference([], "carriage return", "cron makes one job of what were two lines"),
    "LOGNAME override": Difference(["x"], "LOGNAME", "the same job, but cron drops the line in silence"),
    "env no newline at EOF": Difference(["a"], "", "the variable is taken: no job stands below it"),
}


def facts(job: Job) -> dict[str, Any]:
    schedule = job.schedule
    minutes: Any = []
    if isinstance(schedule, CronSchedule):
        minutes = "*" if schedule.rule.minute.full else list(schedule.rule.minute.values)
    return {
        "user": job.options.user,
        "command": job.command,
        "stdin": job.stdin,
        "env": dict(job.environment),
        "reboot": schedule.kind is ScheduleKind.REBOOT,
        "minutes": minutes,
    }


def cronie_facts(job: dict[str, Any], *, column: bool) -> dict[str, Any]:
    stdin = job["stdin_raw"]
    if stdin:  # kept as written in the cases; crond translates it when the job runs
        stdin = stdin.replace("\\%", "\0").replace("%", "\n").replace("\0", "%")
        stdin += "" if stdin.endswith("\n") else "\n"
    return {
        "user": job["user"] if column else None,
        "command": job["command"],
        "stdin": stdin,
        "env": job["env"],
        "reboot": job["reboot"],
        "minutes": job["minutes"],
    }


PARSE_ROWS = [row for row in rows("parse.jsonl") if not row["content"].endswith("...")]  # one is cut off in the cases


@pytest.mark.parametrize("row", PARSE_ROWS, ids=lambda row: row["name"])
def test_a_whole_file_is_read_as_by_cronie_or_the_difference_is_a_listed_one(row: dict[str, Any]) -> None:
    column = row["mode"] == "sys"
    file = parse(row["content"], source="f", user_column=column)
    ours = [facts(job) for job in file.jobs]
    difference = DIFFERENCES.get(row["name"])
    if difference is not None:
        assert [job["command"] for job in ours] == difference.commands
        assert difference.said in " ".join(problem.message for problem in file.problems)
        assert file.problems or row["name"] == "env no newline at EOF"
        return
    assert ours == [cronie_facts(job, column=column) for job in row["cronie"]["jobs"]]
    assert bool(file.problems) == bool(row["cronie"]["log"]), "a mistake is told of exactly where cronie logs one"


def test_each_listed_difference_is_one() -> None:
    differing = set()
    for row in PARSE_ROWS:
        column = row["mode"] == "sys"
        file = parse(row["content"], source="f", user_column=column)
        same = [facts(job) for job in file.jobs] == [cronie_facts(j, column=column) for j in row["cronie"]["jobs"]]
        if not same or bool(file.problems) != bool(row["cronie"]["log"]):
            differing.add(row["name"])
    assert differing == set(DIFFERENCES)


def test_a_command_of_1200_characters_is_no_trouble() -> None:
    (row,) = [row for row in rows("parse.jsonl") if row["content"].endswith("...")]
    text = f"* * * * * {'x' * 1200}\n"
    assert len(text) == row["content_len"]
    assert len(parse(text).jobs) == len(row["cronie"]["jobs"]) == 1


# supercronic

# supercronic guesses from the number of words that look like fields; ours is said, so these files gain a line
SAID = {
    "* * * * * * with year\n* * * * * * * with seconds\n@daily with shorthand": (
        "#: fields=7\n0 * * * * * * with year\n#: fields=7\n* * * * * * * with seconds\n@daily with shorthand"
    ),
}
# ... and these are refused, or read otherwise, each for its reason
SUPERCRONIC_DIFFERENCES = {
    "FOO='": "a quote that is never closed is a mistake, to cronie as well; supercronic takes it for the value",
}


@pytest.mark.parametrize("row", rows("supercronic.jsonl"), ids=lambda row: row["crontab"][:30])
def test_supercronics_own_cases_are_read_alike_or_the_difference_is_a_listed_one(row: dict[str, Any]) -> None:
    text = row["crontab"]
    file = parse(SAID.get(text, text))
    if row["reject"] or text in SUPERCRONIC_DIFFERENCES:
        assert file.problems
        assert not file.jobs
        return
    assert not file.problems
    expected = [command for _, command in row["jobs"]]
    assert [job.command for job in file.jobs] == expected
    if file.jobs:  # supercronic reads the whole file's variables, cron those above the job
        assert dict(file.jobs[-1].environment).items() <= row["environ"].items()


def test_what_supercronic_guesses_is_an_error_here_that_says_what_to_write() -> None:
    file = parse("* * * * * * * echo 1\n")
    assert not file.jobs
    assert "fields=7" in file.problems[0].hint


# real crontabs


def manifest() -> list[dict[str, str]]:
    head, *lines = (CASES / "samples" / "MANIFEST.tsv").read_text().splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


# cronie wants a newline at the end of the last line; without it the last job is lost, and we keep it
MORE_THAN_CRONIE = {"github-APSIMInitiative+apsim-web.crontab": 1}


@pytest.mark.parametrize("sample", manifest(), ids=lambda sample: sample["file"])
def test_a_real_crontab_has_as_many_jobs_as_in_cronie(sample: dict[str, str]) -> None:
    text = (CASES / "samples" / sample["file"]).read_bytes().decode("utf-8", "surrogateescape")
    file = parse(text, source=sample["file"], user_column=sample["user_column"] == "yes")
    assert len(file.jobs) == int(sample["job_lines"]) + MORE_THAN_CRONIE.get(sample["file"], 0)
    lost = int(sample["candidate_lines"]) - len(file.jobs)
    assert sum(problem.severity is Severity.ERROR for problem in file.problems) >= lost, "no line is lost in silence"


@pytest.mark.parametrize("name", sorted(p.name for p in (CASES / "samples").glob("supercronic-*")))
def test_supercronics_files_are_read_whole_once_they_say_that_they_have_seven_fields(name: str) -> None:
    text = (CASES / "samples" / name).read_text()
    file = parse("#: defaults fields=7\n" + text)
    lines = [line for line in text.splitlines() if line.startswith("*")]
    assert [job.line for job in file.jobs] == [2 + text.splitlines().index(line) for line in lines]


# properties

LINES = st.one_of(
    st.text(),
    st.text(alphabet="*0159-,/~LWH#@ \t%\\'\"=:aAfn\r\0\ufeff\udcff"),
    st.builds("#:{}".format, st.text(alphabet=" \t'\"\\=abcdefnmtuz/,-#019")),
    st.builds("* * * * * {}".format, st.text()),
    st.builds("{}={}".format, st.sampled_from(["A", "CRON_TZ", "RANDOM_DELAY", "TZ", "'B C'", "LOGNAME"]), st.text()),
    st.sampled_from(["#: defaults fields=6", "#: user-column", "-* * * * * x", "@reboot a", "@every 1s b", "@at x y"]),
)


# the unit suite runs in 2 s: these two properties build whole files, so they get fewer examples
@settings(max_examples=40)
@given(st.lists(LINES).map("\n".join), st.booleans())
def test_no_text_makes_parse_raise_and_each_problem_lies_in_its_line(text: str, column: bool) -> None:
    file = parse(text, user_column=column)
    lines = text.split("\n")
    for problem in file.problems:
        place = problem.place
        assert 1 <= place.line <= len(lines)
        assert place.column >= 1
        assert place.column - 1 <= len(problem.text)
    assert len({job.name for job in file.jobs}) == len(file.jobs)


def written(file: JobsFile) -> str:
    """Write jobs out as a jobs file: what `parse` reads back to the same jobs."""
    lines = []
    for job in file.jobs:
        lines += [f"{name}={shlex.quote(value)}" for name, value in job.environment]
        options = job.options
        lines.append(f"#: name={job.name} timeout={int(options.timeout.total_seconds())}s" if options.timeout else "#:")
        lines.append(f"#: nice={options.nice} overlap={options.overlap.value} umask={options.umask or 0:o}")
        if options.cwd is not None:
            lines.append(f"#: {shlex.quote('cwd=' + options.cwd)}")
        command = job.command.replace("%", "\\%")
        if job.stdin is not None:
            command += "%" + job.stdin.replace("%", "\\%").replace("\n", "%")
        lines.append(f"{job.schedule.expression} {command}")
    return "\n".join(lines) + "\n"


_safe = st.text(alphabet="abc %/.'\"#=-", min_size=1)
_commands = _safe.filter(lambda text: text.strip(" ") == text and text[0] not in "%*-")
_paths = _safe.map(lambda text: "/" + text)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["* * * * *", "*/5 1-4 * jan mon-fri", "@daily", "@every 90s", "0 0 L * *"]),
            _commands,
            st.one_of(st.none(), st.text(alphabet="ab% ").map(lambda text: text + "\n")),
            st.integers(1, 10**6),
            st.integers(-20, 19),
            st.one_of(st.none(), _paths),
        ),
        max_size=5,
    )
)
def test_jobs_written_out_are_read_back_the_same(
    parts: list[tuple[str, str, str | None, int, int, str | None]],
) -> None:
    lines = ["A=1", "B='x y'"]
    for number, (expression, command, stdin, seconds, nice, cwd) in enumerate(parts):
        lines.append(f"#: name=j{number} timeout={seconds}s nice={nice} umask=0")
        if cwd is not None:
            lines.append(f"#: {shlex.quote('cwd=' + cwd)}")
        text = command.replace("%", "\\%")
        if stdin is not None:
            text += "%" + stdin.replace("%", "\\%").replace("\n", "%")
        lines.append(f"{expression} {text}")
    file = parse("\n".join(lines) + "\n", source="f")
    assert not file.problems
    for job, part in zip(file.jobs, parts, strict=True):
        assert (job.command, job.stdin, job.options.nice, job.options.cwd) == (part[1], part[2], part[4], part[5])
    again = parse(written(file), source="f")
    assert not again.problems
    for before, after in zip(file.jobs, again.jobs, strict=True):
        assert (after.name, after.command, after.stdin, after.options, after.environment, after.schedule.key) == (
            before.name,
            before.command,
            before.stdin,
            before.options,
            before.environment,
            before.schedule.key,
        )
