"""Receivers as `notify=` names them: read, written, told apart, and never shown with a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core import addresses, receivers
from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError
from runjobs.core.receivers import Receiver, addressed, has_secret, masked, parse_receivers, references, resolved, shown
from runjobs.core.surprises import surprises
from tests.support.calling import call

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, tzinfo=UTC)
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HOOK = "https://hooks.example.org/services/T00000000/B00000000/k3Yx9Qw7ZtLmN2pR"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail", [("mail", "", ())]),
        ("mail:ops@example.org", [("mail", "ops@example.org", ())]),
        ("mail:root,ops@example.org", [("mail", "root,ops@example.org", ())]),
        ("mail;from=cron@example.org", [("mail", "", (("from", "cron@example.org"),))]),
        ("mail,mail:a@x.org,b@x.org", [("mail", "", ()), ("mail", "a@x.org,b@x.org", ())]),
        ("mail:@OPS,slack:@TEAM", [("mail", "@OPS", ()), ("slack", "@TEAM", ())]),
        ("webhook:https://h.org/a,b", [("webhook", "https://h.org/a,b", ())]),
        ("ntfy:https://ntfy.sh/ops;token=@T", [("ntfy", "https://ntfy.sh/ops", (("token", "@T"),))]),
        ("ping:@HC,command:echo a; echo b, c", [("ping", "@HC", ()), ("command", "echo a; echo b, c", ())]),
        ("webhook:http://[::1]:8080?x=1", [("webhook", "http://[::1]:8080?x=1", ())]),
    ],
)
def test_receivers_are_read_and_written_back(text: str, expected: list[tuple[object, ...]]) -> None:
    found = parse_receivers(text)
    assert [tuple(receiver) for receiver in found] == expected
    assert parse_receivers(",".join(receiver.text for receiver in found)) == found


@pytest.mark.parametrize(
    ("text", "message", "hint", "stretch"),
    [
        ("", "there is no receiver here", "the kinds are mail", ""),
        ("ops@example.org", "does not say what it is", "write mail:ops@example.org", "ops@example.org"),
        ("https://example.org/x", "a URL does not say what is to be done", "webhook:", "https://example.org/x"),
        ("slak:@X", "no kind of receiver 'slak'", "did you mean slack:", "slak"),
        ("email:a@x.org", "no kind of receiver 'email'", "did you mean mail:", "email"),
        ("mail,carrier:pigeon", "no kind of receiver 'carrier'", "the kinds are", "carrier"),
        ("mail:", "mail has no address", "write mail:ops@example.org", "mail:"),
        ("webhook", "webhook has no address", "write webhook:@OPS_HOOK", "webhook"),
        ("ping:", "ping has no address", "write ping:@HC_BACKUP", "ping:"),
        ("mail:a b<c", "'b<c' is no mail address", "write ops@example.org", "a b<c"),
        ("mail:-oQ/tmp", "'-oQ/tmp' is no mail address", "", "-oQ/tmp"),
        ("mail: ", "there is no mail address here", "", " "),
        ("webhook:ftp://x/y", "no http or https URL", "write https://", "ftp://x/y"),
        ("webhook:https://x:0/y", "no http or https URL", "", "https://x:0/y"),
        ("webhook:https://x/\u00e9", "no http or https URL", "%XX", "https://x/\u00e9"),
        ("command: ", "there is no command here", "write command:", " "),
        ("slack:@X;token=@Y", "slack has no option 'token'", "slack has no options", "token=@Y"),
        ("mail,webhook:@X;tokn=@Y", "webhook has no option 'tokn'", "webhook has token=", "tokn=@Y"),
        ("webhook:@X;token=hunter2", "a token is a secret", "write token=@NAME", "token=hunter2"),
        ("mail;from=@", "'@' is no mail address", "write from=", "from=@"),
        ("mail;from=a@x;from=b@x", "from stands here twice", "take one out", "from=b@x"),
        ("mail,slack:@A,mail", "mail stands here twice", "take one out", "mail"),
    ],
)
def test_a_mistake_says_what_and_where_and_the_way_out(text: str, message: str, hint: str, stretch: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_receivers(text)
    error = caught.value
    assert message in error.message
    assert hint in error.hint
    assert text[error.start : error.end] == stretch
    assert "hunter2" not in error.message + error.hint


@given(
    st.text(max_size=60) | st.from_regex(r"(mail|webhook|ping|slack|ntfy|command)[:;,@a-z./=]{0,20}", fullmatch=True)
)
def test_whatever_is_written_is_read_or_refused_and_what_is_read_is_written_back(text: str) -> None:
    try:
        found = parse_receivers(text)
    except FieldError:
        return
    assert parse_receivers(",".join(receiver.text for receiver in found)) == found
    assert all(receiver.name for receiver in found)


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("mail:ops@example.org", False),
        ("command:/usr/bin/tell 0f8fad5bd9cb469fa16570867728950e", False),
        ("webhook:@HOOK", False),
        ("ping:@HC", False),
        ("webhook:https://example.org/hooks/notifications-2024", False),
        ("ntfy:https://ntfy.sh/operations_team_of_the_north", False),
        ("webhook:https://user:pw@example.org/hook", True),
        ("webhook:https://token@example.org/hook", True),
        (f"webhook:{HOOK}", True),
        (f"webhook:https://example.org/{UUID}", True),
        ("webhook:https://example.org/hook?token=x", True),
        ("webhook:https://example.org/hook?a=1&api_key=x", True),
        ("slack:https://chat.example.org/hook", True),
        ("ping:https://hc.example.org/ping/backup", True),
    ],
)
def test_what_should_stand_among_the_secrets_is_known_and_not_shown(text: str, is_secret: bool) -> None:
    (receiver,) = parse_receivers(text)
    assert has_secret(receiver) is is_secret
    assert (receiver.name == text) is not is_secret
    assert "hook" not in receiver.name or not is_secret or "chat" not in text
    host = text.partition("//")[2].rpartition("@")[2].partition("/")[0]
    assert host in receiver.name


def test_two_secrets_of_one_host_have_two_names() -> None:
    one, other = parse_receivers(f"ping:https://hc.example.org/{UUID},ping:https://hc.example.org/{UUID}/2")
    assert one.name != other.name


def test_an_address_that_can_not_be_read_is_shown_to_nobody() -> None:
    receiver = Receiver("webhook", "htp:/oops/s3cret")
    assert (has_secret(receiver), receiver.name) == (True, "webhook:...")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("#: notify=mail:a@x.org", "#: notify=mail:a@x.org"),
        ("#: notify=ntfy:https://ntfy.sh/ops", "#: notify=ntfy:https://ntfy.sh/ops"),
        ("#: notify=ping:https://h/x", "#: notify=ping:https://***"),
        (
            "#: notify='slak:https://h/x',ntfy:https://n/t;token=@T",
            "#: notify='slak:https://***',ntfy:https://n/t;token=@T",
        ),
        ("#: notify=webhook:https://u:p@h/x,mail", "#: notify=webhook:https://************"),
        ("#: notify=webhook:@HOOK;token=hunter2,mail", "#: notify=webhook:@HOOK;token=*******,mail"),
        ("#: notify=https://h/x timeout=1h", "#: notify=https://*** timeout=1h"),
    ],
)
def test_a_line_is_shown_with_stars_for_its_secrets_and_all_else_in_its_place(line: str, expected: str) -> None:
    assert masked(line) == expected


def test_a_value_is_shown_by_the_names_of_its_receivers() -> None:
    assert shown("mail,webhook:@HOOK") == "mail,webhook:@HOOK"
    assert "hunter2" not in shown("webhook:https://u:hunter2@h/x")
    assert shown("oops:https://h/x") == "oops:https://***"


def test_secrets_come_from_where_they_are_named_and_the_rest_stays() -> None:
    (receiver,) = parse_receivers("ntfy:@TOPIC;token=@TOKEN")
    assert references(receiver) == ("TOPIC", "TOKEN")
    whole = resolved(receiver, {"TOPIC": " https://n.example.org/ops\n", "TOKEN": "tk_1"})
    assert whole == Receiver("ntfy", "https://n.example.org/ops", (("token", "tk_1"),))
    (mail,) = parse_receivers("mail:root;from=cron@x.org")
    assert resolved(mail, {}) == mail


@pytest.mark.parametrize(
    ("text", "secrets", "message"),
    [
        ("webhook:@HOOK", {}, "the secret HOOK is not set"),
        ("webhook:@HOOK;token=@T", {"HOOK": "https://x/y", "T": ""}, "the secret T is not set"),
        ("webhook:@HOOK", {"HOOK": "s3cret"}, "the secret HOOK: this is no http or https URL"),
        ("mail:@OPS", {"OPS": "s3cret<"}, "the secret OPS: there is no list of mail addresses in it"),
    ],
)
def test_a_secret_that_is_not_there_or_of_no_use_is_told_by_its_name(
    text: str, secrets: dict[str, str], message: str
) -> None:
    (receiver,) = parse_receivers(text)
    with pytest.raises(FieldError) as caught:
        resolved(receiver, secrets)
    assert caught.value.message == message
    assert "s3cret" not in caught.value.hint


def test_an_address_from_a_mailto_that_is_none_is_told() -> None:
    with pytest.raises(FieldError, match="is no mail address"):
        resolved(Receiver("mail", "a b<"), {})


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("mail", {}, "mail:joe"),
        ("mail", {"MAILTO": ""}, ""),
        ("mail", {"MAILTO": "a@x.org, b@x.org"}, "mail:a@x.org, b@x.org"),
        ("mail", {"MAILTO": "a@x.org", "MAILFROM": "c@x.org"}, "mail:a@x.org;from=c@x.org"),
        ("mail;from=d@x.org", {"MAILTO": "a@x.org", "MAILFROM": "c@x.org"}, "mail:a@x.org;from=d@x.org"),
        ("mail:z@x.org,webhook:@H", {"MAILTO": ""}, "mail:z@x.org,webhook:@H"),
    ],
)
def test_mail_alone_goes_where_mailto_says_as_cron_has_it(
    text: str, environment: dict[str, str], expected: str
) -> None:
    found = addressed(parse_receivers(text), environment, "joe")
    assert ",".join(receiver.text for receiver in found) == expected


def test_urls_are_read_in_their_parts() -> None:
    url = addresses.read_url("https://u:p@Example.ORG:8443?x=1")
    assert url == ("https", "u:p", "example.org", 8443, "/?x=1")
    assert (url.site, url.place) == ("https://example.org:8443", "example.org:8443")
    assert addresses.read_url("http://x").place == "x"


def test_secrets_are_taken_out_of_texts_the_longest_first_and_words_stay_whole() -> None:
    assert addresses.hide("tell abcdef of abc and abcd", ["abcd", "abcdef", "abc", ""]) == "tell ... of abc and ..."


def test_every_kind_is_checked_and_has_an_example() -> None:
    for kind in receivers.KINDS:
        with pytest.raises(FieldError) as caught:
            parse_receivers(f"{kind}:")
        assert parse_receivers(caught.value.hint.removeprefix("write "))


def warned(text: str) -> list[str]:
    return [problem.message for problem in surprises(parse(text, source="f"), text, now=NOW)]


def test_mailto_alone_is_warned_of_and_with_notify_mail_it_is_not() -> None:
    job = "* * * * * true\n"
    assert warned(f"MAILTO=ops@x.org\n{job}") == ["MAILTO alone sends no mail: jobs only see it"]
    assert warned(f"MAILTO=ops@x.org\n#: notify=mail:me@x.org\n{job}") == [
        "MAILTO alone sends no mail: jobs only see it"
    ]
    assert warned(f"MAILTO=ops@x.org\n#: defaults notify=mail\n{job}") == []
    assert warned(f'MAILTO=""\n{job}') == []
    assert warned(f"MAILTO=ops@x.org;b\n#: defaults notify=mail\n{job}") == ["MAILTO: 'ops@x.org;b' is no mail address"]


def test_a_secret_in_a_jobs_file_is_warned_of_and_nowhere_shown() -> None:
    text = f"#: notify=mail,ping:https://hc.example.org/{UUID}\n* * * * * true\n#: notify=slack:@T\n0 0 * * * true\n"
    (problem,) = surprises(parse(text, source="f"), text, now=NOW)
    assert problem.message.endswith("is a secret, and all who can read the file know it")
    assert "ping:@NAME" in problem.hint
    assert (problem.place.line, problem.place.column) == (1, 4)
    assert UUID not in str(problem)


def test_a_mistake_beside_a_secret_does_not_show_it() -> None:
    file = parse(
        f"#: notify=slak:{HOOK}\n* * * * * true\n#: notify=webhook:{HOOK} timout=1h\n* * * * * true\n", source="f"
    )
    assert len(file.problems) > 1
    assert "k3Yx9" not in str(file.problems)


def test_a_list_shows_receivers_by_their_names(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.write_text(f"#: notify=webhook:{HOOK},mail,slack:@TEAM\n* * * * * true\n")
    jobs.chmod(0o644)
    told = call("list", "--jobs", str(jobs), "--json", "--trust-jobs").out
    assert "webhook:https://hooks.example.org/..." in told
    assert "slack:@TEAM" in told
    assert "k3Yx9" not in told
