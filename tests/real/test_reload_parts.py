"""The parts of a live reload on a real disk: a watch on paths, copies of good versions, and a pass that waits."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.lastgood import Copy, LastGood
from runjobs.adapters.watch import Watch
from runjobs.runner.loading import BESIDE, UNSETTLED, Loaded, Parser, Source
from tests.real.support.command_line import Place

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FIRST = "#: name=a\n@daily true\n#: name=b\n@daily true\n"
SECOND = "#: name=b timeout=1h\n@hourly true\n#: name=c\n@daily true\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def jobs(place: Place) -> Path:
    return place.write("jobs", FIRST)


def test_a_watch_asks_for_no_look_until_something_happens_at_a_path_or_on_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "v1" / "jobs.d").mkdir(parents=True)
    (tmp_path / "v2" / "jobs.d").mkdir(parents=True)
    (tmp_path / "now").symlink_to("v1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").touch()
    (tmp_path / "link").symlink_to("far/file")
    paths = [str(tmp_path / "now" / "jobs.d"), str(tmp_path / "sub" / "later" / "on"), str(tmp_path / "link")]
    watch = Watch(lambda _: True)
    watch.follow(paths)
    assert (watch.pause(), watch.take_troubles()) == (None, [])
    (tmp_path / "new").symlink_to("v2")
    watch.follow(paths)
    happenings: list[Callable[[], object]] = [
        (tmp_path / "v1" / "jobs.d" / "file").touch,
        partial((tmp_path / "v1" / "jobs.d").chmod, 0o700),
        (tmp_path / "sub" / "later").mkdir,
        (tmp_path / "sub" / "later" / "on").touch,
        partial((tmp_path / "sub" / "later" / "on").write_text, "x"),
        partial((tmp_path / "new").rename, tmp_path / "now"),
        (tmp_path / "v2" / "jobs.d" / "file").touch,
        partial((tmp_path / "v2").rename, tmp_path / "v3"),
        partial((tmp_path / "far" / "file").write_text, "x"),
        partial((tmp_path / "far").rename, tmp_path / "further"),
        (tmp_path / "link").unlink,
    ]
    for happening in happenings:
        assert not watch.is_due()
        happening()
        watch.heard()
        assert (watch.is_due(), watch.pause()) == (True, 0.0)
        watch.follow(paths)
    watch.close()


def test_a_watch_is_not_woken_by_what_is_done_to_others_beside_the_folders_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "way" / "jobs.d").mkdir(parents=True)
    other = tmp_path / "other"
    other.touch()
    missing = tmp_path / "way" / "later" / "jobs.d"
    watch = Watch(lambda _: True)
    if watch.fd is None:
        pytest.skip("there is no inotify here")
    paths = [str(tmp_path / "way" / "jobs.d"), str(missing)]
    watch.follow(paths)
    for beside in (other, tmp_path / "way"):
        os.utime(beside)
        beside.chmod(0o700)
        watch.heard()
        assert not watch.is_due(), beside
    missing.mkdir(parents=True)
    watch.heard()
    assert watch.is_due()
    watch.follow(paths)
    watch.heard()
    watch.follow(paths)
    (tmp_path / "way" / "new").touch()  # nothing is missing there any more
    watch.heard()
    assert not watch.is_due()
    watch.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_watch_is_woken_when_a_folder_that_was_closed_to_us_is_opened(tmp_path: Path) -> None:
    (tmp_path / "closed" / "jobs.d").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o400)  # without r it could not be listened to, and is looked at each second
    watch = Watch(lambda _: True)
    watch.follow([str(tmp_path / "closed" / "jobs.d")])
    watch.take_troubles()
    (tmp_path / "closed").chmod(0o700)
    watch.heard()
    assert watch.is_due()
    watch.close()


def test_a_watch_on_another_machines_files_looks_each_second(tmp_path: Path) -> None:
    now = [10.0]
    watch = Watch(lambda path: path != str(tmp_path), lambda: now[0])
    for _ in range(2):
        watch.follow([str(tmp_path), "/"])
        assert (watch.is_due(), watch.pause()) == (False, 1.0)
        now[0] += 1
        assert (watch.is_due(), watch.pause()) == (True, 0.0)
    assert [trouble.split(" is on")[0] for trouble in watch.take_troubles()] == [str(tmp_path)]
    watch.close()


def test_a_copy_is_private_and_one_of_another_file_is_never_taken_for_it(tmp_path: Path) -> None:
    copies = LastGood(tmp_path)
    copies.prepare()
    folder = tmp_path / "lastgood"
    for path in ("/j/a", "/j/a,", "/k/a", "/j/a/b", f"/j/{'x' * 250}", "/j/\udcff\n"):
        copies.keep(path, f"{path}\udcff\n", NOON)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    found = copies.find("/j/\udcff\n")
    assert found == Copy("/j/\udcff\n", NOON, "/j/\udcff\n\udcff\n")
    assert [copy.path for copy in copies.below("/j")] == ["/j/a", "/j/a,", f"/j/{'x' * 250}", "/j/\udcff\n"]
    assert copies.gone("/j", {"/j/a", "/j/a,", f"/j/{'x' * 250}"}) == ["/j/\udcff\n"]
    copies.forget("/j/a")
    copies.forget("/j/a")
    assert copies.find("/j/a") is None
    (broken,) = [file for file in folder.iterdir() if file.name.startswith("k,a")]
    broken.write_bytes(b"runjobs-lastgood-9 1 4\n/k/a\n")
    assert copies.find("/k/a") is None


class Writer:
    """Goes on writing a jobs file whenever a pass waits for it to settle; `wall_ns` follows the file's own clock."""

    def __init__(self, path: Path, *texts: str) -> None:
        self._path = path
        self._texts = [*texts]
        self.waits = 0
        self._later = 0

    def wall_ns(self) -> int:
        return self._path.stat().st_ctime_ns + self._later

    def pause(self, seconds: float) -> None:
        self.waits += 1
        if self._texts:
            self._path.write_text(self._texts.pop(0))
        else:
            self._later += int(seconds * 1e9)


def load(place: Place, writer: Writer) -> Loaded:
    parser = Parser(None, user_column=False)
    source = Source([str(place.jobs)], LastGood(place.state), parser, trust=False)
    return source.load_settled(writer.wall_ns, writer.pause)


def known(place: Place) -> None:
    """Have a pass see the jobs files as they are."""
    assert place.call("run").returncode == 0


HALF = "#: name=a\n@daily tr"


def test_a_pass_waits_for_a_file_that_is_being_written_and_takes_no_half_of_it(place: Place, jobs: Path) -> None:
    known(place)
    jobs.write_text(HALF)
    writer = Writer(jobs, f"{HALF}u", SECOND)
    loaded = load(place, writer)
    assert [job.command for job in loaded.jobs] == ["true", "true"]
    assert (writer.waits, loaded.errors) == (3, [])


def test_a_pass_leaves_the_last_good_version_of_a_file_in_force_that_is_written_for_ever(
    place: Place, jobs: Path
) -> None:
    known(place)
    jobs.write_text(HALF)
    place.write("new", HALF)
    loaded = load(place, Writer(jobs, *(f"{HALF}{number}" for number in range(100))))
    assert [job.command for job in loaded.jobs if job.source == str(jobs)] == ["true", "true"]
    assert {problem.message for problem in loaded.errors} == {UNSETTLED[0]}


def test_the_first_pass_of_all_and_one_that_knows_every_file_wait_for_nobody(place: Place, jobs: Path) -> None:
    writer = Writer(jobs)
    assert len(load(place, writer).fresh) == 1
    known(place)
    assert load(place, writer).changed == ()
    assert writer.waits == 0


class Mover(Writer):
    """An editor that has moved a file aside, and moves it back."""

    def wall_ns(self) -> int:
        return self._path.parent.stat().st_ctime_ns + self._later

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        aside = Path(f"{self._path}~")
        if aside.exists():
            aside.rename(self._path)


def test_a_file_that_an_editor_has_just_moved_aside_is_waited_for(place: Place, jobs: Path) -> None:
    known(place)
    jobs.rename(f"{jobs}~")
    assert len(load(place, Mover(jobs)).jobs) == 2


def test_a_pass_waits_for_a_single_file_that_an_editor_has_just_moved_aside_and_lets_go_of_one_that_is_deleted(
    place: Place, jobs: Path
) -> None:
    def single(writer: Writer) -> Loaded:
        source = Source([str(jobs)], LastGood(place.state), Parser(None, user_column=False), trust=False)
        return source.load_settled(writer.wall_ns, writer.pause)

    known(place)
    jobs.rename(f"{jobs}~")
    assert len(single(Mover(jobs)).jobs) == 2
    jobs.unlink()
    loaded = single(Mover(jobs))
    assert (loaded.jobs, loaded.gone, loaded.held) == ((), (str(jobs),), {})
    assert [problem.message for problem in loaded.errors] == ["the path can't be read: No such file or directory"]
    jobs.parent.rmdir()
    loaded = single(Writer(place.root))
    assert (len(loaded.jobs), loaded.gone) == (2, ())


def test_a_pass_lets_no_job_go_whose_file_was_moved_and_is_written_on_in(place: Place, jobs: Path) -> None:
    known(place)
    moved = jobs.rename(jobs.with_name("moved"))
    loaded = load(place, Writer(moved, *(f"{FIRST}# {number}" for number in range(100))))
    assert {job.source for job in loaded.jobs} == {str(jobs)}
    assert loaded.gone == ()
    assert {problem.message for problem in loaded.errors} == {UNSETTLED[0], BESIDE[0]}
