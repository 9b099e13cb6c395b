"""The three ways in, from settings to an exit code: a pass, named jobs, the foreground."""

from __future__ import annotations

import os
import sys
import zlib
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs import wiring
from runjobs.adapters import clock
from runjobs.cli import streams
from runjobs.core.clockwatch import STILL
from runjobs.core.errors import RunjobsError
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.plan import Boot, decide, look_once
from runjobs.core.schedule import ScheduleKind
from runjobs.render.problems import draw_problem
from runjobs.render.screen import screen_of
from runjobs.runner import messenger
from runjobs.runner.watch import ClockWatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.adapters.daemon import Link
    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.cli.logkeeping import LogKeeper
    from runjobs.cli.staying import Staying
    from runjobs.cli.telling import Teller
    from runjobs.core.job import Job
    from runjobs.runner.attending import Attendant
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
        self.source = wiring.jobs_source(settings, is_strict=strict)
        self.loaded = self.source.load_settled()
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
            self._keep_good()
            engine.onces.refresh()  # of these, too, something may have to be settled
            code = Manual(engine, engine.onces.beside(self.jobs), tell_person).run(jobs)
            messenger.see_off(engine.ledger, engine.state)
            self._publish(engine.ledger, engine.state)
        self._touch()
        return code

    def stay(self, how: Staying) -> int:
        """The foreground, or a daemon, until a signal ends it."""
        self._print_problems()
        if not how.daemon:
            return self._follow(how, None)
        from runjobs.cli.staying import as_daemon

        return as_daemon(partial(self._follow, how))

    def _follow(self, how: Staying, link: Link | None) -> int:
        from runjobs.adapters.statefolder import prepare
        from runjobs.cli.machines import Machines
        from runjobs.runner import limits
        from runjobs.runner.foreground import Foreground, Hooks, listen
        from runjobs.runner.lookout import Lookout
        from runjobs.runner.messenger import MessengerAttendant
        from runjobs.runner.onces import OnceAttendant
        from runjobs.runner.presence import present
        from runjobs.runner.reload import Reload
        from runjobs.runner.stopping import OnStop, Stopping

        root = prepare(Path(self.settings.state).absolute(), os.environ).root
        hearing = listen()  # who holds a PID file is sent signals
        with ExitStack() as stack:
            stack.enter_context(present(root, *how.pid_files))
            machines = Machines(how.metrics, stack)
            teller, output = self._teller(how, root, stack)
            manner = self._manner("foreground", output)._replace(umask=link.umask if link else None)
            logs = [how.log_file] if how.log_file else []
            manner = manner._replace(own=(*manner.own, *map(str, (*logs, *how.pid_files))))
            engine = stack.enter_context(wiring.engine(self.settings, manner, teller.tell, streams.complain))
            stopping = Stopping(engine, how.grace, OnStop.LEAVE if how.leave else OnStop.STOP)
            reload = Reload(engine, self.source, self.loaded)
            hooks = Hooks(on_usr1=teller.turn_over, on_hangup=reload.demand)
            if link is not None:
                hooks = hooks._replace(on_ready=partial(link.settle, 0))
            attendants: list[Attendant] = [*teller.attendants, OnceAttendant(engine), reload, Lookout(engine)]
            attendants.append(MessengerAttendant(engine.messenger))  # the last, which sees the jobs that others bring
            hooks, others = machines.attend(engine, hooks, self.settings.local)
            limits.warn(engine, self.loaded.jobs)
            Foreground(engine, self.jobs, stopping, hearing, attendants=[*attendants, *others], hooks=hooks).run()
            teller.flush()
        return 0

    def _teller(self, how: Staying, root: Path, stack: ExitStack) -> tuple[Teller | LogKeeper, str]:
        """Who tells the events, and where the jobs' lines go: not into a log file, which only one process writes to."""
        from runjobs.cli.staying import LOG

        path = how.log_file or (root / LOG if how.daemon else None)
        if path is None:
            from runjobs.cli.telling import Teller

            return Teller(self.settings.local, json_lines=self.json_lines), "json" if self.json_lines else "text"
        from runjobs.cli.logkeeping import LogKeeper

        keeper = LogKeeper(path, how.bounds, self.settings.local, json_lines=self.json_lines)
        return stack.enter_context(keeper), "none"

    def run_pass(self) -> int:
        """One pass. Problems of the files are told when they are new, and again once a day: cron makes mail of it."""
        folder, ledger = wiring.open_enduring(self.settings, streams.complain, is_brief=True)
        try:
            self._tell_problems(ledger)
            self._keep_good()
            code = self._pass(folder, ledger) if self._has_work(ledger) else 0
            messenger.see_off(ledger, folder)
            code = self._publish(ledger, folder) or code
        finally:
            ledger.close()
        self._touch()
        return code or (BAD_FILES if self.loaded.errors else 0)

    def _publish(self, ledger: Ledger, folder: StateFolder) -> int:
        """Write the textfile, where one is asked for and there is news; an exit code."""
        if self.settings.metrics_file is None:
            return 0
        from runjobs.cli.machines import publish

        return publish(self.settings.metrics_file, ledger, self.jobs, str(folder.ledger))

    def _touch(self) -> None:
        """The ledger is closed, by which its file may have changed: the textfile tells all of it, and says so."""
        if self.settings.metrics_file is not None:
            with suppress(OSError):  # that it can't be written has been said
                os.utime(self.settings.metrics_file)

    def _keep_good(self) -> None:
        """Write down the good versions of the jobs files, for the time when they are bad."""
        with suppress(OSError):  # a full disk, of which the ledger tells; the next call tries again
            self.source.keep(self.loaded, clock.now())

    def _has_work(self, ledger: Ledger) -> bool:
        """Whether a pass would write anything: if not, none of what runs jobs needs to be loaded at all."""
        look = look_once(clock.now(), Boot(*clock.boot()))
        marks = ledger.marks()
        active = [job for job in self.loaded.jobs if job.options.enabled]
        onces = ledger.appointed()
        if marks.keys() - {job.name for job in active} - {once.job for once in onces}:
            return True
        if any(once.at <= look.now for once in onces):
            return True
        if any(job.schedule.kind is ScheduleKind.WATCH for job in active):
            from runjobs.runner.triggers import Triggers

            triggers = Triggers(ledger, self.settings.state, lambda _: None, self._own_files())
            look = look._replace(noticed=triggers.notice(self.jobs, look))
            if triggers.again:
                return True
        if any(decide(job, marks.get(job.name), look) for job in active) or ledger.is_unsettled():
            return True
        if not messenger.is_current(ledger, self.jobs):
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
        own = self._own_files()
        return Manner(kind, Passthrough(passthrough), self.settings.cwd, most, self.settings.trust_jobs, own=own)

    def _own_files(self) -> tuple[str, ...]:
        """What every runner of these settings writes outside the state folder."""
        return (self.settings.metrics_file,) if self.settings.metrics_file is not None else ()

    def _find(self, name: str) -> Job:
        if (job := self.jobs.get(name) or self._planned(name)) is not None:
            return job
        from runjobs.core.nearest import nearest_word

        near = nearest_word(name, self.jobs)
        hint = f"runjobs run {near}" if near else "runjobs list shows the jobs there are"
        where = ", ".join(self.settings.jobs)
        raise RunjobsError(f"there is no job {name!r} in {where}", hint, exit_code=2)

    def _planned(self, name: str) -> Job | None:
        """The job of this name that `runjobs at` has planned: it may run before its time, too."""
        if not name.startswith(ONCE_PREFIX):
            return None
        from runjobs.cli.recorded import opened

        with opened(self.settings) as record:
            return record.jobs.get(name)

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
