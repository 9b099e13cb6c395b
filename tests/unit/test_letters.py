"""Letters in the words and shapes of each channel: readable, bounded, and never what a job could twist them into."""

from __future__ import annotations

import email
import email.policy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.notify import mail
from runjobs.adapters.notify.mail import Server
from runjobs.core.letter import Kind, Letter
from runjobs.core.lettertext import body, chat, clean, headline, line, payload, push, subject, variables
from runjobs.core.receivers import Receiver

FAILED = {
    "job": "backup", "run": "3574rvws8az", "outcome": "failed", "reason": "exit", "detail": "exit code 3",
    "exit_code": 3, "scheduled_at": "2026-11-20T03:15:00Z", "seconds": 9.8064, "failures": 2,
    "host": "web1", "user": "root", "schedule": "15 3 * * *",
    "command": "/usr/local/bin/backup --all", "log": "copying\ndisk full\n",
}  # fmt: skip
DIGEST: dict[str, Any] = {
    "letters": [
        {"kind": "failure", "job": "a", "outcome": "timeout", "detail": "it took 1h",
         "ended_at": "2026-11-20T03:15:00Z"},
        {"kind": "recovery", "job": "b"},
    ],
    "left_out": 9998, "kinds": {"failure": 9999, "recovery": 1}, "number": 10_000,
}  # fmt: skip
# what output, details and commands may hold: anything, and what would break a header, a fence or a mention
ANYTHING = st.text(max_size=80) | st.sampled_from(
    ["\r\nBcc: x@evil.org\r\n", "a\x00b\x1b[31m", "\udcff\ud800", "```<!channel>"]
)
FACTS = st.dictionaries(
    st.sampled_from(["detail", "reason", "outcome", "command", "host", "user", "log", "schedule"]), ANYTHING
)
LETTERS = st.builds(
    Letter, ANYTHING, st.sampled_from(Kind).filter(lambda kind: kind is not Kind.DIGEST), ANYTHING, FACTS
)


def letter(kind: Kind = Kind.FAILURE, /, **facts: object) -> Letter:
    return Letter(f"3574rvws8az.{kind.value}.1a2b", kind, "backup", facts)


@pytest.mark.parametrize(
    ("kind", "facts", "expected"),
    [
        (Kind.FAILURE, FAILED, "backup failed: exit code 3 (2 failures in a row)"),
        (Kind.FAILURE, {"outcome": "timeout"}, "backup ran into its timeout"),
        (Kind.FAILURE, {"outcome": "interrupted", "reason": "reboot"}, "backup was interrupted: reboot"),
        (Kind.FAILURE, {"outcome": "error", "detail": "no user x"}, "backup could not start: no user x"),
        (Kind.FAILURE, {"outcome": "stopped"}, "backup was stopped"),
        (Kind.FAILURE, {}, "backup failed"),
        (Kind.RECOVERY, {"failures": 4}, "backup is well again after 4 failures"),
        (Kind.RECOVERY, {"failures": 1}, "backup is well again after a failure"),
        (Kind.RECOVERY, {}, "backup is well again"),
        (Kind.SUCCESS, {"seconds": 61.9}, "backup ok, it took 1m2s"),
        (Kind.SUCCESS, {}, "backup ok"),
        (Kind.MISSED, {"detail": "no success for 26h"}, "backup missed: no success for 26h"),
        (Kind.SLOW, {"seconds": 3700.4, "usual_seconds": 0.25}, "backup was slow, it took 1h1m40s instead of 250ms"),
        (Kind.SLOW, {}, "backup was slow"),
        (Kind.START, {}, "backup has started"),
        (Kind.DIGEST, DIGEST, "10000 pieces of news: 9999 failures, 1 recovery"),
        (Kind.DIGEST, {"letters": [{"kind": "slow"}]}, "1 pieces of news: 1 slow"),
        (Kind.TEST, {"host": "web1"}, "a test by runjobs on web1: news of jobs arrives here"),
        (Kind.TEST, {}, "a test by runjobs on this machine: news of jobs arrives here"),
    ],
)
def test_the_headline_says_what_happened(kind: Kind, facts: dict[str, Any], expected: str) -> None:
    assert headline(letter(kind, **facts)) == expected


def test_the_subject_begins_as_crons_does_and_ends_with_the_command() -> None:
    expected = "Cron <root@web1> backup failed: exit code 3 (2 failures in a row) -- /usr/local/bin/backup --all"
    assert subject(letter(**FAILED)) == expected
    assert subject(letter(Kind.START)) == "Cron <?@?> backup has started"


def test_the_text_has_the_headline_the_facts_and_the_end_of_the_output() -> None:
    assert body(letter(**FAILED)) == (
        "backup failed: exit code 3 (2 failures in a row)\n"
        "\n"
        "job:                backup\n"
        "run:                3574rvws8az\n"
        "outcome:            failed\n"
        "reason:             exit\n"
        "detail:             exit code 3\n"
        "exit code:          3\n"
        "scheduled:          2026-11-20T03:15:00Z\n"
        "took:               9s806ms\n"
        "failures in a row:  2\n"
        "schedule:           15 3 * * *\n"
        "command:            /usr/local/bin/backup --all\n"
        "user:               root\n"
        "host:               web1\n"
        "\n"
        "The end of its output:\n"
        "\n"
        "copying\n"
        "disk full\n"
    )


def test_a_digest_has_a_line_for_each_and_says_how_many_are_left_out() -> None:
    assert body(letter(Kind.DIGEST, **DIGEST)) == (
        "10000 pieces of news: 9999 failures, 1 recovery\n"
        "\n"
        "2026-11-20T03:15:00Z a ran into its timeout: it took 1h\n"
        "b is well again\n"
        "and 9998 more, see runjobs history\n"
    )
    assert "more" not in body(letter(Kind.DIGEST, letters=[{"kind": "missed", "job": "a", "scheduled_at": "now"}]))


def test_a_web_hook_is_told_the_facts_with_key_kind_and_title() -> None:
    told = payload(letter(**FAILED, leftovers=[[4720, "ssh\x1b-agent"]], more={"a": None}))
    assert told["key"] == "3574rvws8az.failure.1a2b"
    assert (told["kind"], told["title"]) == ("failure", "backup failed: exit code 3 (2 failures in a row)")
    assert (told["exit_code"], told["log"], told["leftovers"]) == (3, "copying\ndisk full\n", [[4720, "ssh-agent"]])
    assert told["more"] == {"a": None}


def test_the_documented_example_is_what_a_web_hook_gets() -> None:
    text = (Path(__file__).parents[2] / "docs/notify.md").read_text(encoding="utf-8")
    match = re.search(r"(?s)```json\n(.*?)```", text)
    assert match is not None
    example = json.loads(match[1])
    facts = {name: value for name, value in example.items() if name not in {"key", "kind", "title"}}
    assert payload(Letter(example["key"], Kind(example["kind"]), "backup", facts)) == example


def test_a_chat_is_told_in_a_few_lines_and_nobody_is_mentioned_by_output() -> None:
    told = chat(letter(**FAILED | {"log": "<!channel> & ```"}))
    assert told == {
        "text": "*backup failed: exit code 3 (2 failures in a row)*\n15 3 * * * on web1\n"
        "```\n&lt;!channel&gt; &amp; '''\n```"
    }
    assert chat(letter(Kind.START)) == {"text": "*backup has started*"}
    assert chat(letter(Kind.DIGEST, **DIGEST))["text"].endswith("b is well again\nand 9998 more, see runjobs history")


def test_a_push_has_a_title_a_priority_where_it_is_urgent_and_a_sign() -> None:
    told = push(letter(**FAILED), "ops")
    assert (told["topic"], told["priority"], told["tags"]) == ("ops", 4, ["x"])
    assert told["title"] == "backup failed: exit code 3 (2 failures in a row)"
    assert told["message"].startswith("job:")
    assert push(letter(Kind.TEST, host="web1"), "ops").keys() == {"topic", "title", "message"}
    assert push(Letter("k", Kind.TEST, "", {}), "ops")["message"].startswith("a test by runjobs")


def test_long_output_leaves_room_for_its_end_in_a_chat_and_for_the_facts_in_a_push() -> None:
    long = letter(**FAILED | {"log": "\u00e9" * 100_000 + "the end"})
    assert len(chat(long)["text"]) < 3_200
    assert "the end" in chat(long)["text"]
    assert len(push(long, "ops")["message"].encode()) <= 4_096


def test_a_command_has_the_facts_as_variables_but_neither_output_nor_lists() -> None:
    told = variables(letter(**FAILED | {"signal": None}))
    assert told["RUNJOBS_RUN_ID"] == "3574rvws8az"
    assert (told["RUNJOBS_KEY"], told["RUNJOBS_KIND"]) == ("3574rvws8az.failure.1a2b", "failure")
    assert (told["RUNJOBS_JOB"], told["RUNJOBS_EXIT_CODE"], told["RUNJOBS_SECONDS"]) == ("backup", "3", "9.8064")
    assert told["RUNJOBS_TITLE"].startswith("backup failed")
    assert not {"RUNJOBS_LOG", "RUNJOBS_SIGNAL"} & told.keys()
    many = variables(Letter("k", Kind.DIGEST, "", DIGEST))
    assert many.keys() == {"RUNJOBS_KEY", "RUNJOBS_KIND", "RUNJOBS_TITLE", "RUNJOBS_LEFT_OUT", "RUNJOBS_NUMBER"}


def test_lines_and_texts_lose_what_programs_stumble_over() -> None:
    assert clean("a\r\nb\x00\x1b[1mc\udcff\u2028d\te") == "a\nb[1mc?d\te"
    assert line("a\r\n  b\rc") == "a b c"
    assert line("x" * 300, 10) == "xxxxxxx..."


@given(LETTERS)
def test_whatever_a_job_says_each_channel_can_say_it(told: Letter) -> None:
    assert "\n" not in headline(told)
    assert body(told).endswith("\n")
    for said in (payload(told), chat(told), push(told, "ops")):
        text = json.dumps(said, ensure_ascii=False)
        assert json.loads(text.encode()) == said
    assert "<!" not in chat(told)["text"]
    assert len(push(told, "ops")["message"].encode()) <= 4_096
    assert not any("\0" in value or "\n" in name for name, value in variables(told).items())


EXPECTED_HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Precedence", "X-Runjobs-Kind", "X-Runjobs-Job",
    "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
]  # fmt: skip


@given(LETTERS)
def test_nothing_that_a_job_says_becomes_a_header_or_a_recipient(told: Letter) -> None:
    wire = mail.compose(Receiver("mail", "ops@example.org,root"), told).as_bytes()
    head = wire.partition(b"\r\n\r\n")[0]
    names = re.findall(rb"(?m)^([A-Za-z-]+):", head)
    assert {name.decode() for name in names} <= set(EXPECTED_HEADERS)
    assert len(names) == len(set(names))
    assert all(re.match(rb" |[A-Za-z-]+:", row) for row in head.split(b"\r\n"))
    read = email.message_from_bytes(wire, policy=email.policy.default)
    assert [address.addr_spec for address in read["To"].addresses] == ["ops@example.org", "root"]
    assert not read.defects
    wire.decode("ascii")


def test_a_mail_has_the_headers_that_cron_sends_and_says_all_in_utf_8() -> None:
    told = letter(**FAILED | {"log": "schön \u2713\n"})
    mailed = mail.compose(Receiver("mail", "ops@example.org, root"), told)
    assert set(mailed.keys()) == set(EXPECTED_HEADERS)
    assert mailed["From"] == '"(Cron Daemon)" <root@web1>'
    assert mailed["To"] == "ops@example.org, root"
    assert mailed["Subject"].startswith("Cron <root@web1> backup failed: exit code 3")
    assert (mailed["Auto-Submitted"], mailed["Precedence"]) == ("auto-generated", "bulk")
    assert (mailed["X-Runjobs-Job"], mailed["X-Runjobs-Kind"]) == ("backup", "failure")
    read = email.message_from_bytes(mailed.as_bytes(), policy=email.policy.default)
    assert read.get_content().replace("\r\n", "\n") == body(told)


def test_a_subject_stays_on_one_line_for_filters_to_find() -> None:
    wire = mail.compose(Receiver("mail", "root"), letter(**FAILED | {"command": "x" * 300})).as_bytes()
    assert re.search(rb"(?m)^Subject: Cron <root@web1> backup failed.* -- x+\.\.\.\r$", wire)


def test_the_message_id_is_the_same_on_every_repeat_and_another_for_other_news() -> None:
    to = Receiver("mail", "ops@example.org")
    first, again = (mail.compose(to, letter(**FAILED))["Message-ID"] for _ in range(2))
    assert first == again != mail.compose(to, letter(Kind.RECOVERY, host="web1"))["Message-ID"]


@pytest.mark.parametrize(
    ("options", "login", "sender"),
    [
        ((), "", "root@web1"),
        ((), "alerts@example.org", "alerts@example.org"),
        ((), "alerts", "root@web1"),
        ((("from", "cron@example.org"),), "alerts@example.org", "cron@example.org"),
        ((("from", "cr on"),), "", "root@web1"),
    ],
)
def test_a_mail_is_from_whom_the_options_say_else_from_whom_the_server_knows(
    options: tuple[tuple[str, str], ...], login: str, sender: str
) -> None:
    mailed = mail.compose(Receiver("mail", "ops@example.org", options), letter(**FAILED), login)
    assert mailed["From"].addresses[0].addr_spec == sender


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtps://mail.example.org", Server("smtps", "", "beside", "mail.example.org", 465)),
        ("smtp://ops%40x.org@Mail.example.org/", Server("smtp", "ops@x.org", "beside", "mail.example.org", 587)),
        ("smtps://ops:p%3Aw@h:1465", Server("smtps", "ops", "p:w", "h", 1465)),
        ("smtp+plain://[::1]:2525", Server("smtp+plain", "", "beside", "[::1]", 2525)),
        ("mail.example.org", None),
        ("smtp://h:99999", None),
        ("smtps://ops@x.org@h", None),
    ],
)
def test_a_mail_server_is_read_from_its_url(text: str, expected: Server | None) -> None:
    assert mail.read_server(text, "beside\n") == expected


@pytest.mark.parametrize(("host", "is_here"), [("localhost", True), ("127.0.0.1", True), ("[::1]", True), ("h", False)])
def test_only_this_machine_is_here(host: str, is_here: bool) -> None:
    assert Server("smtp", "", "", host, 25).is_here is is_here
