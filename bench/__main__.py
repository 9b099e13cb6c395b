"""Runs the benchmarks that were asked for and prints their figures: `python -m bench -k NAME`."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from bench import figures, peers
from bench.asked import Asked
from bench.machine import describe

# each module has measure(asked), which yields figures; the first line of its docstring is its help
NAMES = ("schedule", "load", "one_shot", "lag", "burst", "running_job", "idle", "kill", "history")


def main() -> None:
    """Read the command line, get the peers, measure, print."""
    asked = _parser().parse_args()
    if asked.list:
        print("\n".join(f"{name:12} {_first_line(name)}" for name in NAMES))
        return
    for sentence in peers.install():
        print(sentence, file=sys.stderr)
    print(describe(), flush=True)
    for name in NAMES:
        if asked.k in name:
            _measure(name, Asked(asked.long, asked.rounds), save=asked.save)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("-k", default="", metavar="NAME", help="only the benchmarks with NAME in theirs")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    parser.add_argument("--long", action="store_true", help="more rounds, and the peers that take minutes")
    parser.add_argument("--rounds", type=int, help="rounds, instead of each benchmark's own number")
    parser.add_argument("--save", action="store_true", help="also write bench/results/NAME.json")
    return parser


def _first_line(name: str) -> str:
    return (importlib.import_module(f"bench.{name}").__doc__ or "").splitlines()[0]


def _measure(name: str, asked: Asked, *, save: bool) -> None:
    start = time.monotonic()
    measured = figures.gather(importlib.import_module(f"bench.{name}").measure(asked))
    print(f"\n{name} ({time.monotonic() - start:.0f} s)\n{figures.table(measured)}", flush=True)
    if save:
        print(figures.save(name, describe(), measured, Path(__file__).parent / "results"))


main()
