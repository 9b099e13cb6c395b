"""Whether files, folders and links on disk can be trusted, by their owners and modes."""

from __future__ import annotations

import shlex
import stat

import pytest

from runjobs.core.trust import (
    Facts,
    Judge,
    Refusal,
    above_warning,
    group_warning,
    judge_above,
    judge_file,
    judge_folder,
    judge_kind,
    judge_link,
    judge_state_link,
    kind_name,
    secret_warning,
)

ROOT, ANN, BOB = 0, 1000, 1001
NAMES = {ROOT: "root", ANN: "ann", BOB: "bob"}
FOR_ANN = Judge(ROOT, ANN)  # root, for a job of ann's


def facts(owner: int, mode: int, place: str = "/etc/jobs", names: int = 1, *, read_only: bool = False) -> Facts:
    return Facts(place, owner, NAMES[owner], mode, names, read_only)


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "said"),
    [
        (ROOT, ROOT, 0o644, None),
        (ROOT, ROOT, 0o600, None),
        (ROOT, ANN, 0o644, "is not root's: owner ann (1000)"),
        (ROOT, ROOT, 0o664, "others can write"),
        (ROOT, ROOT, 0o646, "others can write"),
        (ANN, ANN, 0o644, None),
        (ANN, ROOT, 0o644, None),
        (ANN, BOB, 0o644, "is not ours: owner bob (1001)"),
        (ANN, ANN, 0o664, None),
        (ANN, ANN, 0o646, "others can write"),
    ],
)
def test_a_file_must_be_ours_or_roots_and_closed_to_others(uid: int, owner: int, mode: int, said: str | None) -> None:
    check(judge_file(facts(owner, mode), Judge(uid)), said)


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "read_only", "said"),
    [
        (ROOT, ROOT, 0o755, False, None),
        (ROOT, ANN, 0o755, False, "is not root's: owner ann"),
        (ROOT, ANN, 0o755, True, "is not root's: owner ann"),
        (ROOT, ROOT, 0o775, False, "others can write the folder"),
        (ROOT, ROOT, 0o1777, False, None),
        (ROOT, ROOT, 0o777, True, None),
        (ROOT, ROOT, 0o777, False, "others can write the folder"),
        (ANN, BOB, 0o755, False, None),
        (ANN, ANN, 0o775, False, None),
        (ANN, ANN, 0o757, False, "others can write the folder"),
        (ANN, ROOT, 0o777, True, None),
    ],
)
def test_a_folder_above_must_be_closed_to_others_and_roots_as_root(
    uid: int,
    owner: int,
    mode: int,
    read_only: bool,
    said: str | None,
) -> None:
    check(judge_folder(facts(owner, mode, read_only=read_only), Judge(uid)), said)


@pytest.mark.parametrize(
    ("uid", "owner", "said"),
    [(ROOT, ROOT, None), (ROOT, ANN, "owner ann"), (ANN, ANN, None), (ANN, ROOT, None), (ANN, BOB, "owner bob")],
)
def test_only_roots_links_and_our_own_are_followed(uid: int, owner: int, said: str | None) -> None:
    check(judge_link(facts(owner, 0o777), Judge(uid)), said)


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "read_only", "said", "way"),
    [
        (ROOT, ROOT, 0o755, False, None, ""),
        (ROOT, ROOT, 0o1777, False, None, ""),
        (ROOT, ROOT, 0o777, True, None, ""),
        (ROOT, ROOT, 0o777, False, "others can write the folder /srv above the state folder", "chmod +t /srv; "),
        (ROOT, ROOT, 0o775, False, "others can write the folder /srv above the state folder", "chmod +t /srv; "),
        (ROOT, ANN, 0o1755, False, "/srv above the state folder is not root's: owner ann", "chown root /srv"),
        (ANN, ANN, 0o755, False, None, ""),
        (ANN, ROOT, 0o1777, False, None, ""),
        (ANN, BOB, 0o700, False, "above the state folder is not ours: owner bob (1001)", "as root: chown root /srv"),
    ],
)
def test_who_could_put_another_folder_in_the_place_of_the_state_folder_is_refused_with_the_way_out(
    uid: int, owner: int, mode: int, read_only: bool, said: str | None, way: str
) -> None:
    refusal = judge_above(facts(owner, mode, "/srv", read_only=read_only), Judge(uid))
    assert (refusal is None) == (said is None)
    if refusal is not None and said is not None:
        assert said in refusal.message
        assert way in refusal.hint
        assert "--state DIR" in refusal.hint
        assert "--trust-jobs" not in refusal.hint


def test_a_link_to_the_state_folder_is_followed_if_it_is_ours_or_roots() -> None:
    assert judge_state_link(facts(ROOT, 0o777), Judge(ANN)) is None
    refusal = judge_state_link(facts(ANN, 0o777), Judge(ROOT))
    assert refusal is not None
    assert "the symlink /etc/jobs is not ours" in refusal.message
    assert "--state DIR" in refusal.hint


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_above_that_others_can_write_is_worth_a_note_to_who_is_not_root(mode: int) -> None:
    assert judge_above(facts(ANN, mode, "/srv"), Judge(ANN)) is None
    note = above_warning(facts(ANN, mode, "/srv"))
    assert note is not None
    assert note.message == f"others can write the folder /srv above the state folder: owner ann (1000), mode {mode:04o}"
    assert note.hint == "chmod +t /srv"
    assert above_warning(facts(ANN, 0o1777, "/srv")) is None
    assert above_warning(facts(ANN, 0o777, "/srv", read_only=True)) is None


@pytest.mark.parametrize("uid", [ROOT, ANN])
def test_a_hard_link_is_refused_and_the_command_gives_the_name_a_file_of_its_own(uid: int) -> None:
    refusal = judge_file(facts(uid, 0o644, names=3), Judge(uid))
    check(refusal, "a hard link, one of 3 names of its file")
    assert refusal is not None
    assert "cp -p /etc/jobs /etc/jobs.tmp && mv /etc/jobs.tmp /etc/jobs" in refusal.hint


def test_where_nothing_can_be_written_a_file_may_have_many_names_as_package_stores_have_them() -> None:
    check(judge_file(facts(ROOT, 0o444, names=9, read_only=True), Judge(ROOT)), None)
    check(judge_file(facts(ANN, 0o444, names=9, read_only=True), Judge(ROOT)), "is not root's")


def test_an_env_file_and_its_folder_may_be_the_jobs_users_but_no_third_persons() -> None:
    check(judge_file(facts(ANN, 0o600), FOR_ANN), None)
    check(judge_folder(facts(ANN, 0o700), FOR_ANN), None)
    check(judge_file(facts(BOB, 0o600), FOR_ANN), "owner bob (1001)")
    check(judge_folder(facts(BOB, 0o700), FOR_ANN), "owner bob (1001)")
    check(judge_file(facts(ANN, 0o660), FOR_ANN), "others can write")


@pytest.mark.parametrize("trust", [False, True])
def test_root_follows_no_link_of_the_jobs_user_who_could_have_it_read_what_they_may_not(trust: bool) -> None:
    refusal = judge_link(facts(ANN, 0o777), FOR_ANN, trust=trust)
    assert refusal is not None
    assert "the symlink /etc/jobs is not ours" in refusal.message
    assert refusal.hint == "replace the link by a file"  # who makes it root's gives what it leads to away


def test_a_third_persons_link_to_an_env_file_is_a_matter_of_trust() -> None:
    refusal = judge_link(facts(BOB, 0o777), FOR_ANN)
    assert refusal is not None
    assert refusal.hint.startswith("replace the link by a file; or pass --trust-jobs")
    assert judge_link(facts(BOB, 0o777), FOR_ANN, trust=True) is None
    assert judge_link(facts(BOB, 0o777), Judge(ROOT), trust=True) is None


def test_a_hard_link_among_another_users_env_files_is_not_to_be_copied_for_them() -> None:
    refusal = judge_file(facts(ROOT, 0o600, names=2), FOR_ANN)
    assert refusal is not None
    assert refusal.hint.startswith("replace it by a file of its own; or pass --trust-jobs")


def test_only_the_folder_that_was_named_is_to_become_roots_and_no_persons_home_above_it() -> None:
    above, named = (
        judge_folder(facts(ANN, 0o755), Judge(ROOT)),
        judge_folder(facts(ANN, 0o755), Judge(ROOT), is_named=True),
    )
    of_env = judge_folder(facts(BOB, 0o755), FOR_ANN)
    assert above is not None
    assert named is not None
    assert of_env is not None
    assert above.hint.startswith("move the jobs to /etc/runjobs/jobs.d; or pass --trust-jobs")
    assert named.hint.startswith("chown root /etc/jobs; or pass --trust-jobs")
    assert of_env.hint.startswith("move the env-file to a folder of root's; or pass --trust-jobs")


def check(refusal: Refusal | None, said: str | None) -> None:
    assert (refusal is None) == (said is None)
    if refusal is not None and said is not None:
        assert said in refusal.message
        assert "/etc/jobs" in refusal.message
        assert "mode 0" in refusal.message
        assert "--trust-jobs" in refusal.hint


def test_a_refusal_names_the_owner_the_mode_and_the_command_that_mends_it() -> None:
    refusal = judge_file(facts(ROOT, 0o666), Judge(ROOT))
    assert refusal is not None
    assert "owner root, mode 0666" in refusal.message
    assert refusal.hint.startswith("chmod go-w /etc/jobs; ")


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "command"),
    [
        (ROOT, ANN, 0o644, "chown root /etc/jobs; "),
        (ANN, BOB, 0o644, "as root: chown 1000 /etc/jobs; "),
        (ANN, ROOT, 0o646, "as root: chmod go-w /etc/jobs; "),
        (ANN, ANN, 0o646, "chmod go-w /etc/jobs; "),
    ],
)
def test_what_only_root_can_mend_is_said_to_be_so(uid: int, owner: int, mode: int, command: str) -> None:
    refusal = judge_file(facts(owner, mode), Judge(uid))
    assert refusal is not None
    assert refusal.hint.startswith(command)


def test_a_name_that_a_stranger_chose_is_one_word_of_the_mending_command() -> None:
    place = "/tmp/jobs/x; rm -rf ~"
    for refusal in (
        judge_file(facts(ANN, 0o644, place), Judge(ROOT)),
        judge_file(facts(ROOT, 0o666, place), Judge(ROOT)),
        judge_file(facts(ROOT, 0o644, place, 2), Judge(ROOT)),
        judge_folder(facts(ROOT, 0o777, place), Judge(ROOT)),
        judge_link(facts(ANN, 0o777, place), Judge(ROOT)),
        judge_kind(facts(ANN, 0o644, place), stat.S_IFIFO),
    ):
        assert refusal is not None
        words = shlex.split(refusal.hint.partition("; or pass")[0])
        assert place in words


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (stat.S_IFIFO, "a FIFO"),
        (stat.S_IFSOCK, "a socket"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFDIR, "a folder"),
        (stat.S_IFLNK, "a symlink"),
        (0, "something else"),
    ],
)
def test_only_regular_files_are_read_and_what_else_it_is_is_said(kind: int, name: str) -> None:
    refusal = judge_kind(facts(ANN, 0o644), kind | 0o644)
    assert kind_name(kind) == name
    assert refusal is not None
    assert refusal.message == f"/etc/jobs is {name}, not a file: owner ann (1000), mode 0644"
    assert judge_kind(facts(ANN, 0o644), stat.S_IFREG | 0o644) is None


def test_a_uid_without_a_name_is_said_once() -> None:
    assert Facts("/x", 4711, "4711", 0o644).look == "owner 4711, mode 0644"


def test_a_file_that_the_group_can_write_is_warned_of() -> None:
    assert group_warning(facts(ANN, 0o644)) is None
    warning = group_warning(facts(ANN, 0o664))
    assert warning is not None
    assert warning.hint == "chmod g-w /etc/jobs"


def test_an_env_file_that_anybody_can_read_is_warned_of_and_one_for_its_group_is_not() -> None:
    assert secret_warning(facts(ANN, 0o640)) is None
    warning = secret_warning(facts(ANN, 0o644))
    assert warning is not None
    assert warning.message == "others can read the env-file /etc/jobs: owner ann (1000), mode 0644"
    assert warning.hint == "chmod o-r /etc/jobs"
