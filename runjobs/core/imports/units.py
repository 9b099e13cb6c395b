"""Unit files of systemd as settings, systemd.syntax(7): sections, continued lines, drop-ins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.imports.account import Account, Counted, Fate, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.core.errors import Problem

_SECTION = re.compile(r"\[([^\]]+)\]")
_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*(.*)", re.DOTALL)


class Setting(NamedTuple):
    """One `Key=value` in a section, and where it stands."""

    section: str
    key: str
    value: str
    account: Account
    first: int
    last: int

    def carry(self) -> None:
        """It does here what it did there."""
        self.account.settle(Fate.CARRIED, self.first, self.last)

    def pass_over(self) -> None:
        """It says something to people, or something that holds here anyway."""
        self.account.settle(Fate.COMMENT, self.first, self.last)

    def lose(self, message: str, hint: str) -> None:
        """It can't be carried over."""
        self.account.lose(self.first, message, hint, self.last)

    def drop(self, message: str, hint: str) -> None:
        """It would do nothing here."""
        self.account.drop(self.first, message, hint, self.last)

    def warn(self, message: str, hint: str) -> None:
        """It was carried over, but is to be known of."""
        self.account.warn(self.first, message, hint)


class Unit:
    """One unit with its drop-ins: which settings are in force. A later one wins, an empty one clears a list."""

    def __init__(self, name: str, sources: Sequence[Source]) -> None:
        """Read the unit's file and then its drop-ins, in the order given."""
        self.name = name
        self.accounts = [Account(source) for source in sources]
        self._settings: dict[str, list[Setting]] = {}
        for account in self.accounts:
            for setting in _settings(account):
                self._take(setting)

    def _take(self, setting: Setting) -> None:
        found = self._settings.setdefault(setting.key, [])
        if not setting.value:
            for cleared in (*found, setting):
                cleared.pass_over()
            found.clear()
        else:
            found.append(setting)

    def all(self, key: str) -> list[Setting]:
        """Give the settings of a key that may be given several times."""
        return self._settings.get(key, [])

    def last(self, key: str) -> Setting | None:
        """Give the one setting of a key that is in force; those before it did nothing."""
        found = self.all(key)
        for setting in found[:-1]:
            setting.pass_over()
        return found[-1] if found else None

    def others(self, known: frozenset[str]) -> Iterator[Setting]:
        """Give all settings but those of the known keys."""
        return (setting for key, found in self._settings.items() if key not in known for setting in found)

    def close(self) -> list[Counted]:
        """Close the accounts of all its files."""
        return [account.close(lambda line: line[0] in "#;") for account in self.accounts]

    @property
    def problems(self) -> list[Problem]:
        """What is to be said of it."""
        return [problem for account in self.accounts for problem in account.problems]

    def kept(self) -> Iterator[str]:
        """Give what was not carried over, as comments."""
        return (line for account in self.accounts for line in account.kept())


def _settings(account: Account) -> Iterator[Setting]:
    section = ""
    for first, last, text in _joined(account):
        body = text.strip()
        if not body or body[0] in "#;":
            continue
        header, setting = _SECTION.fullmatch(body), _SETTING.fullmatch(body)
        if header:
            section = header[1]
            account.settle(Fate.CARRIED, first, last)
        elif setting and section:
            yield Setting(section, setting[1], setting[2].strip(), account, first, last)


def _joined(account: Account) -> Iterator[tuple[int, int, str]]:
    """Give each line with its numbers; a final backslash joins it with the next, across comments."""
    first, text = 0, ""
    for number, line in enumerate(account.lines, 1):
        if first and line.strip()[:1] in {"#", ";"}:
            account.settle(Fate.COMMENT, number)
            continue
        first = first or number
        if line.endswith("\\"):
            text += line[:-1] + " "
            continue
        yield first, number, text + line
        first, text = 0, ""
    if first:
        yield first, len(account.lines), text
