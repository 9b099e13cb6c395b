"""The jobs of the prover: what each does, and what the oracle may hold against it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("job.sh")


class Work(NamedTuple):
    """A job that is due every so many seconds.

    `does` are the last words for job.sh. `alone` is whether no two runs of it may ever live at once, `shared` what
    it shares with other jobs: a lock, or a pool as NAME:PLACES. `leaves` is whether processes may outlive a good end.
    """

    name: str
    every: int
    does: str
    options: str = ""
    alone: bool = True
    shared: str = ""
    times_out: bool = False
    is_replaced: bool = False
    retries: int = 0
    reruns: int = 0
    after: str = ""
    leaves: bool = False

    def lines(self, root: Path) -> str:
        """Its lines in a jobs file."""
        key = "pool" if ":" in self.shared else "lock"
        given = {key: self.shared, "retries": self.retries or "", "after": self.after}
        directive = " ".join([f"name={self.name}", *(f"{name}={value}" for name, value in given.items() if value)])
        own = f"{self.name}.lock" if self.alone else "-"
        words = f"{root}/job.sh {own} {self.shared or '-'} {self.does}"
        return f"#: {directive} {self.options}\n@every {self.every}s sh {words}\n"


AGAIN = "retry-delay=300ms"
SHORT = "timeout=1s kill-after=300ms"

FUZZED = (
    Work("quick", 1, "ok 0"),
    Work("fails", 2, "fail 3"),
    Work("codes", 1, "nap 0.2"),
    Work("late", 2, "ok 0.3", "start-within=1s"),
    Work("long", 1, "nap 2.3"),
    Work("both", 1, "nap 1.6", "overlap=allow", alone=False),
    Work("daemon", 2, "daemon 3", leaves=True),
    Work("tidy", 3, "daemon 60", "leftovers=kill kill-after=300ms"),
    Work("deaf", 4, "deaf", SHORT, times_out=True),
    Work("flees", 4, "flee", SHORT, times_out=True),
    Work("tree", 3, "tree 3"),
    Work("talks", 3, "talk 400000"),
    Work("humble", 2, "nap 0.1", "nice=1"),  # what sets its niceness takes the way over a starter
    Work("left", 2, "nap 0.4", shared="hall"),
    Work("right", 2, "nap 0.4", shared="hall"),
    Work("third", 3, "third", AGAIN, retries=2),
    Work("hopeless", 4, "fail 7", AGAIN, retries=1),
    Work("rerun", 3, "nap 0.8", "on-interrupt=rerun", reruns=3),
    Work("queue", 3, "nap 2.2", "overlap=queue"),
    Work("replace", 2, "nap 2.7", "overlap=replace kill-after=300ms", is_replaced=True),
    Work("pool1", 2, "nap 0.7", shared="bath:2"),
    Work("pool2", 2, "nap 0.7", shared="bath:2"),
    Work("pool3", 2, "nap 0.7", shared="bath:2"),
    Work("dump", 3, "nap 0.4"),
    Work("report", 3, "ok 0.1", after="dump"),
    Work("all", 2, "ok 0.1", "catchup=all start-within=1s"),
    Work("last", 2, "ok 0.1", "catchup=last start-within=1s"),
)

RESTARTED = tuple(
    Work(f"{kind}{seconds:g}", max(1, round(seconds * 1.2)), f"nap {seconds:g}", options, alone=options == "")
    for seconds in (0.1, 0.4, 1, 3, 8, 30)
    for kind, options in (("skip", ""), ("allow", "overlap=allow"))
)
CROWDED = tuple(Work(f"crowd{number}", 5, "ok 0.1") for number in range(12))


def jobs_file(works: tuple[Work, ...], root: Path) -> str:
    """The jobs file of a stage in `root`."""
    return f"#: defaults cwd={root}\n" + "".join(work.lines(root) for work in works)
