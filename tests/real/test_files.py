"""Jobs folders on a real disk: which files count, which are refused, and that reading never hangs or raises."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runjobs.adapters.files import LARGEST, Folder, fingerprint, read_folder
from runjobs.adapters.files.walk import Position, RefusedError, Rules
from runjobs.core.errors import Severity
from runjobs.core.trust import Judge
from tests.real.support.command_line import environment

UID = os.getuid()
NOBODY = 65534
as_root = pytest.mark.skipif(UID != 0, reason="only root can give files away")
not_as_root = pytest.mark.skipif(UID == 0, reason="root may read everything")
JOB = "* * * * * true\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that passes every check: pytest's own folders are ours and closed to others."""
    path = tmp_path / "jobs.d"
    path.mkdir(mode=0o755)
    return path


def write(path: Path, text: str = JOB, mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def read(path: Path, *, trust: bool = False) -> Folder:
    return read_folder(str(path), trust=trust, uid=UID)


def names(found: Folder) -> list[str]:
    return [os.path.basename(file.path) for file in found.files]


def only_problem(found: Folder) -> str:
    (problem,) = found.problems
    assert problem.hint
    return f"{problem.place.source}: {problem.message}; {problem.hint}"


def test_every_regular_file_counts_sorted_by_name_and_the_rest_is_named_with_the_reason(folder: Path) -> None:
    for name in ("web", "backup.cron", "0hourly", ".placeholder", "web~", "a.dpkg-old", "#web#"):
        write(folder / name)
    (folder / "sub").mkdir()
    found = read(folder)
    assert names(found) == ["0hourly", "backup.cron", "web"]
    assert {os.path.basename(path): reason for path, reason in found.skipped} == {
        ".placeholder": "hidden",
        "web~": "an editor's or package manager's leftover",
        "a.dpkg-old": "an editor's or package manager's leftover",
        "#web#": "an editor's or package manager's leftover",
        "sub": "a folder",
    }
    assert found.problems == ()


def test_a_single_file_counts_whatever_its_name(folder: Path) -> None:
    path = write(folder / ".crontab~")
    assert [file.text for file in read(path).files] == [JOB]


def test_a_relative_path_is_read_and_shown_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "web")
    monkeypatch.chdir(folder.parent)
    for path in ("jobs.d", "./jobs.d/../jobs.d"):
        found = read_folder(path, trust=False, uid=UID)
        assert [file.path for file in found.files] == [f"{path}/web"]


def test_bytes_that_are_not_utf_8_are_kept(folder: Path) -> None:
    (folder / "web").write_bytes(b"* * * * * echo \xff\n")
    (folder / "web").chmod(0o644)
    text = read(folder).files[0].text
    assert text.encode("utf-8", "surrogateescape") == b"* * * * * echo \xff\n"


def test_an_empty_file_is_a_file(folder: Path) -> None:
    write(folder / "web", "")
    assert [file.text for file in read(folder).files] == [""]


def test_a_path_that_is_not_there_is_a_problem(folder: Path) -> None:
    assert "No such file" in only_problem(read(folder / "nowhere"))
    assert "Not a directory" in only_problem(read(write(folder / "web") / "below"))


def test_a_path_that_no_kernel_takes_is_a_problem(folder: Path) -> None:
    assert "can't be read" in only_problem(read(folder / ("x" * 300)))


def test_links_are_followed_as_a_configmap_has_them(folder: Path) -> None:
    version = folder / "..2026_11_20"
    version.mkdir(mode=0o755)
    write(version / "web")
    (folder / "..data").symlink_to("..2026_11_20")
    (folder / "web").symlink_to("..data/web")
    (folder / "absolute").symlink_to(version / "web")
    found = read(folder)
    assert names(found) == ["absolute", "web"]
    assert found.problems == ()


def test_a_link_to_a_folder_is_a_folder(folder: Path) -> None:
    (folder / "up").symlink_to("..")
    assert read(folder).skipped[0].reason == "a folder"


def test_a_link_that_leads_nowhere_or_round_in_a_circle_is_a_problem_and_the_others_are_read(folder: Path) -> None:
    (folder / "dangling").symlink_to("nowhere")
    (folder / "round").symlink_to("round")
    write(folder / "web")
    found = read(folder)
    assert names(found) == ["web"]
    assert ["No such file" in p.message or "circle" in p.message for p in found.problems] == [True, True]


def test_a_fifo_a_socket_and_a_device_are_refused_without_being_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(folder)  # the address of a socket is short
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
        (folder / "null").symlink_to("/dev/null")
        found = read(folder)
    assert [problem.message.partition(":")[0] for problem in found.problems] == [
        f"{folder}/fifo is a FIFO, not a file",
        "/dev/null is a device, not a file",
        f"{folder}/socket is a socket, not a file",
    ]


def test_a_fifo_that_takes_the_place_of_a_file_just_before_it_is_opened_cannot_hang_us(folder: Path) -> None:
    seen = os.stat(write(folder / "web"))
    (folder / "web").unlink()
    os.mkfifo(folder / "web")
    with Position(os.open(folder, os.O_PATH), str(folder)) as here, pytest.raises(RefusedError, match="FIFO"):
        Rules(Judge(UID), trust=False)._open_file("web", seen, here)


def test_a_file_that_is_too_large_is_refused_before_it_fills_the_memory(folder: Path) -> None:
    with (folder / "huge").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger than 64 MiB" in only_problem(read(folder))


@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_a_file_that_the_world_can_write_is_refused_with_the_mending_command_and_trust_reads_it(
    folder: Path, mode: int
) -> None:
    path = write(folder / "web", mode=mode)
    said = only_problem(read(folder))
    assert f"mode {mode:04o}" in said
    assert f"chmod go-w {path}" in said
    assert "--trust-jobs" in said
    assert names(read(folder, trust=True)) == ["web"]


def test_a_file_that_the_group_can_write_is_refused_as_root_and_warned_of_otherwise(folder: Path) -> None:
    write(folder / "web", mode=0o664)
    found = read(folder)
    assert names(found) == ([] if UID == 0 else ["web"])
    assert [problem.severity for problem in found.problems] == [Severity.ERROR if UID == 0 else Severity.WARNING]


def test_a_folder_that_the_world_can_write_is_refused_but_a_sticky_one_is_not(folder: Path) -> None:
    write(folder / "web")
    folder.chmod(0o777)
    found = read(folder)
    assert f"chmod go-w {folder}" in only_problem(found)
    assert found.files == ()
    folder.chmod(0o1777)
    assert names(read(folder)) == ["web"]


def test_a_folder_above_counts_and_so_does_one_that_a_link_leads_through(folder: Path) -> None:
    loose = folder.parent / "loose"
    inner = loose / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    loose.chmod(0o777)
    write(inner / "web")
    assert str(loose) in only_problem(read(inner))
    (folder / "web").symlink_to(inner / "web")
    assert str(loose) in only_problem(read(folder))


@as_root
def test_as_root_what_belongs_to_another_user_is_refused(folder: Path) -> None:
    path = write(folder / "web")
    os.chown(path, NOBODY, -1)
    assert f"{path} is not root's: owner nobody (65534), mode 0644; chown root {path}" in only_problem(read(folder))
    os.chown(path, 0, -1)
    os.chown(folder, NOBODY, -1)
    assert f"the folder {folder} is not root's: owner nobody (65534), mode 0755" in only_problem(read(folder))
    os.chown(folder, 0, -1)
    link = folder / "link"
    link.symlink_to("web")
    os.lchown(link, NOBODY, -1)
    found = read(folder)
    assert names(found) == ["web"]
    assert f"the symlink {link} is not ours: owner nobody (65534), mode 0777; chown -h root {link}" in only_problem(
        found
    )


@as_root
def test_a_owner_without_a_name_is_named_by_number(folder: Path) -> None:
    os.chown(write(folder / "web"), 4_000_000, -1)
    assert "owner 4000000, mode 0644" in only_problem(read(folder))


@as_root
def test_a_folder_mounted_read_only_cannot_be_written_whatever_its_mode(folder: Path) -> None:
    write(folder / "web")
    folder.chmod(0o777)
    script = (
        f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && {sys.executable} -c '"
        "import sys; from runjobs.adapters.files import read_folder; "
        "sys.exit(len(read_folder(sys.argv[1], trust=False, uid=0).files) - 1)'"
        f" {folder}"
    )
    run = ["unshare", "--mount", "sh", "-c", script]
    done = subprocess.run(run, check=False, capture_output=True, cwd=Path(__file__).parents[2])
    if b"not permitted" in done.stderr or b"permission denied" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr


@not_as_root
def test_a_file_or_folder_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    if os.access(write(folder / "web", mode=0o000), os.R_OK):
        pytest.skip("who has CAP_DAC_READ_SEARCH may read everything")
    assert "Permission denied" in only_problem(read(folder))
    folder.chmod(0o000)
    try:
        assert "Permission denied" in only_problem(read(folder))
    finally:
        folder.chmod(0o755)


def test_reading_leaves_no_descriptor_open(folder: Path) -> None:
    write(folder / "web")
    write(folder / "loose", mode=0o666)
    os.mkfifo(folder / "fifo")
    (folder / "absolute").symlink_to(folder / "web")
    (folder / "round").symlink_to("round")
    (folder / "sub").mkdir()
    before = os.listdir("/proc/self/fd")
    read(folder)
    read(folder / "nowhere")
    read(folder / "web")
    assert os.listdir("/proc/self/fd") == before


def test_a_fingerprint_changes_with_a_file_its_mode_its_name_and_the_folder(folder: Path) -> None:
    path = write(folder / "web")
    seen = [fingerprint(str(folder))]
    assert fingerprint(str(folder)) == seen[0]
    steps = (
        lambda: path.chmod(0o600),
        lambda: write(folder / "more"),
        lambda: (folder / "more").rename(folder / "other"),
        lambda: write(folder / "new.tmp").rename(path),
        lambda: (folder / "link").symlink_to("nowhere"),
        lambda: folder.rename(folder.parent / "gone"),
    )
    for step in steps:
        step()
        seen.append(fingerprint(str(folder)))
    assert len(set(seen)) == len(seen)


def test_a_fingerprint_of_a_single_file_is_that_of_its_stamp(folder: Path) -> None:
    path = write(folder / "web")
    assert fingerprint(str(path)) == (read(path).files[0].stamp,)
    assert stat.S_ISREG(os.stat(path).st_mode)


def test_a_hard_link_is_refused_and_its_own_command_mends_it(folder: Path) -> None:
    path = write(folder / "web")
    os.link(path, folder.parent / "another name")
    found = read(folder)
    assert f"{path} is a hard link, one of 2 names of its file" in only_problem(found)
    assert found.files == ()
    assert names(read(folder, trust=True)) == ["web"]
    mend(found)
    assert names(read(folder)) == ["web"]
    assert read(folder).problems == ()


@pytest.mark.parametrize("name", ["it's $(web); x", "-web", "a b"])
def test_the_command_mends_a_file_whatever_its_name(folder: Path, name: str) -> None:
    write(folder / name, mode=0o646)
    mend(read(folder))
    assert names(read(folder)) == [name]


def mend(found: Folder) -> None:
    """Do what the hint of the only problem says."""
    (problem,) = found.problems
    subprocess.run(["sh", "-c", problem.hint.partition("; or pass")[0]], check=True)


def test_an_absolute_path_needs_no_folder_of_ours_to_be_there(folder: Path) -> None:
    write(folder / "job")
    script = "import os, sys; os.rmdir(os.getcwd()); import runjobs.adapters.files as f; "
    script += (
        "found = f.read_folder(sys.argv[1], trust=False, uid=os.getuid()); print(found.problems, len(found.files))"
    )
    here = folder.parent / "here"
    for path, said in ((str(folder), "() 1\n"), ("jobs.d", "No such file or directory")):
        here.mkdir()
        told = subprocess.run(
            [sys.executable, "-c", script, path],
            cwd=here,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert said in told.stdout
