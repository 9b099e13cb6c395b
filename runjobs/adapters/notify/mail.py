"""Mail: composed as cron's is, sent by an SMTP server or by the machine's own sendmail."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import smtplib
import socket
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from runjobs.adapters.notify.dialing import dial, tls
from runjobs.adapters.notify.running import run
from runjobs.core.addresses import is_address, read_addresses
from runjobs.core.letter import Delivery
from runjobs.core.lettertext import body, line, subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.adapters.notify.dialing import Deadline, Line
    from runjobs.core.letter import Letter
    from runjobs.core.receivers import Receiver

# where cron looks for it, and where it was in older times
SENDMAIL: Final = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+plain": 25}
_SERVER: Final = re.compile(
    r"(smtps?|smtp\+plain)://(?:([^:/@\s]*)(?::([^/@\s]*))?@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?"
)
_HERE: Final = re.compile(r"localhost|127\.[0-9.]+|\[::1\]")
# sysexits(3): what a mail program says will not get better; EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST
_FOR_GOOD: Final = frozenset({64, 65, 67, 68})
_DENIED: Final = frozenset({530, 534, 535, 538})  # RFC 4954: a person can mend the login


class Server(NamedTuple):
    """A mail server: `smtps` is TLS from the start, `smtp` STARTTLS, `smtp+plain` none; a login where `user` is set."""

    scheme: str
    user: str
    password: str
    host: str
    port: int

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that nobody listens on the way."""
        return _HERE.fullmatch(self.host) is not None


def send(receiver: Receiver, letter: Letter, settings: Mapping[str, str], deadline: Deadline) -> Delivery:
    """Send one mail to all of the receiver's addresses."""
    said = settings.get("RUNJOBS_SMTP", "").strip()
    server = read_server(said, settings.get("RUNJOBS_SMTP_PASSWORD", "")) if said else None
    if said and server is None:
        way = "write smtps://user@host, smtp://host:587 or smtp+plain://host, and %40 for an @ in the user"
        return Delivery("later", f"RUNJOBS_SMTP is no address of a mail server; {way}")
    message = compose(receiver, letter, server.user if server else "")
    if server is None:
        return _hand_over(receiver, message, letter, settings, deadline)
    try:
        return _transmit(server, message, settings, deadline)
    except smtplib.SMTPException as error:
        return _refused(error)


def read_server(text: str, password: str = "") -> Server | None:
    """Read `smtps://user@host:465`; the password may stand in it or, better, beside it. None: it can't be read."""
    match = _SERVER.fullmatch(text)
    if match is None:
        return None
    scheme, user, within, host, port = match.groups()
    number = int(port) if port else PORTS[scheme]
    if not 0 < number < 2**16:
        return None
    return Server(scheme, unquote(user or ""), unquote(within or "") or password.strip("\r\n"), host.lower(), number)


def compose(receiver: Receiver, letter: Letter, login: str = "") -> EmailMessage:
    """The mail, with the headers that cron sends; `login` is whom the mail server knows us by.

    Nothing that a job says can become a header: each is one line, and set by itself. There is no `X-Cron-Env`, since
    an environment holds secrets.
    """
    host = _domain(str(letter.facts.get("host") or ""))
    user = str(letter.facts.get("user") or "root")
    sender = dict(receiver.options).get("from") or (login if "@" in login and is_address(login) else f"{user}@{host}")
    about = subject(letter)
    # a line can have 998 characters, RFC 5322, and filters look for `Subject: Cron <` in one; encoded words are short
    longest = 300 if about.isascii() else 78
    message = EmailMessage(policy=WIRE.clone(cte_type="7bit", max_line_length=longest))
    message["From"] = _address(sender if is_address(sender) else f"root@{host}", "(Cron Daemon)")
    message["To"] = [_address(each) for each in read_addresses(receiver.address)]
    message["Subject"] = about
    message["Date"] = formatdate(localtime=True)
    # the same on every repeat, so that a mail that came twice is shown once
    key = hashlib.blake2b(letter.key.encode("utf-8", "replace"), digest_size=16)
    message["Message-ID"] = f"<{key.hexdigest()}@{host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from people who are on holiday
    message["Precedence"] = "bulk"
    message["X-Runjobs-Kind"] = letter.kind.value
    if job := line(letter.job):
        message["X-Runjobs-Job"] = job
    message.set_content(body(letter))
    return message


def _address(text: str, name: str = "") -> Address:
    user, _, domain = text.partition("@")
    return Address(name, user, domain)


def _domain(host: str) -> str:
    """A host's name as it can stand in an address and a Message-ID."""
    return re.sub(r"[^A-Za-z0-9.-]", "", host).strip(".-") or "localhost"


class _Session(smtplib.SMTP):
    """A session over a connection that is made by `dial`."""

    def __init__(self, server: Server, settings: Mapping[str, str], deadline: Deadline) -> None:
        self._server, self._settings, self._deadline = server, settings, deadline
        # named here, or smtplib asks a name service for it, which may take long
        super().__init__(server.host.strip("[]"), server.port, local_hostname=_domain(socket.gethostname()))

    def _get_socket(self, host: str, port: int, _timeout: float) -> Line | Any:  # noqa: ANN401 (ssl's, by its name)
        plain = dial(host, port, self._deadline)
        if self._server.scheme != "smtps":
            return plain
        try:
            return tls(self._settings, self._deadline).wrap_socket(plain, server_hostname=host)
        finally:
            plain.close()  # where it was wrapped, its descriptor is another's now


def _transmit(server: Server, message: EmailMessage, settings: Mapping[str, str], deadline: Deadline) -> Delivery:
    session = _Session(server, settings, deadline)
    try:
        session.ehlo_or_helo_if_needed()
        if server.scheme == "smtp":  # or nobody could tell a server without TLS from a stranger on the way
            session.starttls(context=tls(settings, deadline))
            session.ehlo()
        if server.user:
            if server.scheme == "smtp+plain" and not server.is_here:
                return Delivery("later", "smtp+plain sends no passwords to other machines; write smtps:// or smtp://")
            session.login(server.user, server.password)
        refused = session.send_message(message)
        with contextlib.suppress(OSError, smtplib.SMTPException):  # it has the mail, whatever becomes of the goodbye
            session.quit()
    finally:
        session.close()
    return Delivery("sent", f"refused: {_replies(refused)}" if refused else "")


def _replies(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address}: {_reply(code, said)}" for address, (code, said) in refused.items())


def _reply(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"


def _refused(error: Exception) -> Delivery:
    """What a mail server means: 4xx is for now, 5xx for good, but for logins, which a person can mend."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            is_final = all(code // 100 == 5 for code, _ in recipients.values())  # noqa: PLR2004 (RFC 5321, 4.2.1)
            return Delivery("never" if is_final else "later", _replies(recipients))
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=said):
            is_ours = isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError)  # it is about this mail
            is_final = is_ours and code // 100 == 5 and code not in _DENIED  # noqa: PLR2004 (RFC 5321, 4.2.1)
            return Delivery("never" if is_final else "later", _reply(code, said))
        case smtplib.SMTPNotSupportedError():
            return Delivery("later", f"{error}; where it has no TLS and needs none write smtp+plain://")
    return Delivery("later", str(error) or type(error).__name__)


def _hand_over(
    receiver: Receiver, message: EmailMessage, letter: Letter, settings: Mapping[str, str], deadline: Deadline
) -> Delivery:
    """Give it to sendmail, which reads the addresses from the headers: none is on its command line."""
    program = settings.get("RUNJOBS_SENDMAIL") or next(filter(os.path.exists, SENDMAIL), "")
    if not program:
        way = "name a mail server with RUNJOBS_SMTP=smtps://user@host, or install a mail program"
        return Delivery("later", f"there is neither a sendmail here nor RUNJOBS_SMTP; {way}")
    sender = dict(receiver.options).get("from")
    words = (program, "-t", "-oi", *(("-f", sender) if sender else ()))
    text = message.as_string(policy=message.policy.clone(linesep="\n"))
    ran = run(words, text, {"RUNJOBS_KEY": letter.key}, deadline)
    if ran.code == 0:
        return Delivery("sent")
    verdict = Delivery("never" if ran.code in _FOR_GOOD else "later", f"{program}: exit code {ran.code}")
    return verdict._replace(detail=f"{verdict.detail}: {ran.said}") if ran.said else verdict
