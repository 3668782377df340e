import datetime as dt
import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from adminlog import chain
from adminlog.jobs import JobCommand, Report


class Command(JobCommand[Report]):
    help = (
        "Follow the journal's chain from its first entry to its last and compare it with the head that the last whole "
        "run recorded; exit 1 at the first link that does not hold."
    )
    summary = "{entries} entries, {emptied} of them emptied, head {seq}:{hash}"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--head", type=chain.head, metavar="SEQ:HASH", help="a head that was kept elsewhere, such as by a backup"
        )

    def handle(self, *, head: str | chain.Head | None = None, **options: Any) -> None:
        try:
            given = chain.head(head) if head is not None else None
        except ArgumentTypeError as error:  # from call_command, which takes any value
            raise CommandError(str(error), returncode=2) from error
        super().handle(head=given, **options)

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        # With the recorded one even if another is given: a run may not vouch for a journal that was cut before it.
        found = chain.verify(known=[head for head in (chain.remembered(), options["head"]) if head])
        counts: dict[str, int | str] = {
            "entries": found.entries,
            "emptied": found.emptied,
            "seq": found.head.seq,
            "hash": found.head.hash,
            "broken": len(found.broken),
        }
        return Report(counts, problems=found.broken)

    def print_report(self, report: Report, *, prefix: str, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**report.counts, "broken": report.problems}))
        elif not report.problems:
            self.stdout.write(f"{prefix}: {self.summary.format_map(report.counts)}")
        if report.problems:
            raise CommandError(f"{prefix}: {'; '.join(report.problems)}")
