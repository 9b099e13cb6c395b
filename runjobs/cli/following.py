"""`runjobs logs -f`: the output of runs while they go on, over their ends, and of the runs that come after them."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.adapters.joblog.following import Follower
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.reading import open_reader
from runjobs.adapters.statefolder import folder_at
from runjobs.cli import logs, streams
from runjobs.cli.logs import Source
from runjobs.cli.recorded import Recorded
from runjobs.render.glyphs import color_of
from runjobs.render.output import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.core.answers import Attempt
    from runjobs.render.output import Lines
    from runjobs.settings import Settings

PAUSE: Final = 0.25  # seconds between two looks: soon enough for who reads, little for who runs
# a run is on record this long after the time that its id tells, at the very most: a pass over a slow disk
LATE: Final = timedelta(minutes=1)


class Followed:
    """The runs that are followed just now."""

    def __init__(self, settings: Settings, jobs: Sequence[str], output: Lines, lines: int) -> None:
        """Follow these jobs from run to run; begin with the last `lines` of what was said before."""
        self._state = folder_at(Path(settings.state).absolute())
        self._jobs = list(jobs)
        self._output = output
        self._lines = lines
        self._open: dict[str, tuple[Source, Follower]] = {}
        self._seen: set[str] = set()
        self._since = datetime.now(UTC) - LATE
        self._trouble = ""

    def run(self, found: Sequence[Source]) -> None:
        """Follow until nothing can come any more: runs that were named end, jobs never do."""
        self._begin(found)
        while self._jobs or self._open:
            streams.flush()
            time.sleep(PAUSE)
            self._look()

    def _begin(self, found: Sequence[Source]) -> None:
        """Show the end of what is there; runs that began a moment ago and are not among it are left to the past."""
        for source in found:
            self._take_on(source)
            _, follower = self._open[source.run.run_id]
            self._put(source, last_lines(follower.read(), self._lines))
        logs.say_what_is_missing(self._jobs, found)
        with self._record() as record:
            if record is not None:
                begun = record.reader.runs_begun(self._jobs, self._since)
                self._seen |= {run.run_id for job, run in begun if run.ended_at is not None}
                self._settle(record, is_first=True)

    def _look(self) -> None:
        """Take on runs that have begun, show what all have said, and let go of those that are over."""
        with self._record() as record:
            if record is not None:
                for job, run in record.reader.runs_begun(self._jobs, self._since):
                    if run.run_id not in self._seen:
                        logs.announce(f"{job}: run {run.run_id} begins")
                        self._take_on(Source(job, run, record.log_of(run)))
                self._since = max(self._since, datetime.now(UTC) - LATE)
                self._settle(record)
        for source, follower in self._open.values():
            for piece in follower.read():
                self._put(source, piece)

    def _take_on(self, source: Source) -> None:
        self._seen.add(source.run.run_id)
        self._open[source.run.run_id] = (source, Follower(source.path))

    def _settle(self, record: Recorded, *, is_first: bool = False) -> None:
        """Finish the runs that are over: an end is on record only after the log is whole."""
        for run_id in list(self._open):
            source, follower = self._open[run_id]
            entry = record.reader.run(run_id)
            if entry is not None and self._goes_on(record, entry.runs[0]):
                continue
            del self._open[run_id]
            rest = follower.finish()
            for piece in (last_lines(rest, self._lines),) if is_first else rest:
                self._put(source, piece)
            follower.close()
            logs.write(self._output.end(run_id, source.job))
            if entry is not None:
                self._tell_end(Source(source.job, entry.runs[0], source.path))

    def _goes_on(self, record: Recorded, run: Attempt) -> bool:
        return run.ended_at is None and record.is_alive(run)  # one that ends just now is told at the next look

    def _tell_end(self, source: Source) -> None:
        if source.run.ended_at is None:
            logs.announce(f"{source.job}: nobody watches over run {source.run.run_id} any more")
        else:
            logs.announce(logs.ending(source, datetime.now(UTC)), color_of(source.run.outcome) or "dim")

    def _put(self, source: Source, data: bytes) -> None:
        logs.write(self._output.add(source.run.run_id, source.job, data))

    @contextlib.contextmanager
    def _record(self) -> Iterator[Recorded | None]:
        """The record as it is now, opened anew: it may be begun, or set aside, at any time. None: not to be read."""
        try:
            reader = open_reader(self._state.ledger, announce=streams.complain)
        except LedgerError as error:
            self._tell_trouble(error)
            yield None
            return
        try:
            yield Recorded({}, reader, self._state)
        except LedgerError as error:
            self._tell_trouble(error)
        finally:
            reader.close()

    def _tell_trouble(self, error: LedgerError) -> None:
        if error.message != self._trouble:
            logs.announce(error.message)
        self._trouble = error.message
