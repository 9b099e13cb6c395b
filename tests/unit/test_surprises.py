"""What will surprise: each warning where it belongs, and none where all is as people think."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runjobs.core.crontab import parse
from runjobs.core.errors import Problem, Severity
from runjobs.core.surprises import surprises

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KNOWN = {"true", "cat", "date", "mail", "/usr/bin/true"}


def found(text: str, *, known: set[str] | None = KNOWN, user_column: bool = False) -> tuple[Problem, ...]:
    file = parse(text, source="f", user_column=user_column)
    assert not [problem for problem in file.problems if problem.severity is Severity.ERROR], file.problems

    def find_command(word: str, path: str) -> bool:
        return known is not None and word in known and path != "/nowhere"

    return surprises(file, text, now=NOW, find_command=None if known is None else find_command)


def marked(problem: Problem) -> str:
    start = problem.place.column - 1
    return problem.text[start : start + problem.place.width]


@pytest.mark.parametrize(
    "text",
    [
        "* * * * * true\n",
        "*/15 */6 * */3 * true\n",
        "0 0 13 * * true\n",
        "0 0 * * fri true\n",
        "0 0 1-31 * fri true\n",
        r"* * * * * date +\%Y" + "\n",
        "* * * * * cat%hello%world\n",
        '* * * * * mail -s "It\'s 10pm" joe%Joe,%%Where are your kids?%\n',
        "CRON_TZ=Europe/Berlin\n30 3 * * * true\n*/5 * * * * true\n",
        "@daily true\n@reboot true\n@every 7m true\n",
        "* * * * * A=1 B=2 true\n",
        "* * * * * PATH=/x nosuch\n",
        "* * * * * cd /nowhere && ./x\n",
        "* * * * * ./x\n",
        '* * * * * "$HOME"/bin/x\n',
        "* * * * * /usr/bin/true\n",
        "SHELL=/usr/bin/python3\n* * * * * print(1)\n",
        "#: env-file=/etc/x.env\n* * * * * nosuch\n",
        "#: user-column\n* * * * * root true\n",
        "MAILTO=\n* * * * * true\n",
        "# 1 2 * * * x\n#: name=a\n# why: it is so\n* * * * * true\n# 1 2 * * * x\n",
        "#: defaults nice=1\n# 1 2 * * * x\n* * * * * true\n",
        "#: name=a\n* * * * * true\n# 1 2 * * * x\n",
        "#: name=a\nA=1\n* * * * * true\n",
        "A='1\n* * * * * true\n#: fields=6\n*/30 * * * * * true\n".replace("A='1\n", ""),
        "\ufeff* * * * * true\r\n",
    ],
)
def test_what_is_as_people_think_is_passed_over(text: str) -> None:
    assert [problem.message for problem in found(text)] == []


@pytest.mark.parametrize(
    ("text", "line", "under", "said"),
    [
        ("* * * * * date +%Y\n", 1, "%", "the command ends at this %"),
        ("* * * * * date '%Y' x\n", 1, "%", "the command ends at this %"),
        ("* * * * * true `date %H`\n", 1, "%", "the command ends at this %"),
        ("* * * * * true $(date %H)\n", 1, "%", "the command ends at this %"),
        ("* * * * * true x-%d.tar\n", 1, "%", "the command ends at this %"),
        ("1 1 1 1 * 1 true\n", 1, "1", "looks like one more field"),
        ("* * * * * nosuch -x\n", 1, "nosuch", "there is no command nosuch in /usr/bin:/bin"),
        ("* * * * * /usr/bin/nosuch -x\n", 1, "/usr/bin/nosuch", "there is no command /usr/bin/nosuch there"),
        ("* * * * * A=1 nosuch;true\n", 1, "nosuch", "there is no command nosuch"),
        ("PATH=/nowhere\n* * * * * mail\n", 2, "mail", "there is no command mail in /nowhere"),
        ("*/45 * * * * true\n", 1, "*/45", "*/45 is not even: after minute 45 comes 0 again"),
        ("*/60 * * * * true\n", 1, "*/60", "*/60 means minute 0 and no other"),
        ("0 */5 * * * true\n", 1, "*/5", "after hour 20 comes 0 again"),
        ("0 0 */2 * * true\n", 1, "*/2", "after day of the month 31 comes 1 again"),
        ("#: fields=6\n*/7 * * * * * true\n", 2, "*/7", "after second 56 comes 0 again"),
        ("0 0 13 * fri true\n", 1, "13 * fri", "the job runs when either matches"),
        ("0 0 */31 * fri true\n", 1, "*/31 * fri", "must both match here"),
        (
            "#: tz=Europe/Berlin\n30 2 * * * true\n",
            2,
            "30 2 * * *",
            "2027-03-28 the clock in Europe/Berlin jumps over 02:30",
        ),
        ("#: tz=Europe/Berlin\n*/15 2 * * * true\n", 2, "*/15 2 * * *", "the job does not run then"),
        ("#: tz=America/New_York\n*/30 1 * * * true\n", 2, "*/30 1 * * *", "shows 01:00 twice"),
        ("# nothing\n", 1, "#", "there is no job"),
        ("", 1, "", "there is no job"),
        ("TZ=UTC\n* * * * * true\n", 1, "TZ=UTC", "does not move the schedule"),
        ("MAILTO=root\n* * * * * true\n", 1, "MAILTO=root", "sends no mail"),
        ("PATH=$PATH:/x\n* * * * * true\n", 1, "PATH=$PATH:/x", "nothing is expanded"),
        ("A=~/x\n* * * * * true\n", 1, "A=~/x", "nothing is expanded"),
        ("A=1 # c\n* * * * * true\n", 1, "A=1 # c", "the # is part of the value"),
        ("#: name=a\n# 1 2 * * * x\n* * * * * true\n", 2, "# 1 2 * * * x", "go to the next job"),
        ("#: name=a\n#@daily x\n* * * * * true\n", 2, "#@daily x", "go to the next job"),
    ],
)
def test_what_surprises_is_warned_of_where_it_stands(text: str, line: int, under: str, said: str) -> None:
    warnings = [problem for problem in found(text) if said in problem.message]
    assert len(warnings) == 1, found(text)
    (warning,) = warnings
    assert (warning.place.line, marked(warning), warning.severity) == (line, under, Severity.WARNING)
    assert warning.hint


def test_a_user_in_front_of_a_command_is_recognised() -> None:
    assert any("#: user-column" in problem.hint for problem in found("* * * * * root true\n"))
    assert not any("#: user-column" in problem.hint for problem in found("* * * * * nosuch -x\n"))


def test_a_clean_job_is_looked_up_on_the_path_that_it_gets() -> None:
    text = "#: env=clean\n* * * * * mail\n* * * * * mail\n"
    asked = []

    def find_command(_word: str, path: str) -> bool:
        asked.append(path)
        return True

    surprises(parse(text), text, now=NOW, path="/opt/bin", find_command=find_command)
    assert asked == ["/usr/bin:/bin", "/opt/bin"]


def test_without_a_way_to_look_commands_up_nothing_is_said_of_them() -> None:
    assert found("* * * * * nosuch\n", known=None) == ()


def test_a_broken_variable_is_left_to_parse() -> None:
    text = "A='1\n* * * * * true\n"
    assert surprises(parse(text), text, now=NOW) == ()


def test_warnings_come_in_the_order_of_lines() -> None:
    text = "*/45 * * * * true\nTZ=UTC\n*/45 * * * * true\n"
    assert [problem.place.line for problem in found(text)] == [1, 2, 3]


def test_each_job_of_one_schedule_is_told_of_the_change_of_the_clock() -> None:
    text = "CRON_TZ=Europe/Berlin\n30 2 * * * true\n30 2 * * * cat\n"
    assert [problem.place.line for problem in found(text)] == [2, 3]
