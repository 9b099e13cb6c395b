"""yacron's and cronstable's files taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.yamlfile import read_yaml
from runjobs.core.errors import FieldError, Severity
from runjobs.core.imports.account import Fate, Source
from runjobs.core.imports.nodes import Node
from runjobs.core.imports.yacron import take_yacron
from runjobs.core.job import Overlap
from tests.support.imports import CASES, accounted, messages

if TYPE_CHECKING:
    from pathlib import Path

    from runjobs.core.imports.account import Taken
    from runjobs.core.job import Job

pytest.importorskip("yaml", reason="PyYAML is not installed")
EXAMPLES = sorted((CASES / "yacron").iterdir())
JOB = 'jobs:\n  - name: a\n    command: x\n    schedule: "5 4 * * *"\n'


def take(text: str, taken: tuple[str, ...] = ()) -> Taken:
    return take_yacron(Source("there", text), read_yaml(text), "here", taken)


def jobs_of(text: str) -> list[Job]:
    return accounted(take(text), Source("there", text))


def one(settings: str) -> Job:
    (job,) = jobs_of(JOB + "".join(f"    {line}\n" for line in settings.split("\n")))
    return job


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_line_of_yacrons_own_examples_is_accounted_for(path: Path) -> None:
    text = path.read_text()
    accounted(take(text), Source("there", text))


def test_the_first_example_runs_what_it_ran() -> None:
    text = (CASES / "yacron" / "test.yaml").read_text()
    first, second, third = jobs_of(text)
    assert (first.command, first.schedule.expression, first.options.retries) == ("echo foobar", "@reboot", 3)
    assert second.command.startswith(
        "eval \"$(printf '%s\\n' 'export FOO=xpto ZBR=blah; echo \"hello\" 1>&2' 'sleep 1' "
    )
    assert (third.options.timeout, third.options.kill_after) == (timedelta(seconds=1), timedelta(milliseconds=500))


def test_times_are_in_utc_unless_a_zone_is_given() -> None:
    assert one("enabled: true").schedule.tz == "UTC"
    assert one("utc: false").schedule.tz is None
    assert one("timezone: Europe/Berlin").schedule.tz == "Europe/Berlin"


@pytest.mark.parametrize(
    ("schedule", "expression"),
    [
        ('"5 4 * * *"', "5 4 * * *"),
        ('"@daily"', "@daily"),
        ('"5 4 * * * 2027"', "0 5 4 * * * 2027"),
        ('"1 5 4 * * * 2027"', "1 5 4 * * * 2027"),
        ('{minute: "5", dayOfMonth: 1}', "5 * 1 * *"),
        ('{minute: "5", year: "2027"}', "0 5 * * * * 2027"),
        ('{minute: "5", second: "9"}', "9 5 * * * * *"),
        ('"5 4 1 * mon"', "5 4 */31 * 1"),
        ('"5 4 1-7 * 1,2"', "5 4 * * 1#1,2#1"),
        ('"5 4 */2 * 1"', "5 4 */2 * 1"),
        ('"0 5 4 1 * mon 2027"', "0 5 4 */31 * 1 2027"),
    ],
)
def test_a_schedule_is_due_when_yacron_would_be(schedule: str, expression: str) -> None:
    (job,) = jobs_of(f"jobs:\n- name: a\n  command: x\n  schedule: {schedule}\n")
    assert job.schedule.expression == expression


@pytest.mark.parametrize(
    "schedule", ['"5 4 13 * 5"', '"5 4 L * 5"', '"61 4 * * *"', '"5"', "{week: 1}", '""', '"@never"']
)
def test_a_schedule_that_no_jobs_file_has_loses_its_job(schedule: str) -> None:
    text = f"jobs:\n- name: a\n  command: x\n  schedule: {schedule}\n"
    assert jobs_of(text) == []
    assert messages(take(text))


@pytest.mark.parametrize(
    ("setting", "option", "value"),
    [
        ("concurrencyPolicy: Forbid", "overlap", Overlap.SKIP),
        ("concurrencyPolicy: Allow", "overlap", Overlap.ALLOW),
        ("captureStdout: true", "overlap", Overlap.ALLOW),
        ("executionTimeout: 1.5", "timeout", timedelta(seconds=1.5)),
        ("killTimeout: 5", "kill_after", timedelta(seconds=5)),
        ("captureStderr: false", "kill_after", timedelta(seconds=30)),
        ("user: www-data", "user", "www-data"),
        ("workingDirectory: /srv", "cwd", "/srv"),
        ("startingDeadlineSeconds: 60", "start_within", timedelta(minutes=1)),
        ("enabled: false", "enabled", False),
        ("failsWhen: {nonzeroReturn: false}", "success_codes", frozenset(range(256))),
        ("failsWhen: {nonzeroReturn: true, producesStderr: false}", "success_codes", frozenset({0})),
        (
            "onFailure: {retry: {maximumRetries: 3, initialDelay: 1, maximumDelay: 30, backoffMultiplier: 2}}",
            "retries",
            3,
        ),
        ("env_file: /etc/x", "env_file", "/etc/x"),
    ],
)
def test_a_setting_becomes_an_option(setting: str, option: str, value: object) -> None:
    job = one(setting)
    assert getattr(job.options, option) == value
    assert messages(take(JOB + f"    {setting}\n")) == []


@pytest.mark.parametrize(
    "setting",
    [
        "group: adm", "statsd: {host: a, port: 1, prefix: b}", "onSuccess: {report: {}}", "failsWhen: {always: true}",
        "onFailure: {retry: {maximumRetries: -1}}", "onFailure: {retry: {backoffMultiplier: 3}}",
        "executionTimeout: soon",
        "concurrencyPolicy: Sometimes", "env_file: .env", "shell: bash", "unheard: of", "onFailure: {report: {}}",
        "environment: [{key: 'A B', value: 1}]",
        "environment: [{key: API_TOKEN, value: hunter2}]",
        "timezone: Mars/Base"    ],
)  # fmt: skip
def test_a_setting_that_no_job_can_have_is_reported(setting: str) -> None:
    taken = take(JOB + f"    {setting}\n")
    accounted(taken, Source("there", JOB + f"    {setting}\n"))
    assert len(messages(taken)) == 1
    assert "hunter2" not in "".join(problem.text for problem in taken.problems)


def test_variables_of_all_jobs_are_lines_and_those_of_one_are_in_its_command() -> None:
    text = "defaults:\n  environment:\n  - key: A\n    value: a b\n" + JOB
    text += '    environment:\n    - {key: B, value: "it\'s"}\n    - {key: C, value: 1}\n'
    (job,) = jobs_of(text)
    assert dict(job.environment) == {"A": "a b"}
    assert job.command == "export B='it'\"'\"'s' C=1; x"


def test_variables_win_over_the_env_file_as_they_did() -> None:
    text = "defaults:\n  environment: [{key: A, value: a}]\n" + JOB + "    env_file: /etc/x\n"
    assert jobs_of(text)[0].command == "export A=a; x"


def test_a_secret_of_all_jobs_is_pointed_out() -> None:
    taken = take("defaults:\n  environment: [{key: API_TOKEN, value: hunter2}]\n" + JOB)
    assert (taken.private, messages(taken, Severity.WARNING)) == (True, ["API_TOKEN looks like a secret"])


def test_defaults_hold_for_each_job_that_does_not_say_otherwise() -> None:
    text = "defaults:\n  shell: /bin/bash\n  utc: false\n  group: adm\n" + JOB
    text += '  - name: b\n    command: y\n    shell: /bin/sh\n    schedule: "6 4 * * *"\n    utc: true\n'
    first, second = jobs_of(text)
    assert (first.shell, first.schedule.tz) == ("/bin/bash", None)
    assert (second.shell, second.schedule.tz) == ("/bin/sh", "UTC")
    assert messages(take(text)) == ["runjobs has nothing like group"]


def test_a_list_of_words_is_no_shells_command() -> None:
    (job,) = jobs_of('jobs:\n- name: a\n  command: [echo, "a b", "$HOME"]\n  schedule: "* * * * *"\n')
    assert job.command == "echo 'a b' '$HOME'"


@pytest.mark.parametrize(
    "text",
    ["jobs:\n- name: a\n  command: x\n", "jobs:\n- name: a\n  schedule: '@daily'\n", "jobs:\n- plain\n",
     "jobs:\n- {name: a, command: '*', schedule: '@daily'}\n"],
)  # fmt: skip
def test_a_job_that_lacks_what_makes_it_one_is_reported(text: str) -> None:
    assert jobs_of(text) == []
    assert messages(take(text))


def test_what_stands_beside_the_jobs_is_reported_with_a_way_out() -> None:
    text = "---\nweb: {listen: [x]}\ninclude: [b.yaml]\nlogging: {version: 1}\nodd: 1\ndefaults: x\njobs: y\n"
    taken = take(text)
    accounted(taken, Source("there", text))
    assert len(messages(taken)) == 6
    assert all(problem.hint for problem in taken.problems)


def test_a_name_is_made_up_where_there_is_none_and_not_given_twice() -> None:
    text = "jobs:\n- {command: x, schedule: '@daily'}\n- {command: y, schedule: '@daily'}\n"
    assert [job.name for job in accounted(take(text, ("job",)), Source("there", text))] == ["job-2", "job-3"]


# YAML


def test_nodes_know_their_lines() -> None:
    node = read_yaml("a:\n  - x\n  - |\n    1\n    2\n\n# c\nb: y\n")
    first, second = node.pairs or ()
    assert (first.first, first.last, second.first) == (1, 5, 8)
    assert [item.text for item in first.node.items or ()] == ["x", "1\n2\n"]


def test_no_document_is_an_empty_text() -> None:
    assert read_yaml("# nothing\n") == Node(1, 1, "")
    assert take("# nothing\n").counted[0].fates == (Fate.COMMENT,)


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\tx: 1", "a: &a [*a]", "a: *b", "[" * 500, "a\0b", "--- a\n--- b\n"]
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(FieldError) as error:
        read_yaml(text)
    assert error.value.hint


@given(st.text("ab:-[]{}\"'|> \n#*&", max_size=40))
def test_whatever_it_holds_it_is_refused_or_accounted_for(text: str) -> None:
    try:
        document = read_yaml(text)
    except FieldError:
        return
    accounted(take_yacron(Source("there", text), document, "here"), Source("there", text))
