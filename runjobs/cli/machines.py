"""Who asks besides people: a scraper, a supervisor, the reader of a textfile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from runjobs.cli import streams
from runjobs.cli.errors import INPUT_OUTPUT
from runjobs.core.endpoint import Endpoint, parse_endpoint
from runjobs.core.errors import FieldError, RunjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from datetime import tzinfo

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.job import Job
    from runjobs.runner.attending import Attendant
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Hooks

VARIABLE: Final = "RUNJOBS_METRICS"
BAD_SETTING: Final = 78  # EX_CONFIG, sysexits(3)


def read_endpoint(given: str | None, environ: Mapping[str, str]) -> Endpoint | None:
    """Where metrics are to be served, by the option or the variable; None: nowhere. UsageError; a path is absolute."""
    text = given if given is not None else environ.get(VARIABLE) or None
    if text is None:
        return None
    try:
        found = parse_endpoint(text)
    except FieldError as error:
        named = "--metrics" if given is not None else VARIABLE
        raise UsageError(f"{named}: {error.message}", error.hint) from error
    return found._replace(path=os.path.abspath(found.path)) if found.path else found


class Machines:
    """What a foreground has for them. To be made before anything copies the environment."""

    def __init__(self, endpoint: Endpoint | None, stack: ExitStack) -> None:
        """Take the socket, and what the supervisor has said; `stack` lets go of it. RunjobsError where it is taken."""
        from runjobs.adapters.sdnotify import take_notifier

        self._notifier = take_notifier(os.environ)
        self._endpoint = endpoint
        self._listener = None
        if endpoint is not None:
            from runjobs.adapters.exposition.listening import listen

            try:
                self._listener = listen(endpoint)
            except OSError as error:
                message = f"metrics can't be served on {endpoint}: {error.strerror or error}"
                hint = "name another address with --metrics, or leave that out"
                raise RunjobsError(message, hint, exit_code=BAD_SETTING) from error
            stack.callback(self._listener.close)

    def attend(self, engine: Engine, hooks: Hooks, zone: tzinfo | None) -> tuple[Hooks, list[Attendant]]:
        """The hooks with what is told to a supervisor, and who attends; they come after whoever reads files anew."""
        attendants: list[Attendant] = []
        if self._listener is None and self._notifier is None:
            return hooks, attendants
        from runjobs.runner.health import Health

        health = Health(engine)
        if self._endpoint is not None and self._listener is not None:
            from runjobs.runner.telemetry import Telemetry

            attendants.append(Telemetry(engine, health, self._endpoint, self._listener))
        if self._notifier is not None:
            from runjobs.runner.supervised import Supervised

            supervised = Supervised(engine, health, self._notifier, zone)
            attendants.append(supervised)
            hooks = supervised.hooked(hooks)
        return hooks, attendants


def publish(path: str, ledger: Ledger, jobs: Mapping[str, Job], file: str) -> int:
    """Write the textfile, if the ledger, which is in `file`, knows more than it; an exit code."""
    from runjobs.adapters import textfile
    from runjobs.adapters.ledger import LedgerError

    try:
        if textfile.is_older(path, (file, f"{file}-wal")):
            from runjobs.runner import exposing

            exposing.publish(path, ledger, jobs)
    except LedgerError as error:
        streams.complain(f"runjobs: the metrics file {path} stays as it was: {error.message}")
    except OSError as error:
        streams.complain(f"runjobs: the metrics file {path} can't be written: {error.strerror}")
        streams.complain("  try: a path with --metrics-file in a folder that is there and may be written to")
        return INPUT_OUTPUT
    return 0
