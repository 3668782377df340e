"""Measures the product beside hand-written SQL and beside the row-by-row way; writes docs/benchmarks.md.

Exit 0 when all is within the limits, 1 when something is not, 2 when it could not be measured.
"""

import argparse
import time
import warnings

import django.db
import psycopg
from django.conf import settings
from django.core.management import CommandError

from bench import (
    channel_statistics,
    checks,
    gifts,
    lists,
    profiles,
    readings,
    referral_cycles,
    report,
    rollup,
    triggers,
)
from bench.databases import alone, prepared
from bench.rounds import Timings
from bench.sizes import SIZES, Size, up_to
from bench.table import MISSED, Line
from testbed import machine
from testbed.console import HinderedError, give_up, say

JOBS = {
    "gifts": gifts,
    "statistics": channel_statistics,
    "rollup": rollup,
    "referrals": referral_cycles,
    "checks": checks,
    "profiles": profiles,
    "views": readings,
    "lists": lists,
    "triggers": triggers,
}


def names(value: str) -> list[str]:
    asked = [name.strip() for name in value.split(",") if name.strip()]
    if wrong := [name for name in asked if name not in JOBS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {','.join(JOBS)}")
    return asked


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="s")
    parser.add_argument("--only", type=names, default=list(JOBS), help="some of the jobs, separated by commas")
    asked = parser.parse_args()
    # It would keep a list of every query.
    settings.DEBUG = False
    # Where the server is away: the error itself says enough.
    warnings.filterwarnings("ignore", "Normally Django will use", RuntimeWarning)
    try:
        return bench(SIZES[asked.size], asked.only)
    except (HinderedError, CommandError, django.db.Error, psycopg.Error) as error:
        return give_up(error)


def bench(size: Size, only: list[str]) -> int:
    start = time.perf_counter()
    sizes = up_to(size)
    found: dict[str, dict[str, Timings]] = {name: {} for name in only}
    with alone():
        for each in sizes:
            wanted = [name for name in only if each is size or JOBS[name].ACROSS]
            if wanted:
                with prepared(each):
                    try:
                        for name in wanted:
                            found[name][each.name] = JOBS[name].measure(each)
                    except KeyboardInterrupt as interrupt:
                        # It may have come while rows were put back, as an error of psycopg's would.
                        raise psycopg.errors.QueryCanceled("Interrupted: the next run fills it anew.") from interrupt
        said_of = machine.describe()
    lines = [line for name in only for line in JOBS[name].lines(sizes, found[name])]
    report.show(lines, size)
    if only == list(JOBS) and size.name != "xs":
        report.write(lines, size, said_of, minutes=(time.perf_counter() - start) / 60)
        say(f"written to the section SIZE={size.name} of docs/benchmarks.md")
    say(f"{time.perf_counter() - start:.0f} s in all")
    missed = [line for line in lines if isinstance(line, Line) and line.verdict(size.name) == MISSED]
    # So few rows say nothing but that it runs.
    return int(bool(missed) and size.name != "xs")
