import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.core.management.base import CommandError, CommandParser

import analytics.checks
import billing.checks
import core.checks
import referrals.checks
from adminlog.checks import MOST, Finding, Findings
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
    # Of both, those that are only counted.
    left_out: int = 0
    fix: bool = False


class Command(JobCommand[CheckReport]):
    help = (
        "Recompute every derived number from its source and print the rows that disagree, of each check the first "
        f"{MOST}; exit 1 if there is one. A notice is printed too, but is no disagreement."
    )
    summary = "{findings} findings, {notices} notices"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--fix", action="store_true", help="first rebuild what is purely derived; never changes a record"
        )

    def run(self, *, now: dt.datetime, **options: Any) -> CheckReport:
        fixed = sum(rebuild(now=now) for rebuild in REBUILDS) if options["fix"] else 0
        findings = together(check.find() for check in CHECKS)
        notices = together(look(now=now) for look in NOTICES)
        more = findings.number - KEPT
        return CheckReport(
            {"findings": findings.number, "notices": notices.number, "fixed": fixed},
            problems=[*map(str, findings[:KEPT]), *([f"and {more} more"] if more > 0 else [])],
            findings=findings,
            notices=notices,
            left_out=findings.number + notices.number - len(findings) - len(notices),
            fix=options["fix"],
        )

    def print_report(self, report: CheckReport, *, prefix: str, as_json: bool) -> None:
        if as_json:
            result: dict[str, Any] = {
                "findings": [finding._asdict() for finding in report.findings],
                "notices": [notice._asdict() for notice in report.notices],
            }
            if report.left_out:
                result["left_out"] = report.left_out
            self.stdout.write(json.dumps(result | ({"fixed": report.counts["fixed"]} if report.fix else {})))
        else:
            rebuilt = "{fixed} rows rebuilt, " if report.fix else ""
            for line in table({"FINDING": report.findings, "NOTICE": report.notices}):
                self.stdout.write(line)
            if report.left_out:
                self.stdout.write(f"and {report.left_out} more: of each check the first {MOST} are listed")
            self.stdout.write(f"{prefix}: {(rebuilt + self.summary).format_map(report.counts)}")
        if report.findings:
            left = " left, of which records are never rebuilt: look at them by hand" if report.fix else ""
            # Cron mails only this line.
            raise CommandError(
                f"{prefix}: {report.counts['findings']} findings{left}; first {report.findings[0]};"
                " manage.py check_data lists them"
            )


def together(found: Iterable[Findings]) -> Findings:
    all_found = list(found)
    return Findings(chain.from_iterable(all_found), sum(each.number for each in all_found))


def table(blocks: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    """The blocks that hold anything, each under a header of its own, in columns that they share."""
    rows: list[list[str]] = []
    for title, findings in blocks.items():
        if findings:
            rows += [[title, "TABLE", "ID", "EXPECTED", "FOUND"], *(finding.cells() for finding in findings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
