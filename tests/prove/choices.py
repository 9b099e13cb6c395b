"""What the fuzzer does next, and after how long: drawn from a seed, so that the same seed does the same again."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# how often each is done; `both` kills a runner with all its guards, `all` whoever is there
ACTS = {
    "kill runner": 14,
    "kill guard": 8,
    "kill both": 3,
    "kill all": 1,
    "kill recorder": 2,
    "freeze runner": 2,
    "freeze guard": 2,
    "stop runner": 3,
    "run job": 3,
    "nothing": 1,
}
SCENE = 8  # choices until the callers change


class Scene(NamedTuple):
    """Who calls: how many try to stay in the foreground, one of which is let in, and whether passes are called too."""

    foregrounds: int
    passes: bool


SCENES = (Scene(1, passes=False), Scene(0, passes=True), Scene(1, passes=True), Scene(2, passes=False))


class Choice(NamedTuple):
    """One thing done.

    `pause` seconds after the last one, or where `on_tick` after the next full second, when jobs are due. `which` is
    the place (0 to 1) among those that it could be done to. `rest` is whether dead foregrounds stay dead meanwhile, and
    `leaves` whether new ones leave their runs alone when they are told to stop.
    """

    scene: Scene
    act: str
    pause: float
    on_tick: bool
    which: float
    how_long: float
    job: str
    cgroup: bool
    leaves: bool
    rest: bool


def choices(seed: int, jobs: Sequence[str]) -> Iterator[Choice]:
    """Choices without an end. Each draws as often as any other, so that none changes what follows it."""
    draw = random.Random(seed)
    scenes: list[Scene] = []
    for number in count():
        if number % SCENE == 0:
            scenes = scenes[1:] or draw.sample(SCENES, len(SCENES))  # each comes before any comes again
        on_tick = draw.random() < 0.5
        anytime, soon = draw.expovariate(4), draw.expovariate(25)
        yield Choice(
            scene=scenes[0],
            act=draw.choices(list(ACTS), list(ACTS.values()))[0],
            pause=soon if on_tick else anytime,
            on_tick=on_tick,
            which=draw.random(),
            how_long=draw.expovariate(1.5),
            job=draw.choice(jobs),
            cgroup=draw.random() < 0.5,
            leaves=draw.random() < 0.7,
            rest=draw.random() < 0.2,
        )
