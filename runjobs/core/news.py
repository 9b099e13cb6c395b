"""What is news: from how a fire ended, what came before it, and what its job wants to have told."""

from __future__ import annotations

import hashlib
import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.core.fire import from_milliseconds
from runjobs.core.job import NotifyOn
from runjobs.core.letter import Kind, Letter
from runjobs.core.outcome import Outcome
from runjobs.core.receivers import Receiver, addressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runjobs.core.job import Job

FAILURES: Final = frozenset(
    outcome.value for outcome in (Outcome.FAILED, Outcome.TIMEOUT, Outcome.ERROR, Outcome.INTERRUPTED)
)
MISSES: Final = frozenset({"down", "late", "suspended"})  # reasons; a superseded fire was made up for by a newer one
PING: Final = "ping"  # the kind of receivers that are told of each start and each end, to notice when none comes
TELLING: Final = ("notify", "notify_on", "expect_within", "slow_after", "user")  # options that terms are made of
LONGEST: Final = 500  # characters of a command in the ledger: letters quote it, they don't run it
FEWEST: Final = 10  # runs that went well, before it can be said what is usual
SLOWER: Final = 3  # times what is usual
LEAST: Final = timedelta(seconds=10)  # longer than usual: of jobs that take moments, three times that is nothing


class Terms(NamedTuple):
    """What is to be told of a job, and to whom; spans in seconds. `about` are the facts that all its letters have."""

    receivers: tuple[Receiver, ...]
    on: frozenset[NotifyOn]
    expect: float | None
    slow_after: float | None
    about: dict[str, Any]

    @property
    def wants_all(self) -> bool:
        """Whether an end that is like the one before may be news: the ledger need not keep the others for us."""
        return self.has_pings or not self.on.isdisjoint({NotifyOn.ALWAYS, NotifyOn.SLOW})

    @property
    def has_pings(self) -> bool:
        """Whether starts are news as well."""
        return any(receiver.kind == PING for receiver in self.receivers)


class Standing(NamedTuple):
    """How it stands with a job as its receivers know it: failures in a row, and whether a lapse was told."""

    failures: int = 0
    has_lapsed: bool = False


class Occasion(NamedTuple):
    """What happened to a job; times in milliseconds since the epoch.

    `what` is `start`, `end` or `lapse`: it has not gone well for as long as it may. `id` is the run's, "" where there
    was none. `usual` is how long its runs take, in seconds, as `usual_of` has it; `facts` are for the letter.
    """

    what: str
    job: str
    at: int
    scheduled_at: int = 0
    id: str = ""
    outcome: str = ""
    reason: str = ""
    seconds: float | None = None
    usual: float | None = None
    facts: dict[str, Any] = {}  # noqa: RUF012 (never written to)


def terms_of(job: Job, owner: str) -> Terms | None:
    """What is to be told of a job; None: nothing. `owner` is who it runs as where it does not say."""
    options = job.options
    if not is_told(job):
        return None
    user = options.user or owner
    receivers = addressed(options.notify, dict(job.environment), user)
    about = {"schedule": job.schedule.expression, "command": job.command[:LONGEST], "user": user}
    expect, slow = options.expect_within, options.slow_after
    return Terms(
        receivers,
        options.notify_on,
        expect.total_seconds() if expect else None,
        slow.total_seconds() if slow else None,
        about,
    )


def is_told(job: Job) -> bool:
    """Whether anything of a job is to be told, or to be watched for."""
    options = job.options
    return options.enabled and (bool(options.notify) or options.expect_within is not None)


def mark_of(jobs: Iterable[Job], owner: str) -> str:
    """What changes with the terms of any of these jobs; "" of none. Of options and variables that jobs share once."""
    shared: dict[int, str] = {}
    mark = 0
    for job in jobs:
        options, variables = id(job.options), id(job.environment)
        if options not in shared:
            shared[options] = repr([getattr(job.options, name) for name in TELLING])
        if variables not in shared:
            shared[variables] = repr([pair for pair in job.environment if pair[0].startswith("MAIL")])
        words = (job.name, job.schedule.expression, job.command, shared[options], shared[variables])
        mark = zlib.crc32("\0".join(words).encode("utf-8", "surrogateescape"), mark)
    return f"{owner} {mark:08x}" if mark else ""


def to_text(terms: Terms) -> str:
    """What a store keeps of it; receivers as they were written, so a secret is there by its name."""
    facts = terms._asdict() | {"on": sorted(kind.value for kind in terms.on)}
    return json.dumps(facts, separators=(",", ":"), sort_keys=True)


def from_text(text: str) -> Terms:
    """Read what `to_text` wrote."""
    facts = json.loads(text)
    facts["on"] = frozenset(map(NotifyOn, facts["on"]))
    facts["receivers"] = tuple(receiver_from(row) for row in facts["receivers"])
    return Terms(**facts)


def receiver_text(receiver: Receiver) -> str:
    """A receiver as a store keeps it."""
    return json.dumps(receiver, separators=(",", ":"))


def receiver_from(row: Sequence[Any]) -> Receiver:
    """Read it again, from its JSON."""
    kind, address, options = row
    return Receiver(kind, address, tuple((name, value) for name, value in options))


def receiver_hash(receiver: Receiver) -> str:
    """What stands for a receiver where its address must not be seen."""
    return _hash(receiver_text(receiver))


def letters_of(terms: Terms, standing: Standing, occasion: Occasion) -> Iterator[tuple[Receiver, Letter]]:
    """The letters that an occasion leads to, one for each receiver at the most."""
    told = kind_of(terms, standing, occasion)
    pinged = ping_of(occasion)
    for receiver in terms.receivers:
        kind = pinged if receiver.kind == PING else told
        if kind is not None:
            key = f"{_name(occasion)}.{kind.value}.{receiver_hash(receiver)}"
            yield receiver, Letter(key, kind, occasion.job, facts_of(terms, standing, occasion))


def kind_of(terms: Terms, standing: Standing, occasion: Occasion) -> Kind | None:
    """What an occasion is to people; None: no news."""
    on, outcome = terms.on, occasion.outcome
    if occasion.what == "lapse":
        return Kind.MISSED
    if occasion.what == "start":
        return None
    if outcome in FAILURES:
        is_first = standing.failures == 0
        wanted = {NotifyOn.ALWAYS, NotifyOn.FAILURE, *([NotifyOn.CHANGE] if is_first else [])}
        return Kind.FAILURE if wanted & on else None
    if outcome == Outcome.MISSED.value:
        is_news = occasion.reason in MISSES and on & {NotifyOn.ALWAYS, NotifyOn.MISSED}
        return Kind.MISSED if is_news else None
    return _kind_of_success(terms, standing, occasion) if outcome == Outcome.OK.value else None


def _kind_of_success(terms: Terms, standing: Standing, occasion: Occasion) -> Kind | None:
    on = terms.on
    if (standing.failures or standing.has_lapsed) and on & {NotifyOn.ALWAYS, NotifyOn.CHANGE, NotifyOn.RECOVERY}:
        return Kind.RECOVERY
    if is_slow(terms, occasion) and on & {NotifyOn.ALWAYS, NotifyOn.SLOW}:
        return Kind.SLOW
    return Kind.SUCCESS if NotifyOn.ALWAYS in on else None


def ping_of(occasion: Occasion) -> Kind | None:
    """What an occasion is to who counts pings: each start and each end of a run, so that a missing one is noticed.

    One that a person stopped did not go well either. That it has lapsed they find out by themselves.
    """
    if occasion.what == "start":
        return Kind.START
    if occasion.what == "lapse" or not occasion.id or occasion.outcome == Outcome.SKIPPED.value:
        return None
    return Kind.SUCCESS if occasion.outcome == Outcome.OK.value else Kind.FAILURE


def is_slow(terms: Terms, occasion: Occasion) -> bool:
    """Whether a run took longer than its job says, or, where that says nothing, much longer than is usual."""
    if occasion.seconds is None:
        return False
    if terms.slow_after is not None:
        return occasion.seconds > terms.slow_after
    return occasion.usual is not None and occasion.seconds > max(
        SLOWER * occasion.usual, occasion.usual + LEAST.total_seconds()
    )


def usual_of(seconds: Sequence[float]) -> float | None:
    """How long nearly all of these runs took: the 95th percentile; None of too few."""
    return sorted(seconds)[len(seconds) * 95 // 100] if len(seconds) >= FEWEST else None


def after(standing: Standing, occasion: Occasion) -> Standing:
    """How it stands after an occasion; what was stopped, skipped or missed changes nothing."""
    if occasion.what == "lapse":
        return standing._replace(has_lapsed=True)
    if occasion.what == "start":
        return standing
    if occasion.outcome in FAILURES:
        return standing._replace(failures=standing.failures + 1)
    return Standing() if occasion.outcome == Outcome.OK.value else standing


def facts_of(terms: Terms, standing: Standing, occasion: Occasion) -> dict[str, Any]:
    """All that can be said of it; what is not known is left out."""
    facts = {"job": occasion.job, "run": occasion.id, "outcome": occasion.outcome, "reason": occasion.reason}
    more = {"seconds": occasion.seconds, "usual_seconds": occasion.usual}
    failures = after(standing, occasion).failures or standing.failures
    known = {name: value for name, value in (facts | more).items() if value not in {None, ""}}
    when = {"scheduled_at": iso(occasion.scheduled_at)} if occasion.scheduled_at else {}
    return known | when | terms.about | occasion.facts | ({"failures": failures} if failures else {})


def iso(milliseconds: int) -> str:
    """An instant as letters have it."""
    return from_milliseconds(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name(occasion: Occasion) -> str:
    """What an occasion is called in keys: the same whoever works it out, and whenever."""
    if occasion.id:
        return occasion.id
    if occasion.what == "lapse":
        return f"lapse-{_hash(occasion.job)}-{occasion.at}"
    return f"fire-{_hash(occasion.job)}-{occasion.scheduled_at}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
