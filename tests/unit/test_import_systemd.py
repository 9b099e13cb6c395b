"""Timers and path units taken over, each with its service."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import FieldError, Severity
from runjobs.core.imports.account import Fate, Source
from runjobs.core.imports.execline import read_exec, specified
from runjobs.core.imports.triggers import UnitFiles, service_name, take_trigger
from runjobs.core.job import Catchup, Leftovers
from tests.support.imports import CASES, accounted, messages

if TYPE_CHECKING:
    from pathlib import Path

    from runjobs.core.imports.account import Taken
    from runjobs.core.job import Job

UNITS = CASES / "systemd"
TRIGGERS = sorted(path.name for path in UNITS.iterdir() if path.suffix in {".timer", ".path"})
DAILY = "[Timer]\nOnCalendar=daily\n"


def files(path: Path) -> UnitFiles:
    return UnitFiles(path.name, [Source(path.name, path.read_text())])


def take(service: str, timer: str = DAILY, *, there: tuple[str, ...] = (), kind: str = "timer") -> Taken:
    return take_trigger(
        UnitFiles(f"a.{kind}", [Source(f"a.{kind}", timer)]),
        UnitFiles("a.service", [Source("a.service", service)]),
        "here",
        exists=there.__contains__,
    )


def jobs_of(service: str, timer: str = DAILY, there: tuple[str, ...] = ()) -> list[Job]:
    return accounted(take(service, timer, there=there), Source("a.timer", timer), Source("a.service", service))


def one(settings: str, timer: str = DAILY) -> Job:
    (job,) = jobs_of(f"[Service]\nExecStart=/bin/x\n{settings}\n", timer)
    return job


def lost(settings: str) -> list[str]:
    service = f"[Service]\nExecStart=/bin/x\n{settings}\n"
    jobs_of(service)
    return messages(take(service))


@pytest.mark.parametrize("name", TRIGGERS)
def test_each_line_of_a_debian_unit_is_accounted_for(name: str) -> None:
    trigger = files(UNITS / name)
    service = files(UNITS / service_name(trigger))
    taken = take_trigger(trigger, service, "here")
    accounted(taken, *trigger.sources, *service.sources)


@pytest.mark.parametrize(
    ("name", "schedule", "command"),
    [
        ("certbot", "0 */12 * * *", "/usr/bin/certbot -q renew --no-random-sleep-on-renew"),
        (
            "apt-daily-upgrade",
            "0 6 * * *",
            "{ /usr/lib/apt/apt-helper wait-online || :; } && /usr/lib/apt/apt.systemd.daily install",
        ),
        ("exim4-base", "0 0 * * *", "ionice -c 2 -n 7 -p $$; /etc/cron.daily/exim4-base systemd-timer"),
        ("phpsessionclean", "9,39 * * * *", "/usr/lib/php/sessionclean"),
        (
            "mdmonitor-oneshot",
            "0 2 * * *",
            "set -f; { /usr/lib/mdadm/mdadm_env.sh || :; } && /sbin/mdadm --monitor --oneshot $MDADM_MONITOR_ARGS",
        ),
        ("anacron", "30 7-23 * * *", "set -f; /usr/sbin/anacron -d -q $ANACRON_ARGS"),
    ],
)
def test_a_debian_timer_runs_the_same_command_at_the_same_times(name: str, schedule: str, command: str) -> None:
    trigger, service = files(UNITS / f"{name}.timer"), files(UNITS / f"{name}.service")
    (job,) = accounted(take_trigger(trigger, service, "here"), *trigger.sources, *service.sources)
    assert (job.name, job.schedule.expression, job.command) == (name, schedule, command)


def test_a_timer_that_counts_from_boot_starts_there_and_again_after_its_period() -> None:
    name = "systemd-tmpfiles-clean"
    trigger, service = files(UNITS / f"{name}.timer"), files(UNITS / f"{name}.service")
    boot, again = accounted(take_trigger(trigger, service, "here"), *trigger.sources, *service.sources)
    assert (boot.schedule.expression, again.schedule.expression) == ("@reboot", "@every 1d")
    assert boot.command.startswith("sleep 900; ")
    assert boot.options.lock == again.options.lock == name


# when


def test_a_timer_that_is_persistent_catches_up() -> None:
    assert one("").options.catchup is Catchup.NONE
    assert one("", DAILY + "Persistent=yes\nRandomizedDelaySec=1h\n").options.catchup is Catchup.LAST
    assert one("", DAILY + "RandomizedDelaySec=1h\n").options.jitter == timedelta(hours=1)
    assert one("", DAILY + "RandomizedDelaySec=0\n").options.jitter == timedelta(0)


def test_zones_seconds_and_years_are_said_in_options() -> None:
    job = one("", "[Timer]\nOnCalendar=2027-1-1 1:2:3 Europe/Berlin\n")
    assert (job.schedule.expression, job.schedule.tz) == ("3 2 1 1 1 * 2027", "Europe/Berlin")


def test_several_times_of_one_unit_share_a_lock() -> None:
    jobs = jobs_of("[Service]\nExecStart=/bin/x\n", "[Timer]\nOnCalendar=daily\nOnCalendar=12:00\n")
    assert [(job.name, job.options.lock) for job in jobs] == [("a", "a"), ("a-2", "a")]


def test_a_path_unit_watches() -> None:
    unit = "[Path]\nPathChanged=/etc/my file\nPathModified=/b\nPathExists=/c\n"
    service = "[Service]\nExecStart=/bin/x\n"
    taken = take(service, unit, kind="path")
    accounted(taken, Source("a.path", unit), Source("a.service", service))
    assert "@watch '/etc/my file' -- /bin/x\n" in taken.text
    assert messages(taken) == ["runjobs has nothing like PathExists"]


@pytest.mark.parametrize(
    "timer",
    [
        "OnCalendar=Fri *-*-13", "OnCalendar=nonsense", "OnCalendar=2027-02-30", "OnBootSec=infinity", "OnBootSec=soon",
        "OnUnitActiveSec=1.5s", "OnUnitActiveSec=0", "OnUnitActiveSec=infinity", "RandomizedDelaySec=soon",
        "WakeSystem=true", "OnClockChange=yes", "OnCalendar=%m", "FixedRandomDelay=true",
    ],
)  # fmt: skip
def test_a_start_that_cannot_be_carried_over_is_reported(timer: str) -> None:
    text = f"[Timer]\n{timer}\n"
    service = "[Service]\nExecStart=/bin/x\n"
    taken = take(service, text)
    accounted(taken, Source("a.timer", text), Source("a.service", service))
    assert len(messages(taken)) == 1


def test_starts_that_are_counted_otherwise_are_said_to_be() -> None:
    timer = "[Timer]\nOnActiveSec=1min\nOnBootSec=0\nOnUnitInactiveSec=1h\nAccuracySec=1h\nUnit=a.service\n"
    assert [job.schedule.expression for job in jobs_of("[Service]\nExecStart=/bin/x\n", timer)] == [
        "@reboot", "@reboot", "@every 1h",
    ]  # fmt: skip
    taken = take("[Service]\nExecStart=/bin/x\n", timer)
    assert len(messages(taken, Severity.WARNING)) == 2


def test_which_service_is_started_can_be_said() -> None:
    assert service_name(UnitFiles("a.timer", [Source("a.timer", "[Timer]\nUnit=b.service\n")])) == "b.service"
    assert service_name(UnitFiles("a@b.timer", [Source("a.timer", DAILY)])) == "a@b.service"


def test_a_service_that_is_not_there_or_starts_nothing_loses_the_timer() -> None:
    taken = take_trigger(UnitFiles("a.timer", [Source("a.timer", DAILY)]), UnitFiles("a.service", []), "here")
    accounted(taken, Source("a.timer", DAILY))
    assert messages(taken) == ["its service a.service is not to be found"]
    assert messages(take("[Service]\nType=oneshot\n")) == ["its service a.service starts nothing"]


# files


def test_drop_ins_add_and_clear() -> None:
    trigger = UnitFiles(
        "a.timer", [Source("a.timer", DAILY), Source("b.conf", "[Timer]\nOnCalendar=\nOnCalendar=hourly\n")]
    )
    service = UnitFiles("a.service", [Source("a.service", "[Service]\nExecStart=/bin/x\nNice=1\nNice=2\n")])
    taken = take_trigger(trigger, service, "here")
    (job,) = accounted(taken, *trigger.sources, *service.sources)
    assert (job.schedule.expression, job.options.nice) == ("0 * * * *", 2)
    assert taken.counted[0].fates == (Fate.CARRIED, Fate.COMMENT)


def test_lines_go_on_behind_a_backslash_and_comments_between_do_not_count() -> None:
    job = one("")
    assert job.command == "/bin/x"
    service = "# head\n; too\n\n[Service]\nExecStart=/bin/x \\\n# not this\n  a \\\n  b\nnonsense\n"
    (job,) = jobs_of(service)
    assert (job.command, messages(take(service))) == ("/bin/x a b", ["this line is not understood"])
    assert jobs_of("[Service]\nExecStart=/bin/x \\")[0].command == "/bin/x"
    assert messages(take("Before=section\n[Service]\nExecStart=/bin/x\n")) == ["this line is not understood"]


# what


def test_a_service_of_systemd_keeps_its_surroundings() -> None:
    options = one("").options
    assert (options.timeout, options.kill_after, options.cwd) == (None, timedelta(seconds=90), "/")
    assert options.leftovers is Leftovers.KILL
    assert "/usr/local/sbin" in dict(one("").environment)["PATH"]


@pytest.mark.parametrize(
    ("setting", "option", "value"),
    [
        ("User=www-data", "user", "www-data"),
        ("WorkingDirectory=/srv", "cwd", "/srv"),
        ("WorkingDirectory=-/srv", "cwd", "/srv"),
        ("WorkingDirectory=~", "cwd", None),
        ("EnvironmentFile=/etc/x", "env_file", "/etc/x"),
        ("Nice=19", "nice", 19),
        ("UMask=0027", "umask", 0o27),
        ("Type=oneshot\nTimeoutStartSec=5min", "timeout", timedelta(minutes=5)),
        ("Type=oneshot\nTimeoutSec=infinity", "timeout", None),
        ("TimeoutStartSec=5min", "timeout", None),
        ("RuntimeMaxSec=1h", "timeout", timedelta(hours=1)),
        ("TimeoutStopSec=5", "kill_after", timedelta(seconds=5)),
        ("KillMode=process", "leftovers", Leftovers.KEEP),
        ("KillMode=mixed", "leftovers", Leftovers.KILL),
        ("SuccessExitStatus=2 DATAERR 0", "success_codes", frozenset({0, 2, 65})),
        ("MemoryMax=1G", "memory", 2**30),
        ("MemoryMax=1048576", "memory", 2**20),
        ("MemoryMax=infinity", "memory", None),
        ("TasksMax=50", "pids", 50),
        ("TasksMax=infinity", "pids", None),
        ("KillSignal=SIGTERM\nRestart=no\nStandardInput=null\nDynamicUser=no\nPrivateTmp=no", "enabled", True),
    ],
)
def test_a_setting_becomes_an_option(setting: str, option: str, value: object) -> None:
    assert lost(setting) == []
    assert getattr(one(setting).options, option) == value


def test_a_share_of_the_cpu_is_carried_over() -> None:
    assert "cpu=20%" in take("[Service]\nExecStart=/bin/x\nCPUQuota=20%\n").text


@pytest.mark.parametrize(
    "setting",
    [
        "Group=adm", "PrivateTmp=yes", "MemoryMax=50%", "TasksMax=50%", "Restart=always", "KillSignal=SIGUSR1",
        "TimeoutStopSec=infinity", "Type=forking", "StandardOutput=file:/x", "StandardInput=tty", "OnFailure=b.service",
        "ConditionACPower=true", "SuccessExitStatus=SIGHUP", "Environment=A", "Environment=CRON_TZ=UTC", "Nice=99",
        "EnvironmentFile=-/etc/gone", "EnvironmentFile=/a\nEnvironmentFile=/b", "ExecStop=/bin/y", "UMask=9",
        "IOSchedulingClass=odd", 'Environment="A=1', "WorkingDirectory=srv", "RequiresMountsFor=/srv",
    ],
)  # fmt: skip
def test_a_setting_that_no_job_can_have_is_reported_and_the_job_stays(setting: str) -> None:
    assert len(lost(setting)) == 1
    assert one(setting).options.enabled


@pytest.mark.parametrize(
    "setting",
    [
        "DynamicUser=yes", "RootDirectory=/srv", "User=%m", "User=a b", "ConditionHost=a", "ConditionPathExists=|/x",
        "AssertPathExistsGlob=/x/$y", "ConditionPathExists=x", "User=a\nExecStartPre=+/bin/y", "ExecStartPre=@/bin/y z",
        "ExecStartPre='", "ExecStartPre=-", "ExecCondition=|/bin/y",
    ],
)  # fmt: skip
def test_a_job_that_would_run_otherwise_or_as_somebody_else_is_switched_off(setting: str) -> None:
    assert len(lost(setting)) == 1
    assert not one(setting).options.enabled


def test_what_speaks_to_people_or_of_units_is_no_loss() -> None:
    service = "[Unit]\nDescription=Tidy up\nAfter=network.target\nX-Ours=1\n[Service]\nExecStart=/bin/x\nType=notify\n"
    taken = take(service + "WorkingDirectory=-/srv\n")
    assert (messages(taken), len(messages(taken, Severity.WARNING))) == ([], 3)
    assert "# Tidy up\n" in taken.text


def test_conditions_are_asked_first() -> None:
    settings = "ConditionPathExists=/a b\nConditionPathExistsGlob=!/c/*\nAssertFileIsExecutable=/d\n"
    settings += "ConditionDirectoryNotEmpty=/e"
    assert one(settings).command == (
        "[ -e '/a b' ] || exit 0; ! ls -d /c/* >/dev/null 2>&1 || exit 0; [ -x /d ] || exit 1; "
        '[ -n "$(ls -A /e 2>/dev/null)" ] || exit 0; /bin/x'
    )
    assert one("", DAILY + "[Unit]\nConditionPathExists=/a\n").command == "[ -e /a ] || exit 0; /bin/x"


def test_commands_follow_each_other_as_long_as_they_go_well() -> None:
    settings = "ExecStartPre=-/bin/p\nExecStart=/bin/y ; /bin/z\nExecStartPost=/bin/q\nExecCondition=/bin/c\n"
    assert one(settings).command == "/bin/c || exit 0; { /bin/p || :; } && /bin/x && /bin/y && /bin/z && /bin/q"


def test_a_command_with_more_rights_needs_none_where_nobody_lowered_them() -> None:
    assert one("ExecStart=+/bin/y").command == "/bin/x && /bin/y"


def test_output_that_goes_elsewhere_goes_there() -> None:
    assert one("StandardOutput=null\nStandardError=append:/var/log/x y").command == (
        "exec >/dev/null; exec 2>>'/var/log/x y'; /bin/x"
    )
    assert one("StandardOutput=journal").command == "/bin/x"
    assert lost("User=a\nStandardOutput=append:/x") != []


def test_variables_keep_their_values() -> None:
    job = one("Environment=A=1 \"B=two words\" C=%%d A=3\nEnvironment='D= lead'")
    assert dict(job.environment) | {"PATH": ""} == {"PATH": "", "A": "3", "B": "two words", "C": "%d", "D": " lead"}


def test_an_optional_env_file_is_taken_where_it_is_there() -> None:
    service = "[Service]\nExecStart=/bin/x\nEnvironmentFile=-/etc/x\n"
    (job,) = jobs_of(service, there=("/etc/x",))
    assert job.options.env_file == "/etc/x"


def test_a_secret_is_pointed_out_and_hidden() -> None:
    taken = take("[Service]\nExecStart=/bin/x\nEnvironment=API_TOKEN=hunter2\n")
    (problem,) = taken.problems
    assert (taken.private, "hunter2" in problem.text) == (True, False)


def test_the_disk_class_is_set_before_the_command() -> None:
    assert one("IOSchedulingClass=idle\nIOSchedulingPriority=7").command == "ionice -c 3 -p $$; /bin/x"
    assert one("IOSchedulingPriority=7").command == "ionice -c 2 -n 7 -p $$; /bin/x"


# command lines


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/bin/x a  b", "/bin/x a b"),
        ("/bin/x 'a b' \"c d\" e' 'f", "/bin/x 'a b' 'c d' 'e f'"),
        (r"/bin/x \x41\101B\t \"", "/bin/x 'AAB\t' '\"'"),
        ("/bin/x $$HOME ${A} pre${A}post $B *", "/bin/x '$'HOME \"${A}\" pre\"${A}\"post $B '*'"),
        ("/bin/x '${A} ${B}'", '/bin/x "${A}"\' \'"${B}"'),
        (":/bin/x ${A} $B", "/bin/x '${A}' '$B'"),
        ("/bin/x %% %i %n %I", "/bin/x % b-c a@b-c.service b/c"),
        ("/bin/x 50%%", "/bin/x 50%"),
        ("; /bin/x ;", "/bin/x"),
    ],
)
def test_a_command_line_is_what_the_shell_would_be_given(line: str, text: str) -> None:
    assert [each.text for each in read_exec(line, "a@b-c.service")] == [text]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), min_size=1), max_size=4))
def test_any_words_reach_the_command_through_unit_and_crontab(words: list[str]) -> None:
    quoted = " ".join('"' + _escaped(word) + '"' for word in words)
    job = one(f"ExecStart=/bin/y {quoted}")
    assert shlex.split(job.command.removeprefix("/bin/x && ")) == ["/bin/y", *words]


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")


def test_specifiers_that_only_systemd_knows_are_refused() -> None:
    with pytest.raises(FieldError, match="only systemd"):
        specified("%m", "a.service")
    assert specified(r"%p %j %f %N", r"my-a\x2db.service") == r"my-a\x2db a\x2db /my/a-b my-a\x2db"


PIECES = [
    "ExecStart=/bin/x %i", "User=",
    "Nice=3", "Nice=x", "Environment='A=1' B=\"2", "[Unit]", "#c", "",
    "OnCalendar=daily",
    "Type=oneshot \\", "odd", "ConditionHost=a", "[Service]", "EnvironmentFile=/x", "Unit=a.service", "OnBootSec=1",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_whatever_units_hold_each_line_is_accounted_for(lines: list[str]) -> None:
    jobs_of("\n".join(["[Service]", *lines]), "\n".join(["[Timer]", *lines]))
