"""One guard under test, forked by a stand-in for its runner, and what is left of its run by the kernel's own word."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runjobs.core.run import RunEnd
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Guarded:
    """A run in progress. `told` is every message so far, as (kind, fields)."""

    def __init__(self, process: subprocess.Popen[bytes], tells: int, run_id: str) -> None:
        self.runner = process
        self.run_id = run_id
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._tells = os.fdopen(tells, "rb")

    def hear(self, *kinds: str) -> dict[str, Any]:
        """Wait for a message of one of these kinds; its fields."""
        for line in self._tells:
            fields: dict[str, Any] = json.loads(line)
            kind = fields.pop("kind")
            self.told.append((kind, fields))
            if kind in kinds:
                return fields
        message = f"the guard said {self.told}, but none of {kinds}"
        raise AssertionError(message)

    def guard(self) -> int:
        """The pid of the guard."""
        return int(self.hear("Guard")["pid"])

    def end(self) -> RunEnd:
        """Wait for the end of the run."""
        return RunEnd(**self.hear("RunEnd"))

    def order(self, **order: Any) -> None:  # noqa: ANN401
        """Tell the runner what to do."""
        assert self.runner.stdin is not None
        self.runner.stdin.write(json.dumps(order).encode() + b"\n")
        self.runner.stdin.flush()

    def stop(self, **stop: Any) -> None:  # noqa: ANN401
        """Have the runner stop the job."""
        self.order(do="stop", stop=stop)

    def survivors(self) -> list[str]:
        """What lives on with this run's id in its environment."""
        return [f"{pid} {name}" for pid, name in tagged(self.run_id)]

    def close(self) -> None:
        """End whatever is left, so that no test leaves anything behind."""
        for pid, _ in tagged(self.run_id):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        assert self.runner.stdin is not None
        self.runner.stdin.close()
        if self.runner.stdout is not None:
            self.runner.stdout.close()
        if self.runner.stderr is not None:
            self.runner.stderr.close()
        self.runner.kill()
        self.runner.wait()
        self._tells.close()


def start(
    command: str,
    *,
    before: Callable[[], None] | None = None,
    streams: int | None = subprocess.DEVNULL,
    stderr: int | None = None,
    **told: Any,  # noqa: ANN401
) -> Guarded:
    """Start a run of `command`; `told` goes to the stand-in, `before` is done in its process before it is exec'd."""
    run_id = f"test-{uuid.uuid4().hex}"
    environment = {"PATH": PATH, "RUNJOBS_RUN_ID": run_id, **told.pop("environment", {})}
    facts = {"command": command, "run_id": run_id, "environment": environment, **told}
    tells, tell = os.pipe()
    script = os.memfd_create("told")
    os.pwrite(script, json.dumps(facts).encode(), 0)

    def prepare() -> None:
        os.dup2(tell, 3)
        if before is not None:
            before()

    process = subprocess.Popen(
        [sys.executable, "-m", "tests.real.support.runner_stand_in", str(script)],
        stdin=subprocess.PIPE, stdout=streams, stderr=streams if stderr is None else stderr,
        cwd=ROOT, env={"PATH": PATH, "PYTHONPATH": str(ROOT)}, pass_fds=(3, tell, script), preexec_fn=prepare,  # noqa: PLW1509
    )  # fmt: skip
    os.close(tell)
    os.close(script)
    return Guarded(process, tells, run_id)


@contextlib.contextmanager
def running(command: str, **told: Any) -> Iterator[Guarded]:  # noqa: ANN401
    """A run of `command` for the length of a block."""
    guarded = start(command, **told)
    try:
        yield guarded
    finally:
        guarded.close()


def run(command: str, **told: Any) -> RunEnd:  # noqa: ANN401
    """Run `command` to its end."""
    with running(command, **told) as guarded:
        return guarded.end()


def output_of(command: str, log: Path, **told: Any) -> str:  # noqa: ANN401
    """Run `command` and return what it said, and no mistake about it."""
    end = run(command, log=str(log), **told)
    assert end.outcome == "ok", end
    return log.read_text() if log.exists() else ""


def tagged(run_id: str) -> list[tuple[int, str]]:
    """The living processes that were given this run's id, and their names."""
    tag = f"RUNJOBS_RUN_ID={run_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            if tag in (entry / "environ").read_bytes().split(b"\0") and is_alive(pid):
                found.append((pid, (entry / "comm").read_text().strip()))
    return found


def is_alive(pid: int) -> bool:
    """Whether the process is there and more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def wait_gone(pid: int) -> bool:
    """Wait until the process is there no more."""
    return wait_until(lambda: not is_alive(pid), pause=0.01)
