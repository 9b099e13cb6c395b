"""One campaign's folder, from an empty one to a judgement: the jobs, a first pass, the end of all, the evidence."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.prove import present
from tests.prove.callers import PASS, Callers, Signalled, version_2
from tests.prove.evidence import Evidence, gather
from tests.prove.works import jobs_file
from tests.real.support import ledger
from tests.real.support.command_line import Place
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.prove.works import Work

LONGEST = 120  # seconds until what has not ended counts as hanging


class Campaign:
    """A stage on which works are due, with those who call and with what was done to them."""

    def __init__(self, root: Path, works: tuple[Work, ...]) -> None:
        """Write the jobs, and make a first pass: from here on every due time counts."""
        root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        self.place = Place(root)
        self.callers = Callers(self.place)
        self.kills: list[Signalled] = []
        self.jobs = [work.name for work in works]
        self._works = works
        self.place.write("jobs", jobs_file(works, root))
        (root / "job.sh").write_bytes(Path(__file__).with_name("job.sh").read_bytes())
        self.hangs: list[str] = []
        self._pass()
        self._first = time.time() * 1000

    def _pass(self) -> None:
        self.callers.start(PASS)
        self.hangs += [f"a pass hangs: pid {each.process.pid}" for each in self.callers.dismiss(LONGEST)]

    def kill(self, kind: str, one: present.Present) -> bool:
        """Kill a guard or a recorder; whether it was there."""
        at = time.time() * 1000
        if not one.send(signal.SIGKILL):
            return False
        self.kills.append(Signalled(kind, one.pid, at))
        return True

    def settle(self) -> Evidence:
        """Have all end that goes on, make a last pass, and gather what is known."""
        root = self.place.root
        self.hangs += [f"a call hangs: pid {each.process.pid}" for each in self.callers.dismiss(LONGEST)]
        if not wait_until(lambda: not present.guards(root), LONGEST):
            self.hangs += [f"a guard hangs: {guard}" for guard in present.guards(root)]
        last = time.time() * 1000
        self._pass()
        if not wait_until(lambda: not present.guards(root) and not present.recorders(root), LONGEST):
            self.hangs += [f"a guard hangs: {guard}" for guard in present.guards(root)]
        evidence = Evidence(self._works, self._first, last, calls=self.callers.past, kills=self.kills)
        evidence.stops = self.callers.stops
        evidence.troubles += self.hangs
        (root / "kills").write_text("".join(f"{kill.at:.0f} {kill.kind} {kill.pid}\n" for kill in self.kills))
        gather(evidence, root)
        evidence.groups = len(self._groups(row["id"] for row in evidence.runs))
        return evidence

    def clear(self) -> None:
        """End whoever is left of the stage, and remove the control groups of its runs."""
        Stage(self.place).clear()
        self.callers.look()
        for group in self._groups(row["id"] for row in ledger.runs(self.place.state)):
            with contextlib.suppress(OSError):
                os.rmdir(group)

    def _groups(self, runs: Iterable[str]) -> list[str]:
        """The control groups of these runs that are there."""
        ours = {f"runjobs-{run}" for run in runs}
        found = os.walk(version_2() or os.devnull)
        return [f"{folder}/{group}" for folder, groups, _ in found for group in ours.intersection(groups)]
