"""A stage for runners and their jobs: who belongs to it is known by its folder, and all leave with the curtain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import stat, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stage(NamedTuple):
    """A place whose jobs, guards and runners can be found, living or left behind."""

    place: Place

    @property
    def root(self) -> Path:
        """Where jobs may leave their marks."""
        return self.place.root

    def jobs(self, text: str) -> None:
        """Write the jobs file; each job has the folder's name in its environment, and starts there."""
        self.place.write("jobs", f"STAGE={self.root}\n#: defaults cwd={self.root} kill-after=5s\n{text}")

    def members(self) -> list[int]:
        """The living processes of this stage: runners and guards by their command line, jobs by their environment."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._has(pid)]

    def _has(self, pid: int) -> bool:
        found = stat(pid)
        if found is None or found.state in "ZX" or pid == os.getpid():
            return False
        said = b""
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                said += Path(f"/proc/{pid}/{name}").read_bytes()
        return os.fsencode(self.root) in said

    def clear(self) -> None:
        """Kill whoever is left."""

        def kill() -> bool:
            for pid in self.members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.members()

        assert wait_until(kill, 30)

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 (as Popen has them)
        """Start `runjobs run WORDS`; its stderr is kept in the file `err` unless told otherwise."""
        with (self.root / "err").open("ab") as said:
            streams = dict[str, Any](stdin=SILENT, stdout=SILENT, stderr=said) | streams
            started: subprocess.Popen[bytes] = subprocess.Popen(
                self.place.command("run", *words), env=environment(), **streams
            )
            return started

    @contextlib.contextmanager
    def foreground(self, *words: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401
        """A foreground runner, whose events are JSON lines in the file `out`."""
        with (self.root / "out").open("ab") as out:
            streams = dict[str, Any](stdout=out) | streams
            runner = self.start("--foreground", "--log-format", "json", *words, **streams)
        with runner:
            try:
                yield runner
            finally:
                runner.kill()

    def events(self, name: str = "", **facts: object) -> list[dict[str, Any]]:
        """The events told so far, those of one name and with these facts."""
        path = self.root / "out"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        told = [json.loads(line) for line in lines]
        return [each for each in told if name in ("", each["event"]) and facts.items() <= each.items()]

    def heard(self, name: str, **facts: object) -> bool:
        """Wait until such an event is told."""
        return wait_until(lambda: self.events(name, **facts))

    def exists(self, name: str) -> bool:
        """Wait until a job has left this mark."""
        return wait_until((self.root / name).exists)

    @property
    def err(self) -> str:
        """What runners have said on stderr so far."""
        path = self.root / "err"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def stage_in(folder: Path) -> Iterator[Stage]:
    """A stage below this folder, which is empty when it is left."""
    stage = Stage(Place(folder))
    try:
        yield stage
    finally:
        stage.clear()
