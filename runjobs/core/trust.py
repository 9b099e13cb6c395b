"""Whether a file can be trusted: judgements on owners, modes and kinds of files, folders and links, as values."""

from __future__ import annotations

import stat
from typing import NamedTuple

GROUP_WRITES = 0o020
OTHERS_WRITE = 0o002
OTHERS_READ = 0o004
STICKY = 0o1000
REPLACE = "replace the link by a file"
MOVE_JOBS = "move the jobs to /etc/runjobs/jobs.d"
MOVE_ENV = "move the env-file to a folder of root's"
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


class Judge(NamedTuple):
    """Who judges: the uid that runs what stands in a file, and a second one that is trusted with it as well.

    An env-file may belong to the user that the job runs as; a jobs file has no second.
    """

    uid: int
    also: int | None = None

    @property
    def name(self) -> str:
        """Whom a file should belong to, as chown(1) takes it."""
        return str(self.uid or "root")

    @property
    def trusted(self) -> set[int | None]:
        """Whose files may be read."""
        return {0, self.uid, self.also}

    @property
    def is_for_another(self) -> bool:
        """Whether another user is given what is read: what that one may not read must not be led to."""
        return self.also not in {None, 0, self.uid}

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


def judge_link(link: Facts, judge: Judge, *, trust: bool = False) -> Refusal | None:
    """Judge a symlink: only root's links and our own are followed, and with `trust` those of others.

    Never those of an env-file's second owner: root would read for them what they may not read themselves. So would it
    if such a link became root's.
    """
    is_led = judge.is_for_another and link.owner == judge.also
    if link.owner in {0, judge.uid} or (trust and not is_led):
        return None
    message = f"the symlink {link.place} is not ours: {link.look}"
    if judge.is_for_another:
        return Refusal(message, REPLACE if is_led else f"{REPLACE}; {_TRUST}")
    return Refusal(message, _mend(f"chown -h {judge.name}", link, judge))


def judge_folder(folder: Facts, judge: Judge, *, is_named: bool = False) -> Refusal | None:
    """Judge a folder that a file lies below.

    Whoever can write a folder can put another file in the place of ours; a sticky folder forbids that, and a
    ConfigMap is mounted with mode 0777 but read-only. As root it must be root's, too: an owner can chmod.
    `is_named`: it is the jobs folder itself. One above may be a person's home, which nobody wants to give away.
    """
    if judge.uid == 0 and folder.owner not in judge.trusted:
        message = f"the folder {folder.place} is not root's: {folder.look}"
        away = MOVE_JOBS if judge.also is None else MOVE_ENV
        return Refusal(message, _mend(f"chown {judge.name}", folder, judge) if is_named else f"{away}; {_TRUST}")
    if folder.read_only or folder.mode & STICKY or not folder.mode & judge.closed:
        return None
    message = f"others can write the folder {folder.place}: {folder.look}"
    return Refusal(message, _mend("chmod go-w", folder, judge))


def judge_above(folder: Facts, judge: Judge) -> Refusal | None:
    """Judge a folder above the state folder, which nobody must be able to take away and put another in its place.

    Root runs what is in there as whoever it says, so for root it must be closed, too. For others that is worth no more
    than a note (`above_warning`): a shared folder of a group's is often of one's own making.
    """
    choose = "choose another with --state DIR"
    if folder.owner not in judge.trusted:
        whose = "root's" if judge.uid == 0 else "ours"
        as_root = "" if judge.uid == 0 else "as root: "
        message = f"the folder {folder.place} above the state folder is not {whose}: {folder.look}"
        return Refusal(message, f"{choose}; or, where it is nobody's home, {as_root}chown root {quoted(folder.place)}")
    warning = above_warning(folder)
    return None if judge.uid or warning is None else warning._replace(hint=f"{warning.hint}; or {choose}")


def judge_state_link(link: Facts, judge: Judge) -> Refusal | None:
    """Judge a symlink on the way to the state folder."""
    refusal = judge_link(link, judge)
    if refusal is None:
        return None
    return Refusal(refusal.message, "name the folder that it leads to with --state DIR, if that is the one you mean")


def above_warning(folder: Facts) -> Refusal | None:
    """Say of a folder above the state folder that others can rename what is in it, which a sticky one forbids."""
    if folder.read_only or folder.mode & STICKY or not folder.mode & (GROUP_WRITES | OTHERS_WRITE):
        return None
    message = f"others can write the folder {folder.place} above the state folder: {folder.look}"
    return Refusal(message, f"chmod +t {quoted(folder.place)}")


def judge_file(file: Facts, judge: Judge) -> Refusal | None:
    """Judge a jobs file or an env-file itself.

    Of several names of one file only the one that we know was judged, so there must be no other; but where all is
    mounted read-only, none was made by a stranger: stores of packages and image layers save room with them.
    """
    if file.owner not in judge.trusted:
        whose = "root's" if judge.uid == 0 else "ours"
        return Refusal(f"{file.place} is not {whose}: {file.look}", _mend(f"chown {judge.name}", file, judge))
    if file.mode & judge.closed:
        return Refusal(f"others can write {file.place}: {file.look}", _mend("chmod go-w", file, judge))
    if file.names > 1 and not file.read_only:
        message = f"{file.place} is a hard link, one of {file.names} names of its file: {file.look}"
        if judge.is_for_another:  # it may be a file that they may not read
            return Refusal(message, f"replace it by a file of its own; {_TRUST}")
        path, copy = quoted(file.place), quoted(f"{file.place}.tmp")  # a name that is no jobs file's
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


def _mend(command: str, facts: Facts, judge: Judge) -> str:
    """The way out: a command, which only root can carry out on what belongs to others, or to be less strict."""
    whose = "" if judge.uid in {0, facts.owner} else "as root: "
    return f"{whose}{command} {quoted(facts.place)}; {_TRUST}"
