"""The state folder: made private, and refused where it can't be trusted, with the command that mends it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runjobs.adapters import locks, statefolder
from runjobs.adapters.statefolder import ALLOW_NETWORK, NETWORK, file_system, prepare, type_of
from runjobs.adapters.statefolder.above import doubts
from runjobs.core.errors import FieldError, RunjobsError
from runjobs.core.names import check_name, derived_name, file_part

IS_ROOT = os.geteuid() == 0
LOCAL = {ALLOW_NETWORK: "1"}  # wherever the tests run

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /dev/shm rw - tmpfs tmpfs rw,size=1024k
41 22 0:45 /export /srv rw,relatime shared:30 master:2 - nfs4 server:/export rw,vers=4.2
42 22 0:46 / /mnt/with\\040blank rw - fuse.sshfs me@host:/a\\040-\\040b rw
43 22 0:47 / /mnt/twice rw - cifs //server/share rw
44 43 0:47 / /mnt/twice rw - tmpfs tmpfs rw
"""


def test_all_parts_are_made_and_closed_to_others(tmp_path: Path) -> None:
    state = prepare(tmp_path / "a" / "b", LOCAL)
    assert [folder.stat().st_mode & 0o777 for folder in (state.root, state.locks, state.logs)] == [0o700] * 3
    assert state.ledger.parent == state.root
    assert not state.ledger.exists()


def test_asking_where_its_parts_are_makes_none_of_them(tmp_path: Path) -> None:
    state = statefolder.folder_at(tmp_path / "state")
    assert (state.ballast, state.standin) == (tmp_path / "state" / "ballast", tmp_path / "state" / "standin.lock")
    assert not state.root.exists()


def test_a_check_finds_what_prepare_would_refuse_and_changes_nothing(tmp_path: Path) -> None:
    statefolder.check(tmp_path, LOCAL)
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o777)
    with pytest.raises(RunjobsError, match="mode 0777"):
        statefolder.check(tmp_path, LOCAL)


def test_a_folder_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    first = prepare(tmp_path / "state", LOCAL)
    (first.locks / "job.backup").touch()
    assert prepare(tmp_path / "state", LOCAL) == first
    assert (first.locks / "job.backup").exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777] if IS_ROOT else [0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(RunjobsError, match=f"mode {mode:04o}") as caught:
        prepare(tmp_path, LOCAL)
    assert caught.value.hint == f"chmod go-w {tmp_path}"
    assert caught.value.exit_code == 78
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(IS_ROOT, reason="root is refused")
def test_a_folder_of_ours_that_umask_002_left_open_to_our_group_is_closed_where_all_in_it_is_ours(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    state = statefolder.folder_at(tmp_path / "state")
    for folder in state.folders:
        folder.mkdir()
        folder.chmod(0o775)
    (state.logs / "job").mkdir(mode=0o700)
    statefolder.check(state.root, LOCAL)
    prepare(state.root, LOCAL, told.append)
    assert [folder.stat().st_mode & 0o777 for folder in state.folders] == [0o700] * 3
    assert (
        told[0] == f"the state folder {state.root} could be written by its group (mode 0775): it is closed to them now"
    )


@pytest.mark.skipif(IS_ROOT, reason="root is refused")
@pytest.mark.parametrize("name", ["ledger.sqlite3", "mail"])
def test_a_folder_that_our_group_can_write_is_refused_where_they_may_have_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o660)
    tmp_path.chmod(0o775)
    with pytest.raises(RunjobsError, match="others can write the state folder"):
        prepare(tmp_path, LOCAL)
    assert tmp_path.stat().st_mode & 0o777 == 0o775


def test_what_others_can_write_is_refused_inside_too(tmp_path: Path) -> None:
    state = prepare(tmp_path / "state", LOCAL)
    state.locks.chmod(0o702)
    for see in (prepare, statefolder.check):
        with pytest.raises(RunjobsError, match=r"others can write the state folder .*/locks: owner .*, mode 0702"):
            see(state.root, LOCAL)


def test_a_folder_that_others_can_only_read_is_closed_to_them_and_that_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    tmp_path.chmod(0o755)
    state = prepare(tmp_path, LOCAL, told.append)
    (tmp_path / "ledger.sqlite3").touch()
    state.logs.chmod(0o711)
    prepare(tmp_path, LOCAL, told.append)
    prepare(tmp_path, LOCAL, told.append)
    assert [folder.stat().st_mode & 0o777 for folder in state.folders] == [0o700] * 3
    assert [text.partition(":")[0] for text in told] == [
        f"the state folder {tmp_path} could be read by others (mode 0755)",
        f"the state folder {tmp_path}/logs could be read by others (mode 0711)",
    ]


def test_a_folder_that_holds_other_things_is_no_state_folder_alone_and_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    tmp_path.chmod(0o755)
    for _ in range(2):
        state = prepare(tmp_path, LOCAL)
    assert [folder.stat().st_mode & 0o777 for folder in state.folders] == [0o755, 0o700, 0o700]


def test_folders_above_that_are_made_with_it_are_for_us_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        prepare(tmp_path / "a" / "roots" / "b", LOCAL)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "roots")] == [0o700] * 2


@pytest.mark.parametrize(
    "name",
    ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ledger.lock", "standin.lock", "ballast"],
)
def test_a_fifo_in_the_place_of_a_file_is_refused_with_the_command_that_mends_it(tmp_path: Path, name: str) -> None:
    state = prepare(tmp_path / "state", LOCAL)
    os.mkfifo(state.root / name, 0o600)
    for see in (prepare, statefolder.check):
        with pytest.raises(RunjobsError, match=f"/state/{name} is a FIFO, not a file: owner .*, mode 0600") as caught:
            see(state.root, LOCAL)
        assert caught.value.hint == f"mv {state.root}/{name} {state.root}/{name}.aside"


def test_what_is_for_others_too_is_found_wherever_it_is_and_links_count_for_nothing(tmp_path: Path) -> None:
    state = prepare(tmp_path / "state", LOCAL)
    assert list(statefolder.loose(state.root)) == []
    (state.logs / "job").mkdir(mode=0o700)
    (state.logs / "job" / "run.log").touch(mode=0o640)
    (state.root / "ledger.sqlite3").symlink_to("/")
    state.locks.chmod(0o710)
    assert sorted(statefolder.loose(state.root)) == [state.locks, state.logs / "job" / "run.log"]


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a folder away")
def test_a_strangers_folder_is_refused_with_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4711, 4711)
    with pytest.raises(RunjobsError, match="is not ours: owner 4711, mode 0700") as caught:
        prepare(folder, LOCAL)
    assert caught.value.hint.startswith(f"chown root {folder}; ")


@pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for name in ("state", "state/locks", "state/logs"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "state").chmod(0o500)
    with pytest.raises(RunjobsError, match="can't be written"):
        prepare(tmp_path / "state", LOCAL)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that anybody may write."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.skipif(not IS_ROOT, reason="for others it is a note of doctor")
def test_root_keeps_no_state_below_a_folder_where_others_could_put_another_unless_it_is_sticky(shared: Path) -> None:
    for see in (prepare, statefolder.check):
        with pytest.raises(
            RunjobsError, match=f"others can write the folder {shared} above the state folder"
        ) as caught:
            see(shared / "state", LOCAL)
        assert caught.value.exit_code == 78
        assert list(shared.iterdir()) == []
    subprocess.run(caught.value.hint.partition("; or ")[0], shell=True, check=True)
    prepare(shared / "deep" / "state", LOCAL)
    statefolder.check(shared / "deep" / "state", LOCAL)


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a folder away")
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_no_state_is_kept_below_a_strangers_folder_however_deep(tmp_path: Path, mode: int) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "deep").mkdir(parents=True)
    theirs.chmod(mode)
    os.chown(theirs, 4711, 4711)
    with pytest.raises(RunjobsError, match=f"{theirs} above the state folder is not root's: owner 4711") as caught:
        prepare(theirs / "deep" / "state", LOCAL)
    assert caught.value.hint.endswith(f"chown root {theirs}")
    assert list((theirs / "deep").iterdir()) == []


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a link away")
@pytest.mark.parametrize("part", ["", "locks", "logs"])
def test_a_strangers_link_to_the_state_folder_or_a_part_of_it_is_not_followed(tmp_path: Path, part: str) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    root = tmp_path / "state"
    if part:
        root.mkdir(mode=0o700)
    link = root / part if part else root
    link.symlink_to(target)
    os.lchown(link, 4711, 4711)
    with pytest.raises(RunjobsError, match=f"the symlink {link} is not ours: owner 4711"):
        prepare(root, LOCAL)
    assert list(target.iterdir()) == []


def test_a_link_of_ours_is_followed_and_what_is_above_its_target_counts_too(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "link").symlink_to("shared/../shared")
    assert [doubt.hint for doubt in doubts(tmp_path / "link" / "state")] == [f"chmod +t {shared}"]
    shared.chmod(0o755)
    assert list(doubts(tmp_path / "link" / "state")) == []
    prepare(tmp_path / "link" / "state", LOCAL)
    assert (shared / "state" / "logs").is_dir()


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(RunjobsError, match="can't be used: Too many levels of symbolic links"):
        prepare(tmp_path / "one" / "state", LOCAL)


@pytest.mark.skipif(IS_ROOT, reason="root is refused")
def test_who_is_not_root_may_keep_state_below_a_folder_of_a_groups(shared: Path) -> None:
    prepare(shared / "state", LOCAL)
    statefolder.check(shared / "state", LOCAL)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(RunjobsError, match=f"the state folder {tmp_path}/state can't be used: File exists"):
        prepare(tmp_path / "state", LOCAL)


@pytest.mark.parametrize(
    ("device", "kind"),
    [("254:1", "ext4"), ("0:26", "tmpfs"), ("0:45", "nfs4"), ("0:46", "fuse.sshfs"), ("0:47", "tmpfs"), ("9:9", "")],
)
def test_the_type_of_a_file_system_is_that_of_its_last_mount(device: str, kind: str) -> None:
    assert type_of(MOUNTS, device) == kind


def test_what_is_on_a_network_is_known_by_its_type() -> None:
    assert {type_of(MOUNTS, device) in NETWORK for device in ("0:45", "0:46")} == {True}
    assert {type_of(MOUNTS, device) in NETWORK for device in ("254:1", "0:26", "9:9")} == {False}


def test_a_network_is_refused_with_the_way_out_unless_it_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(RunjobsError, match="is on nfs4") as caught:
        statefolder.check_local(tmp_path, "nfs4", {})
    assert f"{ALLOW_NETWORK}=1" in caught.value.hint
    statefolder.check_local(tmp_path, "nfs4", LOCAL)
    statefolder.check_local(tmp_path, "ext4", {})


def test_the_file_system_of_this_folder_has_a_type_and_what_is_not_there_has_none(tmp_path: Path) -> None:
    assert file_system(tmp_path / "nowhere") == ""
    assert isinstance(file_system(tmp_path), str)


TEXTS = st.text(max_size=250) | st.text("./a-", max_size=12)  # the second are those that climb


def leads_out(name: str) -> bool:
    """Whether a file or folder of a job of this name would be anywhere but below the state folder's own."""
    state = statefolder.folder_at(Path("/state"))
    made = [f"{state.locks}/job.{locks.file_name(name)}", f"{state.logs}/{locks.file_name(name)}"]
    return [os.path.dirname(os.path.normpath(path)) for path in made] != [str(state.locks), str(state.logs)]


@given(TEXTS)
@example("../../x")
@example("..")
@example("a/../..")
def test_no_name_that_a_job_may_have_leads_out_of_the_state_folder(text: str) -> None:
    try:
        name = check_name(text)
    except FieldError:
        return
    assert not leads_out(name)
    assert len(os.fsencode(f"job.{locks.file_name(name)}+1000")) <= 255  # NAME_MAX, limits.h


@given(source=TEXTS, command=TEXTS)
def test_no_name_that_a_job_is_given_leads_out_of_the_state_folder(source: str, command: str) -> None:
    name = derived_name(file_part(source), command)
    assert check_name(name) == name
    assert not leads_out(name)


@given(TEXTS.filter(bool))
@example(".")
@example("..")
def test_a_name_that_was_never_checked_leads_nowhere_else_either_and_is_found_again(text: str) -> None:
    assert not leads_out(text)
    assert locks.name_of(locks.file_name(text)) == text
