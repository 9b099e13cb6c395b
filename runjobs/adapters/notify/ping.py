"""Pings, as Healthchecks and those that do as it does take them: the end of a URL says how a run went."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from runjobs.adapters.notify.asking import Question, judge, post
from runjobs.core.addresses import read_url
from runjobs.core.letter import Kind
from runjobs.core.lettertext import body, clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.adapters.notify.asking import Answer
    from runjobs.adapters.notify.dialing import Deadline
    from runjobs.core.addresses import Url
    from runjobs.core.letter import Delivery, Letter
    from runjobs.core.receivers import Receiver

ROOM: Final = 100_000  # bytes of a body, unless the server says otherwise
TOO_LARGE: Final = 413
_SPACE: Final = uuid.UUID("2a5b1b3e-6d0e-4f0c-9b7a-52756e6a6f62")  # of run ids, which are no UUIDs themselves
_rooms: dict[str, int] = {}  # what servers have said, for as long as this process lasts


def send(receiver: Receiver, letter: Letter, settings: Mapping[str, str], deadline: Deadline) -> Delivery:
    """Ping; the body is the end of the output, and the run's id tells its start from others'."""
    url = read_url(receiver.address)
    answer = _ping(url, letter, settings, deadline)
    if answer.status == TOO_LARGE and _room(url) < ROOM:  # now it has said how much it takes
        answer = _ping(url, letter, settings, deadline)
    return judge(answer)


def _ping(url: Url, letter: Letter, settings: Mapping[str, str], deadline: Deadline) -> Answer:
    said = _said(letter).encode()
    room = _room(url)
    # the last lines say how it ended
    question = Question(_place(url, letter), said[-room:] if room else b"", {"Content-Type": "text/plain"}, {})
    answer = post(question, settings, deadline)
    told = (answer.headers.get("Ping-Body-Limit") or "").strip()
    if told.isascii() and told.isdigit():
        _rooms[url.site] = min(int(told[:9]), ROOM)
    elif answer.status == TOO_LARGE:
        _rooms[url.site] = 0
    return answer


def _room(url: Url) -> int:
    return _rooms.get(url.site, ROOM)


def _said(letter: Letter) -> str:
    log = clean(str(letter.facts.get("log") or ""))
    return "" if letter.kind is Kind.START else log or body(letter)


def _place(url: Url, letter: Letter) -> Url:
    """The URL of this ping: `/start`, nothing for success, `/3` or `/fail`; `/log` where it changes nothing."""
    path, question, query = url.target.partition("?")
    ending = _ending(letter)
    run = letter.facts.get("run")
    identity = f"rid={uuid.uuid5(_SPACE, str(run))}" if run else ""  # Healthchecks takes UUIDs only
    words = "&".join(filter(None, (query if question else "", identity)))
    return url._replace(target=path.rstrip("/") + ending + (f"?{words}" if words else ""))


def _ending(letter: Letter) -> str:
    match letter.kind:
        case Kind.START:
            return "/start"
        case Kind.SUCCESS | Kind.RECOVERY:
            return ""
        case Kind.FAILURE | Kind.MISSED:
            code = letter.facts.get("exit_code")
            return f"/{code}" if isinstance(code, int) and 0 < code < 256 else "/fail"  # noqa: PLR2004 (what wait(2) knows)
        case _:
            return "/log"
