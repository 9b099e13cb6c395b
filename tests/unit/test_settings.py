"""Settings: flags win over variables, variables over defaults; which jobs folder and why, which state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runjobs.core.errors import RunjobsError
from runjobs.settings import SYSTEM_JOBS, SYSTEM_STATE, choose_jobs, choose_state, default_jobs, resolve

if TYPE_CHECKING:
    from pathlib import Path

ROOT, USER = 0, 4711  # no passwd file names the latter
HOME = {"HOME": "/home/ann"}
XDG = {"XDG_CONFIG_HOME": "/cfg", "XDG_STATE_HOME": "/st"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that holds nothing: ./jobs.d is one of the defaults."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_flag_wins_over_the_variable_and_this_over_the_folder_here(elsewhere: Path) -> None:
    (elsewhere / "jobs.d").mkdir()
    assert choose_jobs(["a", "b"], {"RUNJOBS_JOBS": "c"}, ROOT) == (("a", "b"), "--jobs")
    assert choose_jobs([], {"RUNJOBS_JOBS": "c:d"}, ROOT) == (("c", "d"), "RUNJOBS_JOBS")
    assert choose_jobs([], {}, ROOT) == (("jobs.d",), "./jobs.d")


@pytest.mark.parametrize("nothing", ["", ":", "::"])
def test_a_variable_that_names_no_folder_is_as_if_it_were_not_there(nothing: str) -> None:
    assert choose_jobs([], {"RUNJOBS_JOBS": nothing}, ROOT) == ((SYSTEM_JOBS,), "the default of root")


def test_the_default_depends_on_who_asks() -> None:
    assert choose_jobs([], HOME, ROOT) == ((SYSTEM_JOBS,), "the default of root")
    assert choose_jobs([], HOME, USER) == (("/home/ann/.config/runjobs/jobs.d",), "the default of this user")
    assert choose_jobs([], HOME | XDG, USER)[0] == ("/cfg/runjobs/jobs.d",)
    assert choose_jobs([], XDG, ROOT)[0] == (SYSTEM_JOBS,)


def test_a_file_named_jobs_d_is_not_the_folder(elsewhere: Path) -> None:
    (elsewhere / "jobs.d").touch()
    assert choose_jobs([], {}, ROOT)[1] == "the default of root"


def test_the_default_jobs_have_the_state_folder_itself() -> None:
    assert choose_state([SYSTEM_JOBS], {}, ROOT) == SYSTEM_STATE
    assert choose_state([default_jobs(HOME, USER)], HOME, USER) == "/home/ann/.local/state/runjobs"
    assert choose_state([default_jobs(HOME | XDG, USER)], HOME | XDG, USER) == "/st/runjobs"


def test_every_other_set_of_jobs_has_a_state_folder_of_its_own_below() -> None:
    folders = [["/srv/a"], ["/srv/b"], ["/srv/a", "/srv/b"], ["/srv-a"], [SYSTEM_JOBS, "/srv/a"]]
    states = [choose_state(folder, {}, ROOT) for folder in folders]
    assert len(set(states)) == len(states)
    assert all(state.startswith(f"{SYSTEM_STATE}/roots/srv-") or "etc-runjobs" in state for state in states)


def test_the_state_folder_is_the_same_however_the_jobs_are_spelled(elsewhere: Path) -> None:
    here = choose_state([str(elsewhere / "jobs.d")], {}, ROOT)
    assert {choose_state([name], {}, ROOT) for name in ("jobs.d", "./jobs.d/", "x/../jobs.d")} == {here}
    assert choose_state(["/b", "/a"], {}, ROOT) == choose_state(["/a", "/b"], {}, ROOT)


def test_the_state_folder_of_a_service_is_the_one_that_systemd_made() -> None:
    assert choose_state([SYSTEM_JOBS], {"STATE_DIRECTORY": "/var/lib/mine:/var/lib/other"}, ROOT) == "/var/lib/mine"
    below = choose_state(["/srv/a"], {"STATE_DIRECTORY": "/var/lib/mine"} | XDG, USER)
    assert below.startswith("/var/lib/mine/roots/srv-a-")


def test_a_relative_base_folder_is_ignored_as_its_specification_says() -> None:
    relative = HOME | {"XDG_CONFIG_HOME": "cfg", "XDG_STATE_HOME": "st"}
    assert default_jobs(relative, USER) == "/home/ann/.config/runjobs/jobs.d"
    assert choose_state([default_jobs(relative, USER)], relative, USER) == "/home/ann/.local/state/runjobs"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_who_has_no_home_is_told_to_name_the_folders(environ: dict[str, str]) -> None:
    with pytest.raises(RunjobsError, match="uid 4711 has no home") as caught:
        choose_jobs([], environ, USER)
    assert "--state DIR" in caught.value.hint
    with pytest.raises(RunjobsError, match="no home"):
        choose_state(["/srv/a"], environ, USER)


def test_who_has_no_home_needs_none_where_the_folders_are_named() -> None:
    assert choose_state(["/srv/a"], {"STATE_DIRECTORY": "/state"}, USER).startswith("/state/roots/srv-a-")
    assert choose_state(["/srv/a"], XDG, USER).startswith("/st/runjobs/roots/srv-a-")


def test_the_home_of_the_passwd_file_is_used_where_home_is_not_set() -> None:
    assert default_jobs({}, ROOT) == SYSTEM_JOBS
    assert choose_state(["/a"], {"XDG_STATE_HOME": ""}, ROOT).startswith(SYSTEM_STATE)


def test_what_is_said_is_what_comes_out() -> None:
    said = resolve(["/j"], "/s", user_column=True, trust_jobs=True, cwd="/c", environ={"RUNJOBS_STATE": "/no"})
    assert (said.jobs, said.jobs_why, said.state, said.cwd) == (("/j",), "--jobs", "/s", "/c")
    assert said.user_column
    assert said.trust_jobs
    assert said.local is not None


def test_variables_stand_in_for_flags() -> None:
    environ = {"RUNJOBS_JOBS": "/j", "RUNJOBS_STATE": "/s", "RUNJOBS_CWD": "/c"}
    said = resolve(environ=environ)
    assert (said.jobs, said.state, said.cwd) == (("/j",), "/s", "/c")
    assert resolve(environ={"RUNJOBS_JOBS": "/j", "RUNJOBS_STATE": "/s", "RUNJOBS_CWD": ""}).cwd is None
