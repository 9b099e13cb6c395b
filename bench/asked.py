"""What the caller of the benchmarks asked for."""

from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    """`long` takes minutes more and adds what knows minutes only; `rounds` overrides each benchmark's own number."""

    long: bool = False
    rounds: int | None = None
