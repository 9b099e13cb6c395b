"""Whether files, folders and links on disk can be trusted, by their owners and modes."""

from __future__ import annotations

import pytest

from runjobs.core.trust import Facts, Refusal, group_warning, judge_file, judge_folder, judge_link

ROOT, ANN, BOB = 0, 1000, 1001
NAMES = {ROOT: "root", ANN: "ann", BOB: "bob"}


def facts(owner: int, mode: int) -> Facts:
    return Facts("/etc/jobs", owner, NAMES[owner], mode)


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "said"),
    [
        (ROOT, ROOT, 0o644, None),
        (ROOT, ROOT, 0o600, None),
        (ROOT, ANN, 0o644, "belongs to ann (1000)"),
        (ROOT, ROOT, 0o664, "others can write"),
        (ROOT, ROOT, 0o646, "others can write"),
        (ANN, ANN, 0o644, None),
        (ANN, ROOT, 0o644, None),
        (ANN, BOB, 0o644, "belongs to bob (1001)"),
        (ANN, ANN, 0o664, None),
        (ANN, ANN, 0o646, "others can write"),
    ],
)
def test_a_file_must_be_ours_or_roots_and_closed_to_others(uid: int, owner: int, mode: int, said: str | None) -> None:
    check(judge_file(facts(owner, mode), uid), said)


@pytest.mark.parametrize(
    ("uid", "owner", "mode", "read_only", "said"),
    [
        (ROOT, ROOT, 0o755, False, None),
        (ROOT, ANN, 0o755, False, "belongs to ann"),
        (ROOT, ANN, 0o755, True, "belongs to ann"),
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
    check(judge_folder(facts(owner, mode), uid, read_only=read_only), said)


@pytest.mark.parametrize(
    ("uid", "owner", "said"),
    [(ROOT, ROOT, None), (ROOT, ANN, "belongs to ann"), (ANN, ANN, None), (ANN, ROOT, None), (ANN, BOB, "to bob")],
)
def test_only_roots_links_and_our_own_are_followed(uid: int, owner: int, said: str | None) -> None:
    check(judge_link(facts(owner, 0o777), uid), said)


def check(refusal: Refusal | None, said: str | None) -> None:
    assert (refusal is None) == (said is None)
    if refusal is not None and said is not None:
        assert said in refusal.message
        assert "/etc/jobs" in refusal.message
        assert "/etc/jobs" in refusal.hint
        assert "--trust-jobs" in refusal.hint


def test_a_refusal_names_the_owner_the_mode_and_the_command_that_mends_it() -> None:
    refusal = judge_file(facts(ROOT, 0o666), ROOT)
    assert refusal is not None
    assert "owner root, mode 0666" in refusal.message
    assert "chmod go-w /etc/jobs" in refusal.hint


def test_a_uid_without_a_name_is_said_once() -> None:
    assert Facts("/x", 4711, "4711", 0o644).look == "owner 4711, mode 0644"


def test_a_file_that_the_group_can_write_is_warned_of() -> None:
    assert group_warning(facts(ANN, 0o644)) is None
    warning = group_warning(facts(ANN, 0o664))
    assert warning is not None
    assert warning.hint == "chmod g-w /etc/jobs"
