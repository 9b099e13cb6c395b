"""Whether a file can be trusted: judgements on owners, modes and kinds of files, folders and links, as values."""

from __future__ import annotations

import stat
from typing import NamedTuple

GROUP_WRITES = 0o020
OTHERS_WRITE = 0o002
OTHERS_READ = 0o004
STICKY = 0o1000
_TRUST = "or pass --trust-jobs if you trust who can write it"
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symlink",
}


class Facts(NamedTuple):
    """What fstat(2) says of one thing: its real path, its owner by uid and name, its permission bits.

    `names` is how many names (hard links) it has; `read_only` says that its file system is mounted so.
    """

    place: str
    owner: int
    owner_name: str
    mode: int
    names: int = 1
    read_only: bool = False

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


class Eyes(NamedTuple):
    """Who judges: the uid that runs what stands in a file, and a second one that is trusted with it as well.

    An env-file may belong to the user that the job runs as; a jobs file has no second.
    """

    uid: int
    also: int | None = None

    @property
    def trusted(self) -> set[int | None]:
        """Whose files may be read."""
        return {0, self.uid, self.also}

    @property
    def closed(self) -> int:
        """The bits that must not be set, for root the group's too.

        For another user the group may write: where each user has a group of their own (umask 002) every file of
        theirs is writable by it, and refusing would refuse them all. `group_warning` tells those who share a group.
        """
        return GROUP_WRITES | OTHERS_WRITE if self.uid == 0 else OTHERS_WRITE


def judge_kind(file: Facts, kind: int) -> Refusal | None:
    """Judge what kind of thing it is, by its mode as stat(2) has it: only regular files are read."""
    if stat.S_ISREG(kind):
        return None
    return Refusal(f"{file.place} is {kind_name(kind)}, not a file: {file.look}", f"rm {quoted(file.place)}")


def kind_name(kind: int) -> str:
    """Say what a mode of stat(2) is the mode of, such as `a FIFO`."""
    return _KINDS.get(stat.S_IFMT(kind), "something else")


def judge_link(link: Facts, eyes: Eyes) -> Refusal | None:
    """Judge a symlink: only root's links and our own are followed.

    Not those of an env-file's second owner: root would read for them what they may not read themselves.
    """
    if link.owner in {0, eyes.uid}:
        return None
    return Refusal(f"the symlink {link.place} is not ours: {link.look}", f"chown -h {_mender(eyes, link)}; {_TRUST}")


def judge_folder(folder: Facts, eyes: Eyes) -> Refusal | None:
    """Judge a folder that a file lies below.

    Whoever can write a folder can put another file in the place of ours; a sticky folder forbids that, and a
    ConfigMap is mounted with mode 0777 but read-only. As root it must be root's, too: an owner can chmod.
    """
    if eyes.uid == 0 and folder.owner not in eyes.trusted:
        message = f"the folder {folder.place} is not root's: {folder.look}"
        return Refusal(message, f"chown {_mender(eyes, folder)}; {_TRUST}")
    if folder.read_only or folder.mode & STICKY or not folder.mode & eyes.closed:
        return None
    message = f"others can write the folder {folder.place}: {folder.look}"
    return Refusal(message, f"chmod go-w {quoted(folder.place)}; {_TRUST}")


def judge_file(file: Facts, eyes: Eyes) -> Refusal | None:
    """Judge a jobs file or an env-file itself.

    Of several names of one file only the one that we know was judged, so there must be no other; but where all is
    mounted read-only, none was made by a stranger: stores of packages and image layers save room with them.
    """
    path = quoted(file.place)
    if file.owner not in eyes.trusted:
        whose = "root's" if eyes.uid == 0 else "ours"
        return Refusal(f"{file.place} is not {whose}: {file.look}", f"chown {_mender(eyes, file)}; {_TRUST}")
    if file.mode & eyes.closed:
        return Refusal(f"others can write {file.place}: {file.look}", f"chmod go-w {path}; {_TRUST}")
    if file.names > 1 and not file.read_only:
        message = f"{file.place} is a hard link, one of {file.names} names of its file: {file.look}"
        copy = quoted(f"{file.place}.tmp")  # a name that is no jobs file's
        return Refusal(message, f"cp -p {path} {copy} && mv {copy} {path}; {_TRUST}")
    return None


def group_warning(file: Facts) -> Refusal | None:
    """Say of a file that was let pass that its group can write it."""
    if not file.mode & GROUP_WRITES:
        return None
    return Refusal(f"the group can write {file.place}: {file.look}", f"chmod g-w {quoted(file.place)}")


def secret_warning(file: Facts) -> Refusal | None:
    """Say of an env-file, whose folders anybody may enter, that anybody can read it; its group may be meant to."""
    if not file.mode & OTHERS_READ:
        return None
    message = f"others can read the env-file {file.place}: {file.look}"
    return Refusal(message, f"chmod o-r {quoted(file.place)}")


def quoted(path: str) -> str:
    """A path as a shell reads it: a stranger may have chosen the name that we tell somebody to mend."""
    import shlex  # for refusals alone

    return shlex.quote(path)


def _mender(eyes: Eyes, facts: Facts) -> str:
    return f"{'root' if eyes.uid == 0 else eyes.uid} {quoted(facts.place)}"
