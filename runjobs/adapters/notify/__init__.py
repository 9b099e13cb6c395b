"""Telling: one try to deliver one letter to one receiver."""

from __future__ import annotations

import http.client
import re
import ssl
from base64 import b64encode
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from runjobs.adapters.notify.asking import RefusedError
from runjobs.adapters.notify.dialing import Deadline
from runjobs.core.addresses import hide, read_url
from runjobs.core.errors import FieldError
from runjobs.core.letter import Delivery
from runjobs.core.lettertext import line
from runjobs.core.receivers import has_secret, references, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runjobs.core.letter import Letter
    from runjobs.core.receivers import Receiver

# which module of this package serves which kind; each has `send(receiver, letter, settings, deadline)`
CHANNELS: Final = {
    "mail": "mail",
    "webhook": "webhook",
    "slack": "webhook",
    "ntfy": "webhook",
    "ping": "ping",
    "command": "command",
}
PRIVATE: Final = ("RUNJOBS_SMTP_PASSWORD", "RUNJOBS_SMTP", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
LONGEST: Final = 500  # characters of a detail
LEAST: Final = 8  # characters of a piece of a URL that may be a secret by itself


def deliver(receiver: Receiver, letter: Letter, secrets: Mapping[str, str], timeout: float) -> Delivery:
    """Try once, in `timeout` seconds at the most; never raises.

    `secrets` are the runner's environment and what the file of RUNJOBS_SECRETS adds; proxies, the mail server and
    trusted certificates are settings among them. What can be mended here is tried `later`; `never` is said by the
    receiver. The detail holds no secret.
    """
    try:
        delivery = _deliver(receiver, letter, secrets, Deadline(timeout))
    except Exception as error:  # noqa: BLE001 (whatever it is, the news must not be lost for it)
        delivery = Delivery("later", f"an error in runjobs itself: {type(error).__name__}: {error}")
    return delivery._replace(detail=line(hide(delivery.detail, _hidden(receiver, secrets)), LONGEST))


def _deliver(receiver: Receiver, letter: Letter, secrets: Mapping[str, str], deadline: Deadline) -> Delivery:
    try:
        whole = resolved(receiver, secrets)
    except FieldError as error:
        return Delivery("later", f"{error.message}; {error.hint}")
    channel = import_module(f"{__name__}.{CHANNELS[receiver.kind]}")
    try:
        delivery: Delivery = channel.send(whole, letter, secrets, deadline)
        return delivery
    except RefusedError as error:
        return Delivery("never", str(error))
    except ssl.SSLCertVerificationError as error:
        return Delivery("later", f"its certificate can't be trusted: {error.verify_message}")
    except TimeoutError:
        return Delivery("later", "it did not answer in time")
    except (OSError, http.client.HTTPException) as error:
        return Delivery("later", _problem(error))


def _problem(error: Exception) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"it does not speak HTTP: {type(error).__name__}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _hidden(receiver: Receiver, secrets: Mapping[str, str]) -> Iterator[str]:
    """Every spelling of a secret that may have found its way into an error or an answer."""
    values = [secrets[name] for name in (*references(receiver), *PRIVATE) if secrets.get(name)]
    if has_secret(receiver):
        values.append(receiver.address)
    for value in map(str.strip, values):
        yield from _spellings(value)


def _spellings(value: str) -> Iterator[str]:
    """A value, and the parts of a URL that are secret: who it is for, the login, all behind the host."""
    yield from (value, quote(value, safe=""), unquote(value))
    try:
        url = read_url(re.sub(r"^[a-z+]+://", "https://", value))
    except FieldError:
        return
    login = url.login.partition(":")[2] or url.login
    yield from (url.target, url.login, login, unquote(login), b64encode(unquote(url.login).encode()).decode())
    yield from (piece for piece in re.split("[/?&=]", url.target) if len(piece) >= LEAST)
