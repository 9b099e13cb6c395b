"""`runjobs notify`: a test of those who are told of jobs, and the news that waits or could not be delivered."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.cli.errors import WordError
from runjobs.cli.streams import complain
from runjobs.core.errors import FieldError, UsageError
from runjobs.core.names import ONCE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runjobs.core.job import Job
    from runjobs.core.letter import Letter
    from runjobs.core.receivers import Receiver
    from runjobs.settings import Settings

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="RECEIVER|JOB", help="With --test: only these, or those of a job.", show_default=False),
]
Test = Annotated[bool, typer.Option("--test", "-t", help="Send a test, and say how it went.")]
List = Annotated[bool, typer.Option("--list", "-l", help="Show what waits and what was given up.  [the default]")]
Retry = Annotated[bool, typer.Option("--retry", help="Try at once all that waits, and what was given up once more.")]


def notify(
    words: Words = None,
    test: Test = False,
    list_: List = False,
    retry: Retry = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> int:
    """Test who is told of jobs, or show the news that waits to be delivered, and what could not be.

    Jobs say with notify= who is told. News that can't be delivered is tried again for three days. A test goes to
    each receiver once, whatever notify-on= says, and exits 1 where one of them does not take it.

    \b
    runjobs notify --test
    runjobs notify --test backup
    runjobs notify --test mail:ops@example.org
    runjobs notify --list
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    if test + list_ + retry > 1:
        raise UsageError("--test, --list and --retry are three things", "choose one of them")
    if test:
        return try_out(settings, words or [], as_json=json)
    if words:
        raise UsageError(f"{words[0]}: receivers and jobs are named for a test", f"runjobs notify --test {words[0]}")
    if retry:
        try_again(settings, as_json=json)
    else:
        show(settings, as_json=json)
    return 0


def try_out(settings: Settings, words: Sequence[str], *, as_json: bool) -> int:
    """Send a test to each receiver, and say how it went; 1 where one of them did not take it."""
    from runjobs.runner.sender import courier

    receivers = _receivers(settings, words)
    if not receivers:
        raise UsageError("no job says who is to be told", "write #: notify=mail:ops@example.org above a job")
    carrier = courier(os.environ, Path(settings.state) / "logs")
    told: list[dict[str, str]] = []
    for receiver in receivers:
        delivery = carrier.carry(receiver, _test_letter(receiver))
        told.append({"receiver": receiver.name, "verdict": delivery.verdict, "detail": delivery.detail})
        if not as_json:
            _say(receiver.name, delivery.verdict, delivery.detail)
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({"tests": told}))
    return 0 if all(each["verdict"] == "sent" for each in told) else 1


def _say(name: str, verdict: str, detail: str) -> None:
    from runjobs.render.text import printable

    said = "sent" if verdict == "sent" else "not sent"
    print(printable(f"{name}: {said}" + (f", {detail}" if detail else "")), flush=True)


def _test_letter(receiver: Receiver) -> Letter:
    from runjobs.core.fire import milliseconds
    from runjobs.core.letter import Kind, Letter
    from runjobs.core.news import receiver_hash

    key = f"test-{milliseconds(datetime.now(UTC))}.{Kind.TEST.value}.{receiver_hash(receiver)}"
    return Letter(key, Kind.TEST, "", {"detail": "a test: this is how news of jobs arrives"})


def _receivers(settings: Settings, words: Sequence[str]) -> list[Receiver]:
    """Those that are named, those of jobs that are named, or those of all jobs; each once."""
    from runjobs.cli import asking
    from runjobs.core.receivers import parse_receivers
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    asking.mention(loaded.errors)
    known = {job.name: job for job in loaded.jobs}
    if not words:
        return list(dict.fromkeys(each for job in known.values() for each in _of_job(job)))
    found: dict[Receiver, None] = {}
    for word in words:
        if word in known:
            found |= dict.fromkeys(_of_job(known[word]))
            continue
        try:
            found |= dict.fromkeys(parse_receivers(word))
        except FieldError as error:
            raise _unknown(word, known, error) from error
    return list(found)


def _of_job(job: Job) -> Sequence[Receiver]:
    from runjobs.core.news import terms_of
    from runjobs.runner.messenger import owner

    terms = terms_of(job, owner())
    return () if terms is None else terms.receivers


def _unknown(word: str, known: Mapping[str, Job], error: FieldError) -> UsageError:
    from runjobs.core.nearest import nearest_word

    near = nearest_word(word, known)
    if ":" in word or word.startswith(ONCE_PREFIX) or not near:
        return WordError("RECEIVER|JOB", word, error)
    return UsageError(f"{word} is neither a job nor a receiver", f"runjobs notify --test {near}")


def show(settings: Settings, *, as_json: bool) -> None:
    """Print the news that waits, and what was given up."""
    from runjobs.adapters.ledger.tidings import look
    from runjobs.adapters.statefolder import folder_at
    from runjobs.render import posted

    letters = look(folder_at(Path(settings.state).absolute()).ledger)
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({"letters": [posted.as_json(each) for each in letters]}))
    elif letters:
        from runjobs.render.screen import screen_of
        from runjobs.render.table import draw

        print(draw(posted.table(letters, datetime.now(UTC)), screen_of(sys.stdout)))
        if any(each.has_failed for each in letters):
            complain("runjobs: some news was given up\n  try: runjobs notify --test; runjobs notify --retry")
    else:
        complain("runjobs: no news waits, and none was given up")


def try_again(settings: Settings, *, as_json: bool) -> None:
    """Have all of it tried at once, by a sender that goes on when this call has ended."""
    from runjobs.adapters.ledger.outbox import Outbox
    from runjobs.runner.messenger import post
    from runjobs.wiring import open_state

    folder, ledger = open_state(settings, complain)
    ledger.close()
    outbox = Outbox(folder.ledger, complain)
    try:
        number = outbox.retry(datetime.now(UTC))
    finally:
        outbox.close()
    if number and not post(folder):
        raise UsageError("no process can be made to send it", "runjobs doctor")
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({"tried": number}))
    elif not number:
        complain("runjobs: no news waits, and none was given up")
    else:
        from runjobs.render.text import counted

        print(f"{counted(number, 'letter')} {'is' if number == 1 else 'are'} tried again: runjobs notify --list")
