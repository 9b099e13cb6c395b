"""One HTTP request: within a deadline, through a proxy where there is one, redirected only to where it is safe."""

from __future__ import annotations

import http.client
import time
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from runjobs import __version__
from runjobs.adapters.notify.dialing import dial, tls
from runjobs.core.addresses import Url, read_url
from runjobs.core.errors import FieldError
from runjobs.core.letter import Delivery

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from email.message import Message

    from runjobs.adapters.notify.dialing import Deadline, Line

MOST: Final = 65_536  # bytes of an answer that are read; who says more is not listened to
HOPS: Final = 3  # redirects that are followed
REDIRECTS: Final = frozenset({301, 302, 307, 308})  # a POST stays a POST: a GET would lose the news
SEE_OTHER: Final = 303  # it was taken, and something about it can be read elsewhere
# what may pass: too early, too many, and what says that it will
PASSING: Final = frozenset({408, 425, 429})
LONGEST_WAIT: Final = 86_400.0  # seconds; what asks for more is asked again in a day


class Question(NamedTuple):
    """What is asked: a POST of `body`; `private` headers go to the host that they were given for, and no other."""

    url: Url
    body: bytes
    headers: dict[str, str]
    private: dict[str, str]


class Answer(NamedTuple):
    """What was answered: the first 64 KiB of it."""

    status: int
    headers: Message
    body: bytes


class RefusedError(Exception):
    """It is of no use to ask again: the sentence says why."""


class _Connection(http.client.HTTPConnection):
    """A connection that is made by `dial`, for it and for the tunnel of a proxy."""

    def __init__(self, place: Url, deadline: Deadline) -> None:
        super().__init__(place.host.strip("[]"), place.port)
        self._create_connection = lambda address, *_: _made(address, deadline)


class _Secure(http.client.HTTPSConnection):
    """The same under TLS."""

    def __init__(self, place: Url, deadline: Deadline, context: ssl.SSLContext) -> None:
        super().__init__(place.host.strip("[]"), place.port, context=context)
        self._create_connection = lambda address, *_: _made(address, deadline)


def _made(address: tuple[str, int], deadline: Deadline) -> Line:
    return dial(*address, deadline)


def post(question: Question, settings: Mapping[str, str], deadline: Deadline) -> Answer:
    """Ask, following redirects. OSError and HTTPException: it could not be asked. RefusedError: it must not be."""
    for _ in range(HOPS + 1):
        answer = _ask(question, settings, deadline)
        if answer.status not in REDIRECTS:
            return answer
        question = _redirected(question, answer.headers.get("Location") or "")
    raise RefusedError(f"it redirects more than {HOPS} times")


def _redirected(question: Question, location: str) -> Question:
    """Follow to the same host, or to wherever it is TLS; never from TLS to plain text, or to another scheme."""
    here = question.url
    try:
        target = urljoin(f"{here.site}{here.target}", location.partition("#")[0])
        scheme = urlsplit(target).scheme
        there = read_url(target) if scheme in {"http", "https"} else None
    except ValueError:  # FieldError is one
        raise RefusedError("it redirects to what is no URL") from None
    if there is None:
        raise RefusedError("it redirects to what is no web server")
    if there.login:
        raise RefusedError("it redirects to a URL with a login in it")
    is_same = there.host == here.host
    if there.scheme == "http" and (here.scheme == "https" or not is_same):
        raise RefusedError(f"it redirects to {there.site}, which is not safe")
    return question._replace(url=there, private=question.private if is_same else {})


def _ask(question: Question, settings: Mapping[str, str], deadline: Deadline) -> Answer:
    url = question.url
    headers = {"User-Agent": f"runjobs/{__version__}", **question.headers, **question.private}
    if url.login:
        headers["Authorization"] = _basic(url.login)
    proxy = _proxy(url, settings)
    connection = _connect(url, proxy, settings, deadline)
    target = url.target
    if proxy is not None and url.scheme == "http":
        target = f"{url.site}{url.target}"
        headers |= {"Proxy-Authorization": _basic(proxy.login)} if proxy.login else {}
    try:
        connection.request("POST", target, question.body, headers | {"Host": url.place})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(MOST))
    finally:
        connection.close()


def _connect(
    url: Url, proxy: Url | None, settings: Mapping[str, str], deadline: Deadline
) -> http.client.HTTPConnection:
    if url.scheme == "http":
        return _Connection(proxy or url, deadline)
    connection = _Secure(proxy or url, deadline, tls(settings, deadline))
    if proxy is not None:
        login = {"Proxy-Authorization": _basic(proxy.login)} if proxy.login else {}
        connection.set_tunnel(url.host.strip("[]"), url.port, login)
    return connection


def _proxy(url: Url, settings: Mapping[str, str]) -> Url | None:
    """The proxy that HTTPS_PROXY or HTTP_PROXY names, in small letters too, unless NO_PROXY has the host."""
    text = _setting(settings, f"{url.scheme}_proxy")
    if not text or _is_direct(url, _setting(settings, "no_proxy")):
        return None
    try:
        proxy = read_url(text if "://" in text else f"http://{text}")
    except FieldError:
        proxy = None
    if proxy is None or proxy.scheme != "http":
        raise OSError(f"{url.scheme.upper()}_PROXY is not http://host:port")
    return proxy


def _setting(settings: Mapping[str, str], name: str) -> str:
    return settings.get(name) or settings.get(name.upper()) or ""


def _is_direct(url: Url, without: str) -> bool:
    """Whether a host is one of these, or below one of them; `*` is every host."""
    names = [name.strip().lower().lstrip(".") for name in without.split(",")]
    return any(name and (name in {"*", url.host, url.place} or url.host.endswith(f".{name}")) for name in names)


def _basic(login: str) -> str:
    """A login as a header has it, RFC 7617."""
    return f"Basic {b64encode(unquote(login).encode()).decode()}"


def judge(answer: Answer) -> Delivery:
    """What an answer means: taken, to be asked again, or refused for good."""
    status = answer.status
    if status // 100 == 2 or status == SEE_OTHER:  # noqa: PLR2004 (the 200s are success)
        return Delivery("sent", f"HTTP {status}")
    said = " ".join(answer.body[:500].decode("utf-8", "replace").split())[:200]
    detail = f"HTTP {status}" + (f": {said}" if said else "")
    if status in PASSING or status >= 500:  # noqa: PLR2004 (the 500s are trouble on their side)
        return Delivery("later", detail, wait(answer.headers.get("Retry-After") or ""))
    return Delivery("never", detail)


def wait(text: str) -> float | None:
    """Seconds to wait, from a Retry-After header in seconds or as a date; None where it says nothing of use."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
