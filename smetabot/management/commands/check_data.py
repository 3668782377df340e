import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError, CommandParser

import analytics.checks
import billing.checks
import core.checks
import referrals.checks
from adminlog.checks import Finding
from adminlog.jobs import JobCommand, Report

CHECKS = [
    *core.checks.CHECKS,
    *billing.checks.CHECKS,
    *analytics.checks.CHECKS,
    *referrals.checks.CHECKS,
]
NOTICES = [*billing.checks.NOTICES]
REBUILDS = [*analytics.checks.REBUILDS]

# So many findings of a run are kept in admin.job_runs.
KEPT = 20


@dataclass(frozen=True)
class CheckReport(Report):
    findings: Sequence[Finding] = ()
    notices: Sequence[Finding] = ()
    fix: bool = False


class Command(JobCommand[CheckReport]):
    help = (
        "Recompute every derived number from its source and print each row that disagrees; exit 1 if there is one. "
        "A notice is printed too, but is no disagreement."
    )
    summary = "{findings} findings, {notices} notices"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--fix", action="store_true", help="first rebuild what is purely derived; never changes a record"
        )

    def run(self, *, now: dt.datetime, **options: Any) -> CheckReport:
        fixed = sum(rebuild(now=now) for rebuild in REBUILDS) if options["fix"] else 0
        findings = [finding for check in CHECKS for finding in check.find()]
        notices = [notice for look in NOTICES for notice in look(now=now)]
        return CheckReport(
            {"findings": len(findings), "notices": len(notices), "fixed": fixed},
            problems=[
                *map(str, findings[:KEPT]),
                *([f"and {len(findings) - KEPT} more"] if len(findings) > KEPT else []),
            ],
            findings=findings,
            notices=notices,
            fix=options["fix"],
        )

    def print_report(self, report: CheckReport, *, prefix: str, as_json: bool) -> None:
        if as_json:
            result: dict[str, Any] = {
                "findings": [finding._asdict() for finding in report.findings],
                "notices": [notice._asdict() for notice in report.notices],
            }
            self.stdout.write(json.dumps(result | ({"fixed": report.counts["fixed"]} if report.fix else {})))
        else:
            rebuilt = "{fixed} rows rebuilt, " if report.fix else ""
            for line in table({"FINDING": report.findings, "NOTICE": report.notices}):
                self.stdout.write(line)
            self.stdout.write(f"{prefix}: {(rebuilt + self.summary).format_map(report.counts)}")
        if report.findings:
            left = " left, of which records are never rebuilt: look at them by hand" if report.fix else ""
            # Cron mails only this line.
            raise CommandError(
                f"{prefix}: {len(report.findings)} findings{left}; first {report.findings[0]};"
                " manage.py check_data lists them all"
            )


def table(blocks: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    """The blocks that hold anything, each under a header of its own, in columns that they share."""
    rows: list[list[str]] = []
    for title, findings in blocks.items():
        if findings:
            rows += [[title, "TABLE", "ID", "EXPECTED", "FOUND"], *(finding.cells() for finding in findings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
