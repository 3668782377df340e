import argparse
import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError
from django.db import DatabaseError, Error, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from adminlog import alerts, logs
from adminlog.models import JobRun
from smetabot.postgres.outage import is_away
from smetabot.postgres.retry import retry_transient
from smetabot.postgres.text import storable

logger = logging.getLogger(__name__)


def moment(value: str | dt.datetime) -> dt.datetime:
    """Argument type: an ISO 8601 time with its zone, in UTC. Years 2 to 9998, which any zone can still show."""
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        if timezone.is_aware(time) and 1 < time.year < 9999:
            return time.astimezone(dt.UTC)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{str(value)!r} is no time with a zone; write 2026-01-31T09:00:00Z")


def calendar_day(value: str | dt.date) -> dt.date:
    """Argument type: a day as ISO 8601 writes it."""
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is no day; write 2026-01-31") from None


def positive(value: str | int) -> int:
    """Argument type: a whole number from 1 to a million."""
    try:
        if 1 <= (number := int(value)) <= 1_000_000:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{str(value)!r} is not a whole number from 1 to 1000000")


def text(value: str) -> str:
    """Argument type: what PostgreSQL can look for."""
    if value == storable(value):
        return value
    raise argparse.ArgumentTypeError(f"{value!r} is no text in UTF-8")


def one_line(error: BaseException) -> str:
    """What it says, as the database takes it."""
    return " ".join(storable(str(error)).split())


@dataclass(frozen=True)
class Report:
    """What a run did. `problems` are lines for a person; any one of them makes the run a failed one."""

    counts: Mapping[str, int | str]
    problems: Sequence[str] = ()


ReportT = TypeVar("ReportT", bound=Report)


class OneLineCommand(BaseCommand):
    """Refuses in one line: argparse prints the usage above each error, and cron mails all of it."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, usage=argparse.SUPPRESS, **kwargs)
        refuse = parser.error
        # What was typed may have line breaks of its own.
        parser.error = lambda message: refuse(" ".join(message.split()))  # type: ignore[method-assign]
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            for name, value in options.items():
                if value == []:
                    # argparse takes what stands in --now=-- for the end of all options.
                    raise CommandError(f"argument --{name.replace('_', '-')}: -- is no value", returncode=2)
            return super().execute(*args, **options)
        except SystemCheckError:
            # Several findings with their hints, for a person at a terminal.
            raise
        except CommandError as error:
            # The name of a file may hold a line feed, or bytes that are no UTF-8.
            error.args = (one_line(error),)
            raise


class JobCommand(OneLineCommand, Generic[ReportT]):
    """A command that cron calls: `run` does the work, everything that such commands have in common is here.

    Exit 0 done, also when there was nothing to do; 1 something failed; 2 bad arguments, no database or an unmigrated
    one, in one line. Every run that is not dry is a row in admin.job_runs.
    """

    # A fault in a page of the admin must not keep gifts from being handed out.
    requires_system_checks = ()

    # The counts in words: a format string over their names.
    summary: ClassVar[str]

    def run(self, *, now: dt.datetime, **options: Any) -> ReportT:
        """Do the work; committed piece by piece, or, in a dry run, inside one transaction that is rolled back."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="do everything, then roll it back")
        parser.add_argument("--now", type=moment, help="the moment to work at, such as 2026-01-31T09:00:00Z")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def execute(self, *args: Any, **options: Any) -> str | None:
        # What a process that goes on says afterwards is not of this run.
        token = logs.run_id.set(None)
        try:
            return super().execute(*args, **options)
        finally:
            logs.run_id.reset(token)

    def handle(self, *, dry_run: bool, now: str | dt.datetime | None, json: bool, **options: Any) -> None:
        try:
            given = moment(now) if now is not None else None
        except argparse.ArgumentTypeError as error:  # from call_command, which takes any value
            raise CommandError(str(error), returncode=2) from error
        require_migrated_database()
        name = type(self).__module__.rpartition(".")[2]
        job_run: JobRun | None = None
        try:
            if not dry_run:
                job_run = JobRun.objects.create(command=name, now=given)
                logs.run_id.set(job_run.pk)
            with transaction.atomic() if dry_run else nullcontext():
                report = self.run(now=given or timezone.now(), **options)
                if dry_run:
                    transaction.set_rollback(True)
        except Exception as error:
            # If the database is away, the run stays unfinished there, which is what happened.
            with suppress(Error):
                self.finish(job_run, outcome=JobRun.Outcome.FAILED, error=f"{type(error).__name__}: {one_line(error)}")
            if isinstance(error, Error):
                # It went away in the middle, and did not come back for as long as there were tries.
                if is_away(error) and not connection.is_usable():
                    raise CommandError(f"No database: {one_line(error)}; {name} broke off", returncode=2) from error
                raise CommandError(f"{name} failed: {one_line(error)}") from error
            raise
        outcome = JobRun.Outcome.FAILED if report.problems else JobRun.Outcome.DONE
        self.finish(job_run, outcome=outcome, counts=report.counts, error=storable("\n".join(report.problems)) or None)
        try:
            try:
                self.print_report(report, prefix=f"{name} (dry run)" if dry_run else name, as_json=json)
            finally:
                self.stdout.flush()
        except OSError as error:
            mute_stdout()
            # A reader like head may have seen enough; the run itself is done and recorded.
            if report.problems or not isinstance(error, BrokenPipeError):
                raise CommandError(
                    f"{name}: {len(report.problems)} problems, and not all is printed: {error}"
                ) from error

    @retry_transient
    def finish(self, job_run: JobRun | None, **fields: Any) -> None:
        if job_run:
            JobRun.objects.filter(pk=job_run.pk).update(finished_at=Now(), **fields)
            logger.info("%s %s", job_run.command, fields["outcome"], extra=fields)
            job_run.outcome, job_run.error = fields["outcome"], fields.get("error")
            # What the run has to say itself matters more; watch_jobs makes up for it.
            with suppress(Error), transaction.atomic():
                alerts.follow(job_run, now=timezone.now())

    def print_report(self, report: ReportT, *, prefix: str, as_json: bool) -> None:
        for problem in report.problems:
            self.stderr.write(problem)
        text = json.dumps(report.counts) if as_json else f"{prefix}: {self.summary.format_map(report.counts)}"
        self.stdout.write(text)
        if report.problems:
            raise CommandError(f"{prefix}: {len(report.problems)} failed, named above; the next run tries again")


def mute_stdout() -> None:
    """What is left in the buffer of one that takes no more must not fail again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def require_migrated_database() -> None:
    try:
        connection.ensure_connection()
        # Whoever has the newest has them all; to make the plan would take longer than most of a job's statements.
        if _newest_migrations() <= MigrationRecorder(connection).applied_migrations().keys():
            return
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"No database: {one_line(error)}", returncode=2) from error
    if missing:
        migration = missing[0][0]
        raise CommandError(
            f"The database lacks {len(missing)} migrations, first {migration}: run manage.py migrate", returncode=2
        )
