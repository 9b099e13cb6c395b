"""A real SMTP server, with STARTTLS, TLS and logins, that answers as its script says."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import threading
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import EmailMessage

USER, PASSWORD = "ops", "c0rrect horse"


class Mailbox:
    """What arrived; `refusals` are answers to addresses, and to the data for the key `.`: one for each time."""

    def __init__(self, **refusals: list[str]) -> None:
        """Begin with nothing."""
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.users: list[str] = []
        self.refusals: dict[str, list[str]] = dict(refusals)

    def _refusal(self, key: str) -> str | None:
        answers = self.refusals.get(key)
        return answers.pop(0) if answers else None

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: ANN401, N802 (as aiosmtpd has it)
        """Take an address, unless the script says otherwise."""
        if answer := self._refusal(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: ANN401, N802 (as aiosmtpd has it)
        """Take a mail, unless the script says otherwise."""
        if answer := self._refusal("data"):
            return answer
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:  # noqa: ANN401 (as aiosmtpd has it)
        """Let the one user in."""
        is_known = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        self.users += [USER] if is_known else []
        return AuthResult(success=is_known, handled=False)


@contextlib.contextmanager
def mail_server(
    mailbox: Mailbox, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[int]:
    """The server's port, until the end."""
    words: dict[str, Any] = {"require_starttls": starttls is not None, "tls_context": starttls}
    if login:
        # under `tls` the server does not know that it speaks TLS, and warns of whoever requires a login without
        is_known = starttls is not None
        words |= {"authenticator": mailbox.login, "auth_required": is_known, "auth_require_tls": is_known}
    loop = asyncio.new_event_loop()
    serving = loop.create_server(lambda: SMTP(mailbox, loop=loop, **words), "127.0.0.1", 0, ssl=tls)
    server = loop.run_until_complete(serving)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    """Hang up on everybody."""
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
