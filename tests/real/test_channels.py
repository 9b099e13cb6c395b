"""Each channel to a real receiver: what arrives, what a fault comes to, and that no secret shows."""

from __future__ import annotations

import json
import os
import time
import uuid
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.notify import deliver, ping
from runjobs.core.letter import Delivery, Kind, Letter
from runjobs.core.receivers import parse_receivers
from tests.real.support.certificates import Certificates, make_certificates
from tests.real.support.http_receiver import HttpReceiver, receiving
from tests.real.support.mail_server import PASSWORD, USER, Mailbox, mail_server
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE = 20.0  # seconds: nothing here takes a tenth of it unless it is to take too long
SHORT = 0.3
FACTS = {
    "job": "backup", "run": "3574rvws8az", "outcome": "failed", "detail": "exit code 3", "exit_code": 3, "host": "web1",
    "user": "root", "command": "/usr/local/bin/backup", "log": "copying\ndisk full\n",
}  # fmt: skip
SECRET = "k3Yx9Qw7ZtLmN2pR"


def letter(kind: Kind = Kind.FAILURE, /, **facts: object) -> Letter:
    return Letter(f"3574rvws8az.{kind.value}.1a2b", kind, "backup", FACTS | facts)


def tell(
    text: str, settings: Mapping[str, str] | None = None, said: Letter | None = None, timeout: float = PATIENCE
) -> Delivery:
    (receiver,) = parse_receivers(text)
    return deliver(receiver, said or letter(), settings or {}, timeout)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def web() -> Iterator[HttpReceiver]:
    with receiving() as receiver:
        yield receiver


# web hooks


def test_a_web_hook_gets_the_facts_as_json_with_the_key_of_the_news(web: HttpReceiver) -> None:
    assert tell(f"webhook:{web.url()}") == Delivery("sent", "HTTP 200")
    (asked,) = web.asked
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Idempotency-Key"] == "3574rvws8az.failure.1a2b"
    assert asked.headers["User-Agent"].startswith("runjobs/")
    told = json.loads(asked.body)
    assert (told["kind"], told["title"], told["exit_code"]) == ("failure", "backup failed: exit code 3", 3)


def test_slack_and_ntfy_are_told_in_their_own_shapes(web: HttpReceiver) -> None:
    settings = {"TEAM": web.url(f"/services/{SECRET}"), "TOKEN": SECRET}
    assert tell("slack:@TEAM", settings).verdict == "sent"
    assert tell(f"ntfy:{web.url('/sub/ops')};token=@TOKEN", settings).verdict == "sent"
    slack, ntfy = web.asked
    assert (slack.path, list(json.loads(slack.body))) == (f"/services/{SECRET}", ["text"])
    assert (ntfy.path, json.loads(ntfy.body)["topic"]) == ("/sub/", "ops")
    assert ntfy.headers["Authorization"] == f"Bearer {SECRET}"


def test_a_login_in_a_url_is_sent_as_a_header_and_not_in_the_path(web: HttpReceiver) -> None:
    tell("webhook:@HOOK", {"HOOK": web.url().replace("//", "//ops:p%3Aw@")})
    assert web.asked[0].headers["Authorization"] == "Basic b3BzOnA6dw=="
    assert "ops" not in web.asked[0].headers["Host"]


@pytest.mark.parametrize(
    ("step", "verdict", "after"),
    [
        ("204", "sent", None),
        ("303 Location:/elsewhere", "sent", None),
        ("500", "later", None),
        ("503 Retry-After:7", "later", 7.0),
        ("429 Retry-After:120", "later", 120.0),
        ("429 Retry-After:99999999999", "later", 86_400.0),
        ("429 Retry-After:soon", "later", None),
        ("408", "later", None),
        ("400", "never", None),
        ("401", "never", None),
        ("410", "never", None),
    ],
)
def test_an_answer_is_taken_for_what_it_means(step: str, verdict: str, after: float | None) -> None:
    with receiving(step, said=b"because\n of this") as web:
        delivery = tell(f"webhook:{web.url()}")
    assert (delivery.verdict, delivery.after) == (verdict, after)
    assert step[:3] in delivery.detail
    assert ("because of this" in delivery.detail) is (verdict != "sent")


def test_a_date_to_retry_after_is_as_good_as_seconds() -> None:
    with receiving(f"429 Retry-After:{formatdate(time.time() + 500, usegmt=True).replace(' ', '_')}") as web:
        delivery = tell(f"webhook:{web.url()}")
    assert delivery.after is not None
    assert 0 < delivery.after <= 500
    with receiving("429 Retry-After:Wed,_21_Oct_2015_07:28:00_GMT") as web:
        assert tell(f"webhook:{web.url()}").after == 0


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ("reset", "Connection reset by peer"),
        ("mute", "it hung up without an answer"),
        ("babble", "does not speak HTTP"),
    ],
)
def test_a_receiver_that_fails_is_tried_later_with_the_same_key(step: str, detail: str) -> None:
    with receiving(step) as web:
        failed = tell(f"webhook:{web.url()}")
        assert (failed.verdict, detail in failed.detail) == ("later", True), failed
        assert tell(f"webhook:{web.url()}").verdict == "sent"
        assert len({asked.headers["Idempotency-Key"] for asked in web.asked}) == 1
        assert len(web.asked) == 2


@pytest.mark.parametrize("step", ["hang", "loris"])
def test_a_receiver_that_takes_its_time_is_left_when_the_time_is_over(step: str) -> None:
    with receiving(step) as web:
        assert tell(f"webhook:{web.url()}", timeout=SHORT) == Delivery("later", "it did not answer in time")
        assert step == "hang" or web.hung_up.wait(PATIENCE)


def test_a_receiver_that_takes_its_time_under_tls_is_left_as_well(certificates: Certificates) -> None:
    settings = {"SSL_CERT_FILE": str(certificates.authority)}
    with receiving("loris", tls=certificates.server) as web:
        assert tell(f"webhook:{web.url(scheme='https')}", settings, timeout=SHORT).detail == "it did not answer in time"
        assert web.hung_up.wait(PATIENCE)


def test_an_answer_without_an_end_is_not_listened_to() -> None:
    with receiving("huge") as web:
        assert tell(f"webhook:{web.url()}").verdict == "sent"
        assert web.hung_up.wait(PATIENCE)


def test_nobody_there_and_no_such_host_are_tried_later() -> None:
    with receiving() as web:
        url = web.url()
    assert tell(f"webhook:{url}") == Delivery("later", "Connection refused")
    assert "there is no host a..b" in tell("webhook:http://a..b/hook").detail


# redirects, proxies, TLS


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_the_same_host_is_followed_with_all_that_was_said(status: int) -> None:
    with receiving(f"{status} Location:/new?x=1") as web:
        assert tell(f"ntfy:{web.url('/ops')};token=@T", {"T": SECRET}).verdict == "sent"
        first, second = web.asked
    assert (second.method, second.path, second.body) == ("POST", "/new?x=1", first.body)
    assert second.headers["Authorization"] == f"Bearer {SECRET}"


def test_a_token_does_not_follow_a_redirect_to_another_host(certificates: Certificates) -> None:
    settings = {"T": SECRET, "SSL_CERT_FILE": str(certificates.authority)}
    with receiving(tls=certificates.server) as there, receiving(f"307 Location:{there.url(scheme='https')}") as web:
        assert tell(f"webhook:http://127.0.0.1:{web.port}/hook;token=@T", settings).verdict == "sent"
        assert web.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert there.asked[0].headers["Authorization"] is None


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://localhost/x",
        "http://169.254.169.254/latest",
        "http://u:p@localhost/",
        "http://[x",
        "",
    ],
)
def test_a_redirect_to_where_it_is_not_safe_is_refused_for_good(location: str) -> None:
    with receiving(f"307 Location:{location}", *["307 Location:"] * 5) as web:
        delivery = tell(f"webhook:{web.url()}")
    assert delivery.verdict == "never"
    assert "redirects" in delivery.detail


def test_a_redirect_from_tls_to_plain_text_is_refused(certificates: Certificates) -> None:
    with receiving() as plain, receiving(f"307 Location:{plain.url()}", tls=certificates.server) as web:
        delivery = tell(f"webhook:{web.url(scheme='https')}", {"SSL_CERT_FILE": str(certificates.authority)})
        assert (delivery.verdict, plain.asked) == ("never", [])


def test_redirects_in_a_circle_end() -> None:
    with receiving(*["308 Location:/hook"] * 10) as web:
        assert tell(f"webhook:{web.url()}") == Delivery("never", "it redirects more than 3 times")
        assert len(web.asked) == 4


def test_a_certificate_is_verified(certificates: Certificates) -> None:
    with receiving(tls=certificates.server) as web:
        delivery = tell(f"webhook:{web.url(scheme='https')}")
        assert (delivery.verdict, web.asked) == ("later", [])
        assert delivery.detail.startswith("its certificate can't be trusted: ")
        settings = {"SSL_CERT_FILE": str(certificates.authority)}
        other = tell(f"webhook:https://127.0.0.1:{web.port}/hook", settings)
        assert other.detail.startswith("its certificate can't be trusted: ")
        assert tell(f"webhook:{web.url(scheme='https')}", settings).verdict == "sent"


def test_a_proxy_is_asked_to_ask_unless_the_host_needs_none(web: HttpReceiver) -> None:
    with receiving() as proxy:
        settings = {"HTTP_PROXY": f"http://me:{SECRET}@127.0.0.1:{proxy.port}"}
        assert tell("webhook:http://hooks.example.org/hook?a=b", settings).verdict == "sent"
        (asked,) = proxy.asked
        assert (asked.path, asked.headers["Host"]) == ("http://hooks.example.org/hook?a=b", "hooks.example.org")
        assert asked.headers["Proxy-Authorization"].startswith("Basic ")
        for direct in ("localhost", "*", f"x, .localhost:{web.port}", f"localhost:{web.port}"):
            assert tell(f"webhook:{web.url()}", settings | {"no_proxy": direct}).verdict == "sent"
        assert len(proxy.asked) == 1


def test_tls_goes_through_a_tunnel_of_the_proxy(certificates: Certificates) -> None:
    with receiving() as proxy, receiving(tls=certificates.server) as web:
        settings = {"https_proxy": f"127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(certificates.authority)}
        assert tell(f"webhook:{web.url(scheme='https')}", settings).verdict == "sent"
        assert [(asked.method, asked.path) for asked in proxy.asked] == [("CONNECT", f"localhost:{web.port}")]
        assert len(web.asked) == 1


def test_a_proxy_that_can_not_be_one_is_told() -> None:
    delivery = tell("webhook:http://localhost/x", {"http_proxy": f"socks5://u:{SECRET}@localhost"})
    assert delivery == Delivery("later", "HTTP_PROXY is not http://host:port")


# secrets


@pytest.mark.parametrize("step", ["400", "500", "307 Location:ftp://x", "reset"])
def test_no_detail_holds_a_secret_though_the_receiver_repeats_it(step: str) -> None:
    said = f"no hook /services/{SECRET}?k=v for Bearer t0ken-of-ours, u:hunter2".encode()
    with receiving(step, said=said) as web:
        settings = {"HOOK": web.url(f"/services/{SECRET}?k=v").replace("//", "//u:hunter2@"), "T": "t0ken-of-ours"}
        for text in ("webhook:@HOOK;token=@T", f"webhook:{settings['HOOK']};token=@T"):
            detail = tell(text, settings).detail
            assert not any(secret in detail for secret in (SECRET, "t0ken-of-ours", "hunter2")), detail


@pytest.mark.parametrize(
    "text", ["webhook:@HOOK", "mail:@HOOK", "command:@HOOK", "ntfy:http://localhost/x;token=@HOOK"]
)
def test_a_secret_that_is_not_there_is_waited_for(text: str) -> None:
    delivery = tell(text)
    assert delivery.verdict == "later"
    assert delivery.detail.startswith("the secret HOOK is not set; put HOOK=")


def test_a_secret_that_can_not_be_used_is_told_without_showing_it() -> None:
    delivery = tell("ping:@HC", {"HC": SECRET})
    assert (
        delivery.detail
        == "the secret HC: this is no http or https URL; write https://host/path, with %XX for what is not ASCII"
    )


def test_an_error_of_our_own_loses_no_news() -> None:
    delivery = tell("webhook:http://localhost/", said=letter(what=object()))
    assert delivery.verdict == "later"
    assert delivery.detail.startswith("an error in runjobs itself: ")


# pings


@pytest.mark.parametrize(
    ("kind", "facts", "ending"),
    [
        (Kind.START, {}, "/start"),
        (Kind.SUCCESS, {"exit_code": 0}, ""),
        (Kind.RECOVERY, {"exit_code": 0}, ""),
        (Kind.FAILURE, {}, "/3"),
        (Kind.FAILURE, {"exit_code": 0}, "/fail"),
        (Kind.FAILURE, {"exit_code": None}, "/fail"),
        (Kind.MISSED, {"exit_code": None}, "/fail"),
        (Kind.TEST, {}, "/log"),
    ],
)
def test_a_ping_says_how_it_went_by_the_end_of_its_url(
    web: HttpReceiver, kind: Kind, facts: dict[str, object], ending: str
) -> None:
    assert tell(f"ping:{web.url('/u-u-i-d/')}", said=letter(kind, **facts)).verdict == "sent"
    (asked,) = web.asked
    path, _, query = asked.path.partition("?")
    assert path == f"/u-u-i-d{ending}"
    assert asked.body == (b"" if kind is Kind.START else b"copying\ndisk full\n")
    assert uuid.UUID(query.removeprefix("rid="))


def test_start_and_end_of_a_run_have_one_id_and_another_run_has_another(web: HttpReceiver) -> None:
    url = f"ping:{web.url('/u?create=1')}"
    for each in (
        letter(Kind.START),
        letter(Kind.FAILURE),
        letter(Kind.START, run="other"),
        letter(Kind.START, run=None),
    ):
        tell(url, said=each)
    start, end, other, none = (asked.path.partition("?")[2] for asked in web.asked)
    assert start == end != other
    assert start.startswith("create=1&rid=")
    assert none == "create=1"


def test_a_ping_without_output_has_the_facts_as_its_body(web: HttpReceiver) -> None:
    tell(f"ping:{web.url()}", said=letter(log=""))
    assert web.asked[0].body.startswith(b"backup failed: exit code 3\n")


def test_a_body_has_the_end_of_the_output_and_no_more_than_the_server_takes(web: HttpReceiver) -> None:
    long = letter(log="x" * 200_000 + "the end")
    web.script = ["200", "200 Ping-Body-Limit:50", "200", "413 Ping-Body-Limit:20", "200", "413", "200"]
    for _ in range(5):
        assert tell(f"ping:{web.url()}", said=long).verdict == "sent"
    assert [len(asked.body) for asked in web.asked] == [ping.ROOM, ping.ROOM, 50, 50, 20, 20, 0]
    assert all(asked.body.endswith(b"the end") for asked in web.asked[:-1])


# commands


def test_a_command_has_the_facts_in_its_environment_and_the_letter_on_its_input(tmp_path: Path) -> None:
    keep = f"{{ echo $RUNJOBS_KIND $RUNJOBS_JOB $RUNJOBS_EXIT_CODE; cat; }} >{tmp_path}/told"
    assert tell(f"command:{keep}", {"HOOK": SECRET}) == Delivery("sent", "exit code 0")
    first, told = (tmp_path / "told").read_text().splitlines()
    assert first == "failure backup 3"
    assert json.loads(told)["log"] == "copying\ndisk full\n"


def test_a_command_gets_neither_settings_nor_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNJOBS_SMTP", "smtps://x")
    monkeypatch.setenv("GIVEN", "yes")
    tell(f"command:env >{tmp_path}/told", {"HOOK": SECRET})
    told = (tmp_path / "told").read_text()
    assert "GIVEN=yes" in told
    assert "RUNJOBS_SMTP" not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("command", "detail"),
    [("echo no luck; exit 7", "exit code 7: no luck"), ("exit 1", "exit code 1"), ("kill -9 $$", "signal 9")],
)
def test_a_command_that_fails_is_tried_later_and_says_why(command: str, detail: str) -> None:
    assert tell(f"command:{command}") == Delivery("later", detail)


def test_a_command_that_says_much_and_reads_nothing_is_heard_to_its_end() -> None:
    delivery = tell(
        "command:head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 1", said=letter(log="y" * 500_000)
    )
    assert delivery.verdict == "later"
    assert delivery.detail.startswith("exit code 1: xxx")


def test_who_holds_the_output_of_a_command_keeps_nobody_waiting(tmp_path: Path) -> None:
    """The daemon lives until it is told: nobody ends what a command has left behind."""
    os.mkfifo(tmp_path / "end")
    assert tell(f"command:cat {tmp_path}/end >{tmp_path}/ended & exit 0").verdict == "sent"
    (tmp_path / "end").write_text("told\n")
    assert wait_until(lambda: (tmp_path / "ended").read_text() == "told\n")


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    """One child in the session, one that has left it, and one that nobody is the parent of."""
    tag = f"STAGE={tmp_path}"
    script = tmp_path / "tell"
    script.write_text(
        f"#!/bin/sh\nexport {tag}\nsleep 60 &\nsetsid sleep 60 &\n(setsid setsid sleep 60 & )\n"
        f"echo >{tmp_path}/begun\nwait\n"
    )
    script.chmod(0o755)
    delivery = tell(f"command:{script}", timeout=2)
    assert (tmp_path / "begun").exists()
    assert delivery == Delivery("later", "it took too long, and was killed")
    assert wait_until(lambda: not members(tag))


def members(tag: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                found += [pid] if tag.encode() in file.read().split(b"\0") else []
        except OSError:
            continue
    return found


# mail


def test_a_mail_goes_to_all_addresses_by_one_server() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        settings = {"RUNJOBS_SMTP": f"smtp+plain://localhost:{port}"}
        assert tell("mail:ops@example.org,root@example.org;from=cron@example.org", settings) == Delivery("sent")
    assert box.recipients == [["ops@example.org", "root@example.org"]]
    (mail,) = box.mails
    assert mail["From"] == '"(Cron Daemon)" <cron@example.org>'
    assert mail["Subject"] == "Cron <root@web1> backup failed: exit code 3 -- /usr/local/bin/backup"
    assert "disk full" in mail.get_content()


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_a_mail_goes_by_tls_with_a_login(scheme: str, certificates: Certificates) -> None:
    """The server takes none without: it speaks TLS only, or asks for STARTTLS first."""
    box = Mailbox()
    kind = {"tls": certificates.server} if scheme == "smtps" else {"starttls": certificates.server}
    with mail_server(box, login=True, **kind) as port:
        settings = {
            "RUNJOBS_SMTP": f"{scheme}://{USER}@localhost:{port}",
            "RUNJOBS_SMTP_PASSWORD": PASSWORD,
            "SSL_CERT_FILE": str(certificates.authority),
        }
        assert tell("mail:ops@example.org", settings) == Delivery("sent")
        wrong = tell("mail:ops@example.org", settings | {"RUNJOBS_SMTP_PASSWORD": "hunter2"})
        assert (wrong.verdict, wrong.detail[:3]) == ("later", "535")
        untrusted = tell("mail:ops@example.org", settings | {"SSL_CERT_FILE": ""})
        assert untrusted.detail.startswith("its certificate can't be trusted: ")
    assert (len(box.mails), box.users) == (1, [USER])


def test_a_server_without_tls_gets_neither_mail_nor_password() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        settings = {"RUNJOBS_SMTP": f"smtp://{USER}@localhost:{port}", "RUNJOBS_SMTP_PASSWORD": PASSWORD}
        delivery = tell("mail:ops@example.org", settings)
    assert (delivery.verdict, box.mails) == ("later", [])
    assert "STARTTLS" in delivery.detail
    assert "smtp+plain://" in delivery.detail


@pytest.mark.parametrize(
    ("refusals", "verdict", "detail"),
    [
        ({"data": ["451 try again"]}, "later", "451 try again"),
        ({"data": ["554 no"]}, "never", "554 no"),
        ({"ops@example.org": ["450 busy"]}, "later", "ops@example.org: 450 busy"),
        ({"ops@example.org": ["550 unknown"]}, "never", "ops@example.org: 550 unknown"),
    ],
)
def test_what_a_mail_server_says_is_taken_for_what_it_means(
    refusals: dict[str, list[str]], verdict: str, detail: str
) -> None:
    box = Mailbox(**refusals)
    with mail_server(box) as port:
        settings = {"RUNJOBS_SMTP": f"smtp+plain://localhost:{port}"}
        assert tell("mail:ops@example.org", settings) == Delivery(verdict, detail)  # type: ignore[arg-type]
        assert tell("mail:ops@example.org", settings).verdict == "sent"


def test_an_address_that_is_refused_does_not_keep_the_mail_from_the_others() -> None:
    box = Mailbox(**{"gone@example.org": ["550 unknown"]})
    with mail_server(box) as port:
        settings = {"RUNJOBS_SMTP": f"smtp+plain://localhost:{port}"}
        delivery = tell("mail:gone@example.org,ops@example.org", settings)
    assert delivery == Delivery("sent", "refused: gone@example.org: 550 unknown")
    assert box.recipients == [["ops@example.org"]]


def test_a_repeat_of_a_mail_has_the_same_message_id() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        for _ in range(2):
            tell("mail:ops@example.org", {"RUNJOBS_SMTP": f"smtp+plain://localhost:{port}"})
    assert len(box.mails) == 2
    assert len({mail["Message-ID"] for mail in box.mails}) == 1


def test_a_mail_server_that_says_nothing_is_left_when_the_time_is_over(web: HttpReceiver) -> None:
    """A web server waits for its client to speak first."""
    delivery = tell("mail:ops@example.org", {"RUNJOBS_SMTP": f"smtp+plain://localhost:{web.port}"}, timeout=SHORT)
    assert delivery.verdict == "later"
    assert "took too long" in delivery.detail or "timed out" in delivery.detail or "in time" in delivery.detail


def test_without_a_way_to_send_mail_the_way_out_is_told() -> None:
    assert (
        "RUNJOBS_SMTP is no address of a mail server" in tell("mail:root", {"RUNJOBS_SMTP": "mail.example.org"}).detail
    )
    plain = tell("mail:root", {"RUNJOBS_SMTP": f"smtp+plain://u:{SECRET}@192.0.2.1"}, timeout=SHORT)
    assert plain.verdict == "later"
    assert SECRET not in plain.detail


def test_sendmail_gets_the_mail_and_reads_the_addresses_from_it(tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\ncat >{tmp_path}/mail\n')
    program.chmod(0o755)
    settings = {"RUNJOBS_SENDMAIL": str(program)}
    assert tell("mail:ops@example.org,root;from=cron@example.org", settings) == Delivery("sent")
    assert (tmp_path / "words").read_text() == "-t -oi -f cron@example.org\n"
    text = (tmp_path / "mail").read_text()
    assert "\r" not in text
    assert "To: ops@example.org, root\n" in text


@pytest.mark.parametrize(("code", "verdict"), [(75, "later"), (67, "never"), (1, "later")])
def test_a_sendmail_that_fails_says_so_by_its_exit_code(tmp_path: Path, code: int, verdict: str) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\necho no such user >&2\nexit {code}\n")
    program.chmod(0o755)
    delivery = tell("mail:ops@example.org", {"RUNJOBS_SENDMAIL": str(program)})
    assert delivery.verdict == verdict
    assert delivery.detail == f"{program}: exit code {code}: no such user"
