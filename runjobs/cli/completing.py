"""What may stand at the cursor: a command line that is being typed, read by the commands' own parameters."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.cli.candidates import CHOICES, SOURCES, Asked, Word
from runjobs.cli.main import STAYING
from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runjobs.cli.main import Entry

BREAKS: Final = ("=", ":")  # where bash breaks words, COMP_WORDBREAKS in bash(1)


class Typed(NamedTuple):
    """A line up to the cursor: all words but the last, the last, and how much of that the shell holds for done."""

    before: list[str]
    current: str
    done: int = 0


def complete(table: Mapping[str, Entry], words: Sequence[str], *, broken: bool = False) -> list[Word]:
    """Return what the last of the words may become, in the order to be shown.

    `broken`: words come as bash breaks them, and go back so. A word that begins with a colon stands alone, and has the
    shell complete by itself: names of files, folders or programs.
    """
    typed = _mended(words) if broken else Typed(list(words[:-1]), words[-1] if words else "")
    found = [word for word in _offered(table, typed) if _fits(word, typed.current)]
    return [word._replace(text=word.text if word.is_order else word.text[typed.done :]) for word in found]


def _fits(word: Word, current: str) -> bool:
    return word.is_order or word.text.startswith(current)


def _mended(words: Sequence[str]) -> Typed:
    """Join what bash has broken: `--outcome`, `=`, `fa` are one word, of which `fa` is what it completes."""
    joined: list[str] = []
    done = 0
    for at, word in enumerate(words):
        goes_on = at > 0 and (word in BREAKS or words[at - 1] in BREAKS)
        done = len(joined[-1]) + (word in BREAKS) if goes_on else 0
        if goes_on:
            joined[-1] += word
        else:
            joined.append(word)
    return Typed(joined[:-1], joined[-1] if joined else "", done)


def _offered(table: Mapping[str, Entry], typed: Typed) -> Iterator[Word]:
    at = next((at for at, word in enumerate(typed.before) if not word.startswith("-")), None)
    if not STAYING.isdisjoint(typed.before[:at]):
        yield from _Line("run", table["run"]).offered(typed.before, typed.current)
    elif at is None:
        yield from _top(table, typed.current)
    elif (name := typed.before[at]) in table:
        yield from _Line(name, table[name]).offered(typed.before[at + 1 :], typed.current)


def _top(table: Mapping[str, Entry], current: str) -> Iterator[Word]:
    if not current.startswith("-"):
        yield from (Word(name, entry.summary) for name, entry in table.items())
        return
    from runjobs.cli.group import build

    group = build(table)
    with group.make_context("runjobs", [], resilient_parsing=True) as context:
        yield from (word for param in group.get_params(context) for word in _spelled(param))
    params = {word: param for param in _params("run", table["run"]) for word in param.opts}
    yield from (word for option in sorted(STAYING) for word in _spelled(params[option]))


def _params(name: str, entry: Entry) -> list[Any]:
    from runjobs.cli.group import load

    command = load(name, entry)
    with command.make_context(name, [], resilient_parsing=True) as context:
        return command.get_params(context)


def _spelled(param: Any) -> Iterator[Word]:  # noqa: ANN401 an option of typer's
    """The spellings of an option, the short one last: who has typed a single - wants to see the long ones."""
    note = (param.help or "").partition("  [")[0]  # without what holds where it is not given
    yield from (Word(each, note) for each in sorted(param.opts, key=len, reverse=True))


class _Line:
    """The line of one command, read word by word as far as the cursor."""

    def __init__(self, name: str, entry: Entry) -> None:
        self.name = name
        params = _params(name, entry)
        self.options = {word: param for param in params for word in param.opts if param.param_type_name == "option"}
        self.places = [param for param in params if param.param_type_name == "argument"]
        self.given: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.pending: Any = None  # the option whose value comes next
        self.is_over = False  # after -- there are no options

    def offered(self, before: Iterable[str], current: str) -> Iterator[Word]:
        """Give what may stand at the cursor."""
        for word in before:
            self._read(word)
        option, equals, value = current.partition("=")
        if self.pending is not None:
            yield from self._values(self.pending, current)
        elif not self.is_over and equals and option in self.options:
            yield from _before(f"{option}=", self._values(self.options[option], value))
        elif current.startswith("-") and not self.is_over:
            yield from self._unused()
        elif place := self._place():
            yield from (word for word in self._values(place, current) if word.text not in self.words)
        elif not self.is_over and not self.places:
            yield from self._unused()

    def _read(self, word: str) -> None:
        option, equals, value = word.partition("=")
        if self.pending is not None:
            self._note(self.pending, word)
            self.pending = None
        elif self.is_over or not word.startswith("-") or word == "-":
            self.words.append(word)
        elif word == "--":
            self.is_over = True
        elif equals and option in self.options:
            self._note(self.options[option], value)
        elif word in self.options and not self.options[word].is_flag:
            self.pending = self.options[word]
        elif word in self.options:
            self._note(self.options[word], "")

    def _note(self, param: Any, value: str) -> None:  # noqa: ANN401 an option of typer's
        for word in param.opts:
            self.given.setdefault(word, []).append(value)

    def _unused(self) -> Iterator[Word]:
        """The options that may still be given."""
        for param in dict.fromkeys(self.options.values()):
            if param.multiple or param.opts[0] not in self.given:
                yield from _spelled(param)

    def _place(self) -> Any:  # noqa: ANN401 an argument of typer's
        """The argument that the next word is."""
        for at, place in enumerate(self.places):
            if place.nargs < 0 or at >= len(self.words):
                return place
        return None

    def _values(self, param: Any, prefix: str) -> Iterator[Word]:  # noqa: ANN401 a parameter of typer's
        asked = Asked(prefix, self.words, self.given)
        for kind in kinds(self.name, param.metavar or ""):
            if kind in SOURCES:
                with contextlib.suppress(RunjobsError, OSError):  # what can't be read has nothing to offer
                    yield from SOURCES[kind](asked)
            else:
                yield from map(Word, CHOICES.get(kind, (kind,) if kind.islower() else ()))


def kinds(command: str, metavar: str) -> list[str]:
    """What may stand for a metavar: a key of the tables of candidates, or a word to write as it is."""
    plain = metavar.replace("[", "").replace("]", "").replace("...", "")
    own = f"{command} {plain}"
    return [own] if own in SOURCES else plain.split("|")


def _before(prefix: str, words: Iterable[Word]) -> Iterator[Word]:
    return (word if word.is_order else Word(prefix + word.text, word.note) for word in words)
