"""Files of yacron and cronstable taken over: the settings of each job, with the defaults of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.imports import yacronwords
from runjobs.core.imports.account import Account, Fate, Source, Taken
from runjobs.core.imports.draft import Draft
from runjobs.core.imports.secrets import has_secret, is_secret
from runjobs.core.imports.shelltext import assignment, quote
from runjobs.core.imports.yacronwords import SHELL, Words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from runjobs.core.imports.nodes import Node, Pair

_ENVIRONMENT = "environment"
_MAPS = frozenset({"failsWhen", "onFailure", "onFailure.retry"})
_TOP = {
    "web": "runjobs status and runjobs stop do it from a shell",
    "include": "import the included files, too, and copy their defaults",
    "logging": "runjobs run --foreground --log-format json",
}


class _Given(NamedTuple):
    """A setting as given: the pair it stands in, and its value."""

    pair: Pair
    node: Node


def take_yacron(source: Source, document: Node, name: str, taken: Collection[str] = ()) -> Taken:
    """Make a jobs file of a yacron or cronstable file; `document` is its text, read.

    `name` is that of the file to write, `taken` are names of jobs that must not be used again.
    """
    return _Taking(source, document, taken).take(name)


class _Taking:
    """One file on its way."""

    def __init__(self, source: Source, document: Node, taken: Collection[str]) -> None:
        self.account = Account(source)
        self.draft = Draft(source.path, taken)
        self.document = document
        self.defaults: dict[str, _Given] = {}
        self.common: dict[str, str] = {}
        self.shell = SHELL
        self.said: set[tuple[int, str]] = set()

    def take(self, name: str) -> Taken:
        self.draft.remark("As yacron has it: in UTC unless a zone is given, and runs of one job beside each other.")
        self.draft.remark("It counts a job as failed that writes to standard error; runjobs goes by the exit code.")
        for pair in sorted(self.document.pairs or (), key=lambda pair: pair.key == "jobs"):
            if pair.key == "jobs" and pair.node.items is not None:
                self.account.settle(Fate.CARRIED, pair.first)
                for item in pair.node.items:
                    self._job(item)
            elif pair.key == "defaults" and pair.node.pairs is not None:
                self.account.settle(Fate.CARRIED, pair.first)
                self._defaults(pair.node)
            else:
                hint = _TOP.get(pair.key, "see what it does, and write it by hand")
                self._lose(pair, f"runjobs has nothing like {pair.key}", hint)
        counted = self.account.close(lambda line: line[0] == "#" or line in {"---", "..."})
        self.draft.add("", *self.account.kept())
        text = self.draft.text
        return Taken(name, text, self.draft.jobs, tuple(self.account.problems), (counted,), has_secret(text))

    def _lose(self, pair: Pair, message: str, hint: str) -> None:
        if (pair.first, message) not in self.said:
            self.said.add((pair.first, message))
            self.account.lose(pair.first, message, hint, pair.last)

    def _defaults(self, node: Node) -> None:
        self.defaults = {key: given for key, given in self._flat(node) if key != _ENVIRONMENT}
        self._read(self.defaults, Words())
        for pair in node.pairs or ():
            if pair.key == _ENVIRONMENT:
                self.common = self._environment(pair, own=False)
        for key, value in self.common.items():
            self.draft.add(assignment(key, value))

    # one job

    def _job(self, item: Node) -> None:
        pairs = {pair.key: pair for pair in item.pairs or ()}
        settings = {key: given for key, given in self._flat(item) if key != _ENVIRONMENT}
        words = Words()
        self._read({**self.defaults, **settings}, words)
        own = self._environment(pairs[_ENVIRONMENT], own=True) if _ENVIRONMENT in pairs else {}
        if "env-file" in words.options:
            own = {**self.common, **own}  # there a variable wins over the file, here it would not
        missing = [key for key, there in (("schedule", words.schedule), ("command", words.command)) if not there]
        if missing:
            message = f"this job has no {' and no '.join(missing)} that runjobs can use"
            self.account.lose(item.first, message, "write it by hand", item.last)
            return
        try:
            self._add(pairs["name"].node.text if "name" in pairs else None, words, own)
        except FieldError as error:
            self.account.lose(item.first, error.message, error.hint, item.last)

    def _add(self, called: str | None, words: Words, own: Mapping[str, str]) -> None:
        if words.shell != self.shell:
            self.draft.add(f"SHELL={words.shell}")
            self.shell = words.shell
        exports = " ".join(f"{key}={quote(value)}" for key, value in own.items())
        command = f"export {exports}; {words.command}" if exports else words.command
        self.draft.add_job(called or "job", words.schedule, command, words.options)

    def _read(self, settings: Mapping[str, _Given], words: Words) -> None:
        for key, (pair, node) in settings.items():
            try:
                known = yacronwords.take(words, key, node)
            except FieldError as error:
                self._lose(pair, error.message, error.hint)
                continue
            if known is None:
                self._lose(pair, f"runjobs has nothing like {key}", yacronwords.hint(key))
            else:
                self.account.settle(known, pair.first, pair.last)
        words.settle()

    def _flat(self, node: Node, prefix: str = "") -> Iterator[tuple[str, _Given]]:
        """Give each setting with its place, such as `onFailure.retry.maximumRetries`."""
        for pair in node.pairs or ():
            key = prefix + pair.key
            if key in _MAPS and pair.node.pairs is not None:
                self.account.settle(Fate.CARRIED, pair.first)
                yield from self._flat(pair.node, f"{key}.")
            else:
                yield key, _Given(pair, pair.node)

    def _environment(self, pair: Pair, *, own: bool) -> dict[str, str]:
        """Read a list of `key` and `value`; a job's own go into its command, where no secret may stand."""
        found: dict[str, str] = {}
        self.account.settle(Fate.CARRIED, pair.first)
        for item in pair.node.items or ():
            entry = {each.key: each.node.text or "" for each in item.pairs or ()}
            name, value = entry.get("key", ""), entry.get("value", "")
            try:
                _check(name, value, own=own)
            except FieldError as error:
                self.account.lose(item.first, error.message, error.hint, item.last)
                continue
            found[name] = value
            self.account.settle(Fate.CARRIED, item.first, item.last)
            if is_secret(name, value):
                self.account.warn(item.first, f"{name} looks like a secret", "write env-file=PATH above the jobs")
        return found


def _check(name: str, value: str, *, own: bool) -> None:
    assignment(name, value)
    if own and is_secret(name, value):
        raise FieldError(f"{name} looks like a secret", "write env-file=PATH above the job")
