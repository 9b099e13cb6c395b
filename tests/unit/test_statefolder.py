"""The state folder: made private, and refused where it can't be trusted, with the command that mends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import statefolder
from runjobs.adapters.statefolder import ALLOW_NETWORK, NETWORK, file_system, prepare, type_of
from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(RunjobsError, match=f"mode {mode:04o}") as caught:
        prepare(tmp_path, LOCAL)
    assert caught.value.hint == f"chmod go-w {tmp_path}"
    assert caught.value.exit_code == 78


def test_a_folder_that_others_can_only_read_is_accepted(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert prepare(tmp_path, LOCAL).root == tmp_path


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a folder away")
def test_a_strangers_folder_is_refused_with_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4711, 4711)
    with pytest.raises(RunjobsError, match="belongs to uid 4711, not to uid 0") as caught:
        prepare(folder, LOCAL)
    assert f"chown 0 {folder}" in caught.value.hint


@pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for name in ("state", "state/locks", "state/logs"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "state").chmod(0o500)
    with pytest.raises(RunjobsError, match="can't be written"):
        prepare(tmp_path / "state", LOCAL)


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
