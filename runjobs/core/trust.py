"""Whether a jobs file can be trusted: judgements on owners and modes of files, folders and links, as values."""

from __future__ import annotations

from typing import NamedTuple

GROUP_WRITES = 0o020
OTHERS_WRITE = 0o002
STICKY = 0o1000
_TRUST = "or pass --trust-jobs if you trust who can write it"


class Facts(NamedTuple):
    """What fstat(2) says of one thing: its real path, its owner by uid and name, its permission bits."""

    place: str
    owner: int
    owner_name: str
    mode: int

    @property
    def look(self) -> str:
        """Say who owns it and with which mode."""
        return f"owner {self.who}, mode {self.mode:04o}"

    @property
    def who(self) -> str:
        """Say who the owner is."""
        return self.owner_name if self.owner_name in {"root", str(self.owner)} else f"{self.owner_name} ({self.owner})"


class Refusal(NamedTuple):
    """Why something can't be trusted, and the command that mends it."""

    message: str
    hint: str


def judge_link(link: Facts, uid: int) -> Refusal | None:
    """Judge a symlink for a runner of this uid: only root's links and our own are followed."""
    if link.owner in {0, uid}:
        return None
    return Refusal(f"the symlink {link.place} belongs to {link.who}", f"chown -h {uid} {link.place}; {_TRUST}")


def judge_folder(folder: Facts, uid: int, *, read_only: bool) -> Refusal | None:
    """Judge a folder that a jobs file lies below; `read_only` says that its file system is mounted so.

    Whoever can write a folder can put another file in the place of ours; a sticky folder forbids that, and a
    ConfigMap is mounted with mode 0777 but read-only. As root it must be root's, too: an owner can chmod.
    """
    if uid == 0 and folder.owner != 0:
        message = f"the folder {folder.place} belongs to {folder.who}, not to root"
        return Refusal(message, f"chown root {folder.place}; {_TRUST}")
    if read_only or folder.mode & STICKY or not _is_loose(folder, uid):
        return None
    message = f"others can write the folder {folder.place}: {folder.look}"
    return Refusal(message, f"chmod go-w {folder.place}; {_TRUST}")


def judge_file(file: Facts, uid: int) -> Refusal | None:
    """Judge a jobs file itself."""
    if file.owner not in {0, uid}:
        return Refusal(f"{file.place} belongs to {file.who}: {file.look}", f"chown {uid} {file.place}; {_TRUST}")
    if _is_loose(file, uid):
        return Refusal(f"others can write {file.place}: {file.look}", f"chmod go-w {file.place}; {_TRUST}")
    return None


def _is_loose(facts: Facts, uid: int) -> bool:
    """Tell whether others can write it; for root the group counts among the others.

    For another user it does not: where each user has a group of their own (umask 002) every file of theirs is
    writable by it, and refusing would refuse them all. `group_warning` tells those who share a group widely.
    """
    return bool(facts.mode & (GROUP_WRITES | OTHERS_WRITE if uid == 0 else OTHERS_WRITE))


def group_warning(file: Facts) -> Refusal | None:
    """Say of a file that was let pass that its group can write it."""
    if not file.mode & GROUP_WRITES:
        return None
    return Refusal(f"the group can write {file.place}: {file.look}", f"chmod g-w {file.place}")
