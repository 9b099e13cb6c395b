"""The table of options that `#:` directives know: how each value is read, what it means, and what holds without it."""

from __future__ import annotations

from runjobs.core.duration import parse_duration
from runjobs.core.job import Base, Catchup, Leftovers, OnInterrupt, Overlap
from runjobs.core.limits import cpu, memory, pids
from runjobs.core.names import check_job_name, check_name
from runjobs.core.option import Option
from runjobs.core.option_news import NEWS
from runjobs.core.values import (
    absolute_path,
    choice,
    job_names,
    keep_for,
    on,
    parse_size,
    pool,
    positive,
    retry_on,
    settle,
    success_codes,
    timeout,
    umask,
    up_to_a_year,
    user_name,
    whole_number,
    yes_or_no,
    zone_name,
)

OPTIONS: dict[str, Option] = {
    option.key: option
    for option in (
        Option(
            "name",
            check_job_name,
            "",
            "The job's name: how commands, records and locks call it.",
            "name=backup",
            once=True,
        ),
        Option(
            "timeout",
            timeout,
            "1d",
            "How long a run may take before it is ended; `none` switches it off, as `@reboot` jobs have it.",
            "timeout=30m",
        ),
        Option(
            "kill-after",
            parse_duration,
            "10s",
            "How long a run that is being ended has between TERM and KILL.",
            "kill-after=1m",
        ),
        Option(
            "overlap",
            choice(Overlap),
            "skip",
            "What a fire does while an earlier run still goes: `skip`, `queue` up, `replace` the run, or `allow` both.",
            "overlap=queue",
        ),
        Option(
            "lock",
            check_name,
            "",
            "A lock shared by several jobs: only one of them runs at a time; the others do as their `overlap` says.",
            "lock=database",
        ),
        Option(
            "pool",
            pool,
            "",
            "At most so many runs of all jobs that name this pool go at once; the others wait their turn.",
            "pool=uploads:2",
        ),
        Option(
            "after",
            job_names,
            "",
            "Waits until the newest fires of these jobs have ended ok; if one ends otherwise, the fire is skipped.",
            "after=dump,backup",
        ),
        Option(
            "retries",
            whole_number(0, 1000),
            "0",
            "How many more times a run that went wrong is tried.",
            "retries=3",
        ),
        Option(
            "retry-delay",
            up_to_a_year,
            "1m",
            "How long to wait before the first retry; the wait doubles each time.",
            "retry-delay=30s",
        ),
        Option(
            "retry-ceiling",
            up_to_a_year,
            "1h",
            "The longest wait before a retry.",
            "retry-ceiling=10m",
        ),
        Option(
            "retry-on",
            retry_on,
            "",
            "What is tried again: exit codes, `signal`, `timeout`, `error`; without it all of them.",
            "retry-on=75,timeout",
        ),
        Option(
            "on-interrupt",
            choice(OnInterrupt),
            "end",
            "What becomes of a run that a shutdown, crash or reboot cut short: it stays ended, or is started again.",
            "on-interrupt=rerun",
        ),
        Option(
            "catchup",
            choice(Catchup),
            "none",
            "What still starts of fires later than `start-within`: `none`, the `last`, or `all` (100 at most).",
            "catchup=last",
        ),
        Option(
            "success-codes",
            success_codes,
            "0",
            "The exit codes that count as success, as a list of numbers and ranges.",
            "success-codes=0,2,10-19",
        ),
        Option(
            "start-within",
            positive,
            "10m",
            "How late a fire may still start; later it is recorded as missed.",
            "start-within=1h",
        ),
        Option(
            "jitter",
            parse_duration,
            "0s",
            "Spreads starts over this long: each fire waits its own fixed share of it.",
            "jitter=5m",
        ),
        Option(
            "tz",
            zone_name,
            "",
            "The time zone of the schedule; without it `CRON_TZ`, then the runner's local time.",
            "tz=Europe/Berlin",
        ),
        Option(
            "user",
            user_name,
            "",
            "Who the job runs as (only root can); without it the user column, then the runner's user.",
            "user=www-data",
        ),
        Option(
            "cwd",
            absolute_path,
            "",
            "The folder the job starts in, an absolute path; without it the user's home, as in cron.",
            "cwd=/srv/app",
        ),
        Option(
            "umask", umask, "", "The mask for files the job creates, in octal; without it the runner's.", "umask=027"
        ),
        Option(
            "env-file",
            absolute_path,
            "",
            "A file of NAME=value lines for the job's environment, read at each start; its values are never shown.",
            "env-file=/etc/backup.env",
        ),
        Option(
            "env",
            choice(Base),
            "inherit",
            "What the job's environment starts from: all the runner was given, or `clean`, cron's few variables.",
            "env=clean",
        ),
        Option(
            "nice",
            whole_number(-20, 19),
            "0",
            "Added to the job's niceness, from -20 (greedy, root only) to 19 (humble).",
            "nice=10",
        ),
        Option(
            "memory",
            memory,
            "",
            "The most memory that all processes of a run have together; one that needs more is killed, and says so.",
            "memory=100M",
        ),
        Option(
            "cpu",
            cpu,
            "",
            "The most CPU time that all processes of a run get together, as a share of one CPU or as so many CPUs.",
            "cpu=50%",
        ),
        Option("pids", pids, "", "How many processes and threads a run may have at once.", "pids=50"),
        Option(
            "leftovers",
            choice(Leftovers),
            "keep",
            "What happens to processes that a job leaves behind at its end: `keep` or `kill`.",
            "leftovers=kill",
        ),
        Option(
            "log-limit",
            parse_size,
            "10M",
            "How much output is kept per run: half of it from the beginning, half from the end.",
            "log-limit=64k",
        ),
        Option("keep", whole_number(1, 1_000_000), "30", "How many runs of the job have their output kept.", "keep=7"),
        Option("keep-for", keep_for, "none", "How long a run's output is kept; `none` has no limit.", "keep-for=90d"),
        Option(
            "history",
            whole_number(1, 10_000_000),
            "10000",
            "How many fires of the job stay on record.",
            "history=500",
        ),
        Option(
            "history-for", keep_for, "400d", "How long a fire stays on record; `none` has no limit.", "history-for=30d"
        ),
        Option(
            "enabled",
            yes_or_no,
            "yes",
            "`no` keeps the job in the file, checked and listed, without firing it.",
            "enabled=no",
        ),
        Option(
            "on",
            on,
            "write,create,delete,move",
            "What a `@watch` job is told of, a list of `write`, `create`, `delete` and `move`.",
            "on=create,move",
        ),
        Option(
            "settle",
            settle,
            "500ms",
            "For how long nothing must have changed at the paths of a `@watch` job before it is told.",
            "settle=5s",
        ),
        Option(
            "recursive",
            yes_or_no,
            "no",
            "Says that `@watch` looks at folders with all that is below them.",
            "recursive",
        ),
        *NEWS,
        Option(
            "fields",
            whole_number(5, 7),
            "5",
            "How many fields the schedule has: 6 puts seconds first, 7 also a year last.",
            "fields=6",
        ),
        Option(
            "user-column",
            yes_or_no,
            "no",
            "Says that each job of the file names its user before the command, as in /etc/crontab.",
            "user-column",
            once=True,
        ),
    )
}
