"""The three ways in, from settings to an exit code: a pass, named jobs, the foreground."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final

from runjobs import wiring
from runjobs.adapters import clock
from runjobs.cli import streams
from runjobs.core.clockwatch import STILL
from runjobs.core.errors import RunjobsError
from runjobs.core.plan import Boot, decide, look_once
from runjobs.render.problems import draw_problem
from runjobs.render.screen import screen_of
from runjobs.runner.watch import ClockWatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.job import Job
    from runjobs.runner.engine import Manner
    from runjobs.settings import Settings

BAD_FILES: Final = 78  # EX_CONFIG, sysexits(3)
FAILED: Final = 1
DAY_MS: Final = 86_400_000
TOLD: Final = "problems-told"


class Work:
    """One call of `runjobs run`: its settings and the jobs that they lead to."""

    def __init__(self, settings: Settings, *, json_lines: bool, strict: bool) -> None:
        """Load the jobs. With `strict`, RunjobsError while any file has a mistake."""
        self.settings = settings
        self.json_lines = json_lines
        self.loaded = wiring.load_jobs(settings)
        self.jobs = {job.name: job for job in self.loaded.jobs}
        if strict and self.loaded.errors:
            self._print_problems()
            raise RunjobsError("the jobs files have mistakes, and --strict was given", "runjobs check shows them")

    def run_named(self, names: Sequence[str]) -> int:
        """Run the named jobs now; problems elsewhere in the files don't matter to them."""
        jobs = [self._find(name) for name in names]
        from runjobs.cli.telling import tell_caller, tell_person
        from runjobs.runner.manual import Manual

        with wiring.engine(self.settings, self._manner("call", "live"), tell_caller, streams.complain) as engine:
            return Manual(engine, self.jobs, tell_person).run(jobs)

    def stay(self, grace: timedelta, *, leave: bool) -> int:
        """The foreground, until a signal ends it."""
        from runjobs.cli.telling import Teller
        from runjobs.runner.foreground import Foreground, OnStop

        self._print_problems()
        teller = Teller(self.settings.local, json_lines=self.json_lines)
        manner = self._manner("foreground", "json" if self.json_lines else "text")
        with wiring.engine(self.settings, manner, teller.tell, streams.complain) as engine:
            Foreground(engine, self.jobs, grace, OnStop.LEAVE if leave else OnStop.STOP).run()
            teller.flush()
        return 0

    def run_pass(self) -> int:
        """One pass. Problems of the files are told when they are new, and again once a day: cron makes mail of it."""
        folder, ledger = wiring.open_enduring(self.settings, streams.complain, is_brief=True)
        try:
            self._tell_problems(ledger)
            code = self._pass(folder, ledger) if self._has_work(ledger) else 0
        finally:
            ledger.close()
        return code or (BAD_FILES if self.loaded.errors else 0)

    def _has_work(self, ledger: Ledger) -> bool:
        """Whether a pass would write anything: if not, none of what runs jobs needs to be loaded at all."""
        look = look_once(clock.now(), Boot(*clock.boot()))
        marks = ledger.marks()
        active = [job for job in self.loaded.jobs if job.options.enabled]
        if marks.keys() - {job.name for job in active}:
            return True
        if any(decide(job, marks.get(job.name), look) for job in active) or ledger.is_unsettled():
            return True
        return ClockWatch().look(ledger) != STILL  # it is written down in time, so that nobody takes it for news

    def _pass(self, folder: StateFolder, ledger: Ledger) -> int:
        from runjobs.cli.telling import Summary
        from runjobs.runner.oneshot import run_pass

        summary = Summary(self.settings.local)
        engine = wiring.engine_on(folder, ledger, self._manner("pass", "none"), summary.tell)
        ends, heard = run_pass(engine, self.jobs)
        summary.add(ends)
        summary.print()
        if heard is not None:
            return 128 + heard
        return FAILED if summary.has_failure else 0

    def _manner(self, kind: str, passthrough: str) -> Manner:
        from runjobs.guard import Passthrough
        from runjobs.runner.engine import Manner

        most = None if kind == "call" else self.settings.most  # what a person wants now is not put off
        return Manner(kind, Passthrough(passthrough), self.settings.cwd, most)

    def _find(self, name: str) -> Job:
        if (job := self.jobs.get(name)) is not None:
            return job
        from difflib import get_close_matches

        near = get_close_matches(name, self.jobs, n=1)
        hint = f"runjobs run {near[0]}" if near else "runjobs list shows the jobs there are"
        where = ", ".join(self.settings.jobs)
        raise RunjobsError(f"there is no job {name!r} in {where}", hint, exit_code=2)

    def _print_problems(self) -> None:
        screen = screen_of(sys.stderr)
        for problem in self.loaded.problems:
            streams.complain(draw_problem(problem, screen))

    def _tell_problems(self, ledger: Ledger) -> None:
        if not self.loaded.problems and ledger.recall(TOLD):
            ledger.remember(TOLD, "")  # all is mended: the next mistake is news, though it be the same
        if not self.loaded.problems or sys.stderr.isatty():
            self._print_problems()
            return
        now = int(clock.now().timestamp() * 1000)
        mark = zlib.crc32(repr(self.loaded.problems).encode("utf-8", "surrogateescape"))
        known, _, when = (ledger.recall(TOLD) or "").partition(" ")
        if known != str(mark) or now - int(when) >= DAY_MS:
            self._print_problems()
            ledger.remember(TOLD, f"{mark} {now}")
