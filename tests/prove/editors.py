"""People and tools that edit a jobs file at random, each in their way, and know what is to be in force afterwards.

Every version of a file has all its jobs' names end in its number, so what a runner says of jobs that come and go
tells which version is in force, and whether it is whole.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.real.support.command_line import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

JOBS: Final = 6  # of each version of a file
MODE: Final = 0o644
LOOSE: Final = 0o002  # so that others can write it, which is refused


class Edit(NamedTuple):
    """One edit of a file: how, from when to when, and which version is to be in force after it (0: none).

    `is_bad`: what was in force before it stays so.
    """

    file: str
    way: str
    begin: float
    end: float
    version: int
    is_bad: bool = False


def content(file: str, version: int) -> str:
    return "".join(f"#: name={file}/{number}/v{version}\n@daily true {version}\n" for number in range(JOBS))


class Editor:
    """One jobs file and who edits it: knows what is to be in force after each edit."""

    def __init__(self, folder: Path, name: str, draw: Random) -> None:
        """Begin with version 1."""
        self.path = folder / name
        self.name = name
        self._draw = draw
        self._number = 1
        self._good = 1
        self._before = 0
        self._is_bad = False
        self._write(content(name, 1))

    def edit(self) -> Edit:
        """Edit the file in some way."""
        ways: Sequence[Callable[[], None]] = (
            *(self.in_place, self.in_halves, self.rename_over, self.aside_and_anew, self.sed, self.cp, self.mv),
            *(self.swap, self.delete, self.undo, self.spoil, self.spoil, self.chmod),
            *([self.vim] if shutil.which("vim") else []),
        )
        way = self._draw.choice(ways)
        begin = time.time()
        way()
        end = time.time()
        is_loose = self.path.exists() and bool(self.path.stat().st_mode & LOOSE)
        return Edit(self.name, way.__name__, begin, end, self._good, self._is_bad or is_loose)

    def _next(self) -> str:
        """The text of a new good version, which is to be in force."""
        self._number += 1
        self._before, self._good, self._is_bad = self._good, self._number, False
        return content(self.name, self._number)

    def _write(self, text: str) -> None:
        if self.path.is_symlink():
            self.path.unlink()
        self.path.write_text(text)
        self.path.chmod(MODE)

    def _there(self) -> None:
        """See that there is a plain file to edit."""
        if self.path.is_symlink() or not self.path.exists():
            self._write("")

    def in_place(self) -> None:
        self._write(self._next())

    def in_halves(self) -> None:
        text = self._next()
        middle = self._draw.randrange(1, len(text))
        self._there()
        with self.path.open("w") as file:
            file.write(text[:middle])
            file.flush()
            time.sleep(self._draw.uniform(0, 0.4))
            file.write(text[middle:])
        self.path.chmod(MODE)

    def rename_over(self) -> None:
        self._draft(self._next()).rename(self.path)

    def _draft(self, text: str) -> Path:
        draft = self.path.with_name(f".{self.name}.new")
        draft.write_text(text)
        draft.chmod(MODE)
        return draft

    def aside_and_anew(self) -> None:
        self._there()
        self.path.rename(f"{self.path}~")
        self._write(self._next())

    def sed(self) -> None:
        self._write(content(self.name, self._good)) if self._good else self._there()
        before, text = self._good, self._next()
        if not before:
            self._write(text)
            return
        script = f"s/v{before}$/v{self._good}/; s/true {before}$/true {self._good}/"
        subprocess.run(["sed", "-i", script, str(self.path)], check=True)

    def vim(self) -> None:
        self._there()
        self.path.chmod(MODE)
        text = self._next()
        commands = ["set nocompatible", "%delete", "0put! =$NEW", "$delete", "wq!"]
        words = [word for command in commands for word in ("-c", command)]
        subprocess.run(
            ["vim", "-u", "NONE", "-es", *words, str(self.path)],
            env=environment(NEW=text, TERM="dumb"), check=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def cp(self) -> None:
        self._there()
        draft = self._draft(self._next())
        subprocess.run(["cp", str(draft), str(self.path)], check=True)
        self.path.chmod(MODE)
        draft.unlink()

    def mv(self) -> None:
        draft = self._draft(self._next())
        subprocess.run(["mv", "-f", str(draft), str(self.path)], check=True)

    def swap(self) -> None:
        """As a kubelet does it: the file is a link through `..data`, which is replaced."""
        text, folder = self._next(), self.path.parent
        version = folder / f"..{self.name}-{self._number}"
        version.mkdir(mode=0o755)
        (version / "jobs").write_text(text)
        (version / "jobs").chmod(MODE)
        fresh, data = folder / f"..{self.name}-new", folder / f"..{self.name}-data"
        fresh.symlink_to(version.name)
        fresh.rename(data)
        link = folder / f".{self.name}.link"
        link.symlink_to(f"{data.name}/jobs")
        link.rename(self.path)

    def delete(self) -> None:
        if self.path.is_symlink() or self.path.exists():
            self.path.unlink()
        self._before, self._good, self._is_bad = self._good or self._before, 0, False

    def undo(self) -> None:
        """Write the version before this one again."""
        back = self._before or self._good
        if not back:
            self.in_place()
            return
        self._before, self._good, self._is_bad = self._good or back, back, False
        self._write(content(self.name, back))

    def spoil(self) -> None:
        """A new version with a mistake in it: what is in force stays so."""
        if not self._good:  # a file that was never good runs its good jobs, which is not what is tried here
            self.in_place()
            return
        self._number += 1
        self._is_bad = True
        self._write(content(self.name, self._number) + "75 * * * * true\n")

    def chmod(self) -> None:
        """Let others write it, or take that back."""
        if self._good and self.path.exists():
            self.path.chmod(self.path.stat().st_mode & 0o777 ^ LOOSE)
        else:
            self.in_place()
