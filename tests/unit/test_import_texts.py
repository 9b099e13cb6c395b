"""What the takers-over share: secrets, names, shell texts, variables, and what a path holds."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runjobs.core.entry import split_input
from runjobs.core.environment import read_assignment
from runjobs.core.errors import FieldError
from runjobs.core.imports.account import Account, Fate, Source
from runjobs.core.imports.kinds import Kind, guess, holds_scripts, is_template, owner
from runjobs.core.imports.naming import file_name, job_name
from runjobs.core.imports.secrets import has_secret, hide, is_secret
from runjobs.core.imports.shelltext import assignment, quote, written
from runjobs.core.names import check_name, file_part, skip_reason

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "x", True),
        ("ApiKey", "x", True),
        ("SENTRY_DSN", "x", True),
        ("URL", "postgres://me:x@host/db", True),
        ("DB_PASSWORD", "", False),
        ("DB_PASSWORD_FILE", "/run/secrets/db", False),
        ("PATH", "/bin", False),
        ("URL", "https://host/", False),
    ],
)
def test_a_secret_is_known_by_its_name_or_by_a_password_in_a_url(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret


@pytest.mark.parametrize(
    "text",
    [
        "TOKEN=hunter2", "a TOKEN = 'hunter2' b", '"TOKEN": "hunter2"', "ftp://me:hunter2@host",
        "{key: TOKEN, value: hunter2}", "- key: TOKEN\n  value: 'hunter2'", "#   - value: hunter2\n#     key: TOKEN",
    ],
)  # fmt: skip
def test_a_secret_is_taken_out_of_what_is_shown(text: str) -> None:
    assert has_secret(text)
    assert "hunter2" not in hide(text)
    assert hide(hide(text)) == hide(text)


def test_a_text_without_secrets_is_shown_as_it_is() -> None:
    assert not has_secret("5 4 * * * backup --all\nkey: PATH\nvalue: /bin\n")


@given(TEXT, st.sets(st.sampled_from(["a", "a-2", "jobs", "b"])))
def test_a_file_gets_a_name_that_counts_and_is_not_taken(base: str, taken: set[str]) -> None:
    name = file_name(base, taken)
    assert not skip_reason(name)
    assert file_part(name) not in taken
    assert "/" not in name


def test_a_file_keeps_its_name_where_it_can() -> None:
    assert [file_name(base, {"b"}) for base in ("backup.cron", "a.bak", "b", "..")] == [
        "backup.cron",
        "a-bak",
        "b-2",
        "jobs",
    ]


@given(TEXT, st.sets(st.sampled_from(["a", "a-2", "job", "b"])))
def test_a_job_gets_a_name_that_is_one_and_is_not_taken(text: str, taken: set[str]) -> None:
    name = job_name(text, taken)
    assert check_name(name) not in taken


@given(st.text("a%\\'\"$` \n*", max_size=12))
def test_a_command_is_the_same_when_the_jobs_file_is_read(command: str) -> None:
    try:
        text = written(command)
    except FieldError:
        return
    assert "\n" not in text
    if "\n" not in command.strip("\n"):
        assert split_input(text) == (command.strip("\n").lstrip(" "), None)


def test_several_lines_are_one_to_the_shell() -> None:
    assert written("a 'b'\nc %\n") == r"""eval "$(printf '\%s\n' 'a '"'"'b'"'"'' 'c \%')" """.rstrip()


@pytest.mark.parametrize("command", ["", "* x", "- x", "a\0b", "a\rb", "a\\%b"])
def test_a_command_that_no_crontab_can_hold_is_refused(command: str) -> None:
    with pytest.raises(FieldError):
        written(command)


@given(TEXT)
@example("50\\% of it's")
def test_a_quoted_word_can_stand_in_a_crontab_whatever_it_holds(word: str) -> None:
    if not set(word) & set("\0\r\n"):
        assert split_input(written(f"x {quote(word)}")) == (f"x {quote(word)}", None)


@given(st.sampled_from(["A", "b_1"]), TEXT)
def test_a_variable_keeps_its_value(name: str, value: str) -> None:
    try:
        line = assignment(name, value)
    except FieldError:
        assert set(value) & set("\0\r\n") or {'"', "'"} <= set(value)
        return
    assert read_assignment(line) == (name, value)


@pytest.mark.parametrize("name", ["", "A B", "1", "SHELL", "CRON_TZ", "a-b"])
def test_a_variable_that_a_jobs_file_would_take_otherwise_is_refused(name: str) -> None:
    with pytest.raises(FieldError):
        assignment(name, "x")


def test_a_value_that_no_quotes_fit_around_is_refused() -> None:
    with pytest.raises(FieldError, match="no quotes"):
        assignment("A", " \"'")


@pytest.mark.parametrize(
    ("path", "names", "kind"),
    [
        ("/etc/crontab", [], Kind.CRON_D),
        ("/etc/cron.d", ["a"], Kind.CRON_D),
        ("/backup/cron.d/a", [], Kind.CRON_D),
        ("/etc/anacrontab", [], Kind.ANACRONTAB),
        ("/srv/units", ["a.service", "a.timer"], Kind.SYSTEMD),
        ("/srv/a.path", [], Kind.SYSTEMD),
        ("/srv/yacrontab.yaml", [], Kind.YACRON),
        ("/srv/yacron.d", ["a.yml"], Kind.YACRON),
        ("/srv/crontab", [], Kind.CRONTAB),
        ("/srv/many/", ["a", "b"], Kind.CRONTAB),
    ],
)
def test_what_a_path_holds_is_told_by_its_name(path: str, names: list[str], kind: Kind) -> None:
    assert guess(path, names) is kind


def test_folders_of_scripts_spools_and_templates_are_known() -> None:
    assert holds_scripts("/etc/cron.daily/")
    assert not holds_scripts("/etc/cron.d")
    assert owner("/var/spool/cron/crontabs/www-data") == "www-data"
    assert owner("/home/me/crontab") == ""
    assert is_template("a@.timer")
    assert not is_template("a@b.timer")


def test_a_line_that_was_reported_stays_so_and_one_that_nobody_spoke_of_is_reported() -> None:
    account = Account(Source("there", "a\nb\n\n# c\nd"))
    account.lose(1, "no", "try b")
    account.settle(Fate.CARRIED, 1, 2)
    fates = account.close(lambda line: line.startswith("#")).fates
    assert fates == (Fate.REPORTED, Fate.CARRIED, Fate.BLANK, Fate.COMMENT, Fate.REPORTED)
    assert [problem.place.line for problem in account.problems] == [1, 5]
