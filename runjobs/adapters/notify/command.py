"""A command that is told: the facts in its environment, the whole letter as JSON on its standard input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from runjobs.adapters.notify.running import run
from runjobs.core.letter import Delivery
from runjobs.core.lettertext import payload, variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.adapters.notify.dialing import Deadline
    from runjobs.core.letter import Letter
    from runjobs.core.receivers import Receiver

SHELL: Final = "/bin/sh"


def send(receiver: Receiver, letter: Letter, _settings: Mapping[str, str], deadline: Deadline) -> Delivery:
    """Run the command by /bin/sh: exit code 0 is told, any other is tried again."""
    text = json.dumps(payload(letter)) + "\n"
    try:
        ran = run((SHELL, "-c", receiver.address), text, variables(letter), deadline)
    except TimeoutError:
        return Delivery("later", "it took too long, and was killed")
    if ran.code == 0:
        return Delivery("sent", "exit code 0")
    ended = f"signal {-ran.code}" if ran.code < 0 else f"exit code {ran.code}"
    return Delivery("later", f"{ended}: {ran.said}" if ran.said else ended)
