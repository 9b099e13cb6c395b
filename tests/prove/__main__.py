"""Kills, restarts and crowds runners, and judges what came of it; `--kills 0` and its like leave a part out."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.prove import crowd, report, works
from tests.prove.callers import version_2
from tests.prove.fuzz import Fuzzer
from tests.prove.oracle import Oracle
from tests.prove.restarts import restart
from tests.prove.stage import Campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.oracle import Violation
    from tests.prove.works import Work


def main() -> int:
    """Run the parts that were asked for, one after the other; 1 when anything does not hold."""
    asked = _parser().parse_args()
    say(f"seed {asked.seed}; control groups: {'with and without' if version_2() else 'none can be written to here'}")
    chosen = tuple(work for work in works.FUZZED if not asked.only or work.name in asked.only.split(","))
    parts: dict[str, tuple[int, tuple[Work, ...], Callable[[Campaign], list[Violation]]]] = {
        "fuzz": (asked.kills, chosen, lambda campaign: _fuzz(campaign, asked.kills, asked.seed)),
        "restarts": (asked.restarts, works.RESTARTED, lambda campaign: _restart(campaign, asked.restarts, asked.seed)),
        "crowd": (asked.rounds, works.CROWDED, lambda campaign: _crowd(campaign, asked.runners, asked.rounds)),
    }
    bad = 0
    for name, (number, due, act) in parts.items():
        if number:
            bad += prove(name, due, act)
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="kill runners and guards so many times")
    parser.add_argument("--restarts", type=int, default=200, help="restart the foreground so many times under load")
    parser.add_argument("--runners", type=int, default=40, help="so many passes at once in each round")
    parser.add_argument("--rounds", type=int, default=10, help="so many rounds")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="what chance is drawn from")
    parser.add_argument("--only", default="", metavar="JOB[,JOB]", help="fuzz with these jobs alone")
    return parser


def prove(name: str, due: tuple[Work, ...], act: Callable[[Campaign], list[Violation]]) -> int:
    """One part: how many violations it has found. Its folder is kept when there are any."""
    begin = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix=f"runjobs-prove-{name}-"))
    root.chmod(0o755)
    campaign = Campaign(root, due)
    try:
        found = act(campaign)
        evidence = campaign.settle()
        found += Oracle(evidence).judge()
    finally:
        campaign.clear()
    say(f"{name}: {time.monotonic() - begin:.0f} s", *report.figures(evidence))
    if found:
        say(f"{len(found)} violations; all is kept in {root}", *report.violations(evidence, found))
    else:
        say("0 violations")
        shutil.rmtree(root)
    return len(found)


def _fuzz(campaign: Campaign, kills: int, seed: int) -> list[Violation]:
    Fuzzer(campaign, say).run(kills, seed)
    return []


def _restart(campaign: Campaign, times: int, seed: int) -> list[Violation]:
    restart(campaign, times, seed, say)
    return []


def _crowd(campaign: Campaign, runners: int, rounds: int) -> list[Violation]:
    return crowd.judge(crowd.crowd(campaign, runners, rounds, say))


def say(*lines: str) -> None:
    """Tell at once, whoever reads it."""
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
