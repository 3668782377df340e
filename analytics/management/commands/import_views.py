import datetime as dt
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.core.management import CommandError, CommandParser
from tqdm import tqdm

from adminlog.jobs import Report, one_line
from analytics.readings import Intake, IntakeCommand, Reading
from analytics.view_files import Unreadable, ViewFile


@contextmanager
def opened(path: str) -> Iterator[ViewFile]:
    """With a bar of how many bytes were read, where there is a terminal to show it at."""
    with ExitStack() as stack:
        stream: Any = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        size = os.fstat(stream.fileno()).st_size if path != "-" else None
        bar = tqdm.wrapattr(stream, "read", size, desc="reading", unit_divisor=1024, disable=None)
        yield ViewFile(stack.enter_context(bar))


class Command(IntakeCommand):
    help = (
        "Take in readings of views from a file: CSV with a header, or JSON lines, of tg_chat_id, message_id, views and"
        " time. Lines that are none are named and left out. A second run of the same file changes nothing."
    )
    summary = (
        "{readings} readings, {suspects} suspect, {bad_lines} bad lines;"
        " {publications} publications and {daily_views} daily views written"
    )
    verdict = "{number} lines were left out, named above; all others are in"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="the file, which may be gzipped, or - for standard input")

    def handle(self, **options: Any) -> None:
        file = options.pop("file")
        self.file = "standard input" if file == "-" else os.fsencode(file).decode("utf-8", "replace")
        with ExitStack() as stack:
            try:
                views = stack.enter_context(opened(file))
            except (OSError, ValueError, Unreadable) as error:
                raise self.unreadable(error) from error
            try:
                super().handle(views=views, **options)
            except Unreadable as error:
                raise self.unreadable(error) from error

    def unreadable(self, error: Any) -> CommandError:
        why = getattr(error, "strerror", None) or one_line(error)
        return CommandError(f"{self.file} cannot be read: {why}; nothing was taken in", returncode=2)

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        with tqdm(desc="merging", unit=" readings", unit_scale=True, delay=1, disable=None) as bar:

            def merged(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            intake = Intake(
                source=os.path.basename(self.file),
                unknown=self.unknown,
                suspect=self.name,
                merged=merged,
                lasting=options["lasting"],
            )
            intake.take(options["views"].readings(now=now, refuse=self.refuse))
        counts = intake.counts
        return self.report(
            {
                "readings": counts["readings"],
                "suspects": counts["suspects"],
                "bad_lines": self.number_of_problems,
                "publications": counts["publications"],
                "daily_views": counts["daily_views"],
            }
        )

    def refuse(self, line: int, why: str) -> None:
        self.problem(f"{self.file}, line {line}: {why}")

    def unknown(self, reading: Reading) -> None:
        self.refuse(reading.line, f"there is no publication {reading.message_id} in channel {reading.tg_chat_id}")
