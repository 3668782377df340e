"""Backs a database of the bench up and restores it, beside plain pg_dump and pg_restore; spoils backups and kills both
half-way; writes the section of docs/reliability.md.

Exit 0 when all came back and nothing else passed for a backup, 1 when something was lost, 2 when it could not be run.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management import CommandError
from django.db import Error

from bench.backups.commands import Lost
from bench.backups.compared import compared
from bench.backups.harmed import harmed
from bench.databases import alone, copied
from bench.sizes import SIZES, Size
from smetabot.backups import BackupError
from smetabot.postgres import programs
from testbed import machine
from testbed.console import HinderedError, give_up, say
from testbed.databases import drop, plain
from testbed.documents import write_section


def main() -> int:
    parser = argparse.ArgumentParser(prog="make backup-test", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="s")
    size = SIZES[parser.parse_args().size]
    settings.DEBUG = False
    try:
        with alone():
            run(size)
    except Lost as error:
        print(f"LOST: {error}", file=sys.stderr)
        return 1
    except (HinderedError, CommandError, BackupError, programs.ProgramError, Error, psycopg.Error, OSError) as error:
        return give_up(error)
    return 0


def run(size: Size) -> None:
    began = time.perf_counter()
    source, target = f"backup_{size.name}", f"restored_{size.name}"
    with tempfile.TemporaryDirectory() as scratch, copied(size, source):
        try:
            with plain() as desk:
                desk.execute(
                    "INSERT INTO admin.admin_actions (admin_id, action)"
                    " SELECT (SELECT min(id) FROM admin.admin_users), 'bench' FROM generate_series(1, %s)",
                    [size.contractors // 10],
                )
            told = [*compared(size, source, target, Path(scratch)), *harmed(source, target, Path(scratch))]
        finally:
            drop(target)
    minutes = (time.perf_counter() - began) / 60
    text = report(size, told, minutes)
    print(f"\n{text}\n")
    if size.name != "xs":
        write_section(Path(settings.BASE_DIR, "docs", "reliability.md"), "Backup and restore", text)
        say("written to docs/reliability.md")


def report(size: Size, told: list[tuple[str, str]], minutes: float) -> str:
    said = [f"{name} {text}" for name, text in machine.describe().items()]
    return "\n".join(
        [
            f"Written by `make backup-test SIZE={size.name}` in {minutes:.0f} minutes: {size}. What each does is in",
            "[backup.md](backup.md). Read the ratios: seconds belong to the machine.",
            "",
            "| what | outcome |",
            "|---|---|",
            *(f"| {what} | {outcome} |" for what, outcome in told),
            "",
            "Lost 0, doubled 0.",
            "",
            "; ".join(said) + ".",
        ]
    )
