"""Where the words come from that complete a line: names of jobs, ids of runs, locks, zones, outcomes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import RunjobsError
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runjobs.adapters.ledger.reading import Reader
    from runjobs.core.answers import Entry
    from runjobs.settings import Settings

MOST_RUNS: Final = 100  # a list that can still be looked through
ORDER: Final = ":"  # begins what is no word but an order to the shell


class Word(NamedTuple):
    """A word that may stand at the cursor, and what shells that can do it show beside it."""

    text: str
    note: str = ""

    @property
    def is_order(self) -> bool:
        """Whether it tells the shell to complete by itself."""
        return self.text.startswith(ORDER)


FILES: Final = Word(":files")
FOLDERS: Final = Word(":folders")
PROGRAMS: Final = Word(":programs")


class Asked(NamedTuple):
    """What was typed so far: the word at the cursor, the arguments before it, and the options with their values."""

    prefix: str
    words: Sequence[str] = ()
    given: Mapping[str, Sequence[str]] = {}

    def settings(self) -> Settings:
        """The settings that the options on the line come to."""
        from runjobs.settings import resolve

        jobs = [os.path.expanduser(path) for path in self.given.get("--jobs", ())]
        state = self.given.get("--state", [""])[-1]
        return resolve(
            jobs,
            os.path.expanduser(state) or None,
            user_column="--user-column" in self.given,
            trust_jobs="--trust-jobs" in self.given,
        )


def jobs(asked: Asked) -> Iterator[Word]:
    """The jobs of the jobs files, in their order; and once `at/` is typed, what `runjobs at` has planned."""
    from runjobs.adapters.files import read_folder
    from runjobs.core.jobnames import names_in

    if asked.prefix.startswith(ONCE_PREFIX):
        yield from planned(asked)
        return
    settings = asked.settings()
    for folder in (read_folder(path, trust=settings.trust_jobs, uid=os.geteuid()) for path in settings.jobs):
        for file in folder.files:
            names = names_in(file.text, source=file.path, user_column=settings.user_column)
            yield from (Word(name) for name in names if name.startswith(asked.prefix))


def runs(asked: Asked) -> Iterator[Word]:
    """The newest runs on record whose ids begin so; none before a letter is typed, lest they bury the jobs."""
    if not asked.prefix:
        return
    with _record(asked) as reader:
        newest = [entry for entry in reversed(reader.fires((), most=MOST_RUNS)) if entry.runs]
        found = [word for entry in newest for word in _runs_of(entry) if word.text.startswith(asked.prefix)]
        yield from found or map(Word, reader.run_ids(asked.prefix, MOST_RUNS))


def going(asked: Asked) -> Iterator[Word]:
    """What can be stopped: the jobs with a run or a fire that waits, and the runs that go on."""
    with _record(asked) as reader:
        found = reader.open_fires()
        yield from (Word(job) for job in dict.fromkeys(entry.job for entry in found))
        yield from (word for entry in found for word in _runs_of(entry, ended=False))


def paused(asked: Asked) -> Iterator[Word]:
    """The jobs that can be resumed."""
    with _record(asked) as reader:
        yield from (Word(job, pause.reason) for job, pause in reader.pauses().items())


def planned(asked: Asked) -> Iterator[Word]:
    """What is to run once."""
    with _record(asked) as reader:
        yield from (Word(each.job, f"{each.once.at:%Y-%m-%d %H:%M} UTC") for each in reader.onces())


def recorded(asked: Asked) -> Iterator[Word]:
    """The jobs, and those that are on record only."""
    found = dict.fromkeys(jobs(asked))
    with contextlib.suppress(RunjobsError), _record(asked) as reader:
        found |= dict.fromkeys(Word(name) for name in reader.jobs())
    yield from found


def planning(asked: Asked) -> Iterator[Word]:
    """Of `runjobs at`: a time, then a command; with --remove what is planned."""
    if "--remove" in asked.given:
        yield from planned(asked)
    elif asked.words:
        yield PROGRAMS
    else:
        yield from map(Word, TIMES)


def lock_names(asked: Asked) -> Iterator[Word]:
    """The names of all locks that were ever taken, and the kinds of locks."""
    from runjobs.adapters.locks import name_of
    from runjobs.adapters.statefolder import folder_at

    found = dict.fromkeys(("job", "lock", "pool", "runner"))
    with contextlib.suppress(OSError):
        for file in sorted(os.listdir(folder_at(Path(asked.settings().state)).locks)):
            found[name_of(file.partition("+")[0].partition(".")[2])] = None
    yield from (Word(name) for name in found if name)


def zones(_asked: Asked) -> Iterator[Word]:
    """The zones of this machine."""
    from zoneinfo import available_timezones

    yield from map(Word, sorted(available_timezones()))


def listed_outcomes(asked: Asked) -> Iterator[Word]:
    """A list of outcomes: what is typed of it, and each that may come next."""
    head, comma, _ = asked.prefix.rpartition(",")
    used = head.split(",")
    known = [*(outcome.value for outcome in Outcome), "trouble"]
    yield from (Word(f"{head}{comma}{each}") for each in known if each not in used)


def job_options(_asked: Asked) -> Iterator[Word]:
    """The options of jobs, as `#:` lines have them."""
    from runjobs.core.option_table import OPTIONS

    yield from (Word(f"{option.key}=", option.doc) for option in OPTIONS.values())


def receivers(_asked: Asked) -> Iterator[Word]:
    """The kinds of those who can be told of jobs."""
    from runjobs.core.receivers import KINDS

    yield from (Word(f"{kind}:") for kind in KINDS)


@contextlib.contextmanager
def _record(asked: Asked) -> Iterator[Reader]:
    """The ledger, looked at without leaving a trace."""
    from runjobs.adapters.ledger.traceless import open_traceless
    from runjobs.adapters.statefolder import folder_at

    reader = open_traceless(folder_at(Path(asked.settings().state).absolute()).ledger)
    try:
        yield reader
    finally:
        reader.close()


def _runs_of(entry: Entry, *, ended: bool = True) -> Iterator[Word]:
    for run in reversed(entry.runs):
        if ended or run.ended_at is None:
            yield Word(run.run_id, f"{entry.job}, {run.outcome or run.state}, {run.detail}".removesuffix(", "))


TIMES: Final = ("now", "today", "tomorrow", "yesterday", "noon", "midnight")
TIMES_OF_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# A metavar of an option or an argument, or a part of it between bars; where a command means its own thing, with the
# command before it. A metavar in small letters is the list of its words, and needs no entry.
SOURCES: Final[Mapping[str, Callable[[Asked], Iterator[Word]]]] = {
    "DIR": lambda _: iter((FOLDERS,)),
    "JOB": jobs,
    "KEY=VALUE": job_options,
    "OLD NEW": lambda _: iter((FILES,)),
    "PATH": lambda _: iter((FILES,)),
    "RECEIVER": receivers,
    "RUN": runs,
    "WORDS": listed_outcomes,
    "ZONE": zones,
    "at WHEN -- COMMAND": planning,
    "history JOB": recorded,
    "locks NAME": lock_names,
    "resume JOB": paused,
    "status JOB": recorded,
    "stop JOB|RUN": going,
    "why JOB": recorded,
}
CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "DAY": ("yesterday", "today", "tomorrow"),
    "KIND": ("crontab", "cron.d", "anacrontab", "systemd", "yacron"),
    "WHEN": (*TIMES, *TIMES_OF_WEEK),
    "unix:PATH": ("unix:",),
    # free text, numbers and the like: nothing to offer
    **dict.fromkeys(("-- WORD", ":PORT", "DURATION", "EXPR", "HOST:PORT", "N", "NAME", "SIZE", "TEXT", "YEAR"), ()),
}
