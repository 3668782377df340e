"""How long both take, and whether all is as it was."""

import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import call_command
from psycopg.conninfo import make_conninfo

from bench.backups.commands import backup, expect, restore, seconds
from bench.databases import silence
from bench.sizes import Size
from smetabot import backups
from smetabot.backups import DUMP
from smetabot.postgres import programs
from testbed.console import say
from testbed.databases import make, plain, use

# The run that is recorded there ends after the snapshot; nobody is to be logged in.
MOVING = ["admin.job_runs", *backups.LEFT_OUT]


def compared(size: Size, source: str, target: str, scratch: Path) -> Iterator[tuple[str, str]]:
    rounds = 3 if size.is_small else 1
    dump = scratch / "plain.dump"
    into = f"--dbname={make_conninfo(dbname=target)}"
    times: dict[str, list[float]] = {"pg_dump": [], "backup": [], "pg_restore": [], "restore": []}
    schemas: dict[str, list[str]] = {}
    for number in range(rounds):
        folder = scratch / f"round{number}"
        use(source)
        say(f"round {number + 1} of {rounds}: pg_dump")
        times["pg_dump"].append(seconds(lambda: programs.run("pg_dump", "--format=custom", f"--file={dump}")))
        say("backup")
        times["backup"].append(seconds(lambda folder=folder: backup(folder)))  # type: ignore[misc]
        for name, work in (
            ("pg_restore", lambda: programs.run("pg_restore", "--exit-on-error", "--single-transaction", into, dump)),
            ("restore", lambda folder=folder: restore(next(folder.iterdir()))),
        ):
            use(source)
            make(target)
            use(target)
            say(name)
            times[name].append(seconds(work))
            schemas[name] = schema()
    [place] = (scratch / "round0").iterdir()
    manifest = backups.read(place)
    say("comparing every row and the schema")
    tables = compare(source, target)
    # Not with what it was before: PostgreSQL says some conditions in other words once it has read its own.
    expect(schemas["restore"] == schemas["pg_restore"], "the schema was not restored as pg_restore does")
    with silence() as nowhere:
        call_command("verify_journal", head=manifest.head, stdout=nowhere)
    size_of = f"{place.joinpath(DUMP).stat().st_size / 2**20:.1f} MB"
    yield "rows, tables, entries of the journal", f"{manifest.rows:,}, {len(manifest.tables)}, {manifest.head.seq:,}"
    yield (
        "the files of backup, beside that of pg_dump",
        f"{size_of}, {manifest.bytes / dump.stat().st_size:.2f} times as large",
    )
    for ours, theirs in (("backup", "pg_dump"), ("restore", "pg_restore")):
        took, alone = statistics.median(times[ours]), statistics.median(times[theirs])
        yield f"{ours}, beside {theirs}", f"{took:.1f} s and {alone:.1f} s: {took / alone:.2f} times as long"
    yield "tables whose rows were compared one with the other, all columns", f"{tables}, none differs"
    yield "the schema, beside what pg_restore makes", "the same"
    yield "check_data and verify_journal afterwards", "nothing that was not there before"
    dump.unlink()


def compare(source: str, target: str) -> int:
    use(source)
    here = told_of()
    use(target)
    there = told_of()
    for table in here.keys() | there.keys():
        expect(here.get(table) == there.get(table), f"{table} was not restored as it was")
    return len(here)


def told_of() -> dict[str, tuple[Any, ...]]:
    """Of each table, by another hash than the product's."""
    found = {}
    with plain() as desk:
        for table in backups._tables():
            if table not in MOVING:
                rows = desk.execute(
                    "SELECT count(*), sum(('x' || left(md5(each::text), 15))::bit(60)::bigint)"
                    f" FROM (SELECT * FROM ONLY {table}) AS each"
                )
                found[table] = rows.fetchone() or ()
    return found


def schema() -> list[str]:
    told = programs.run("pg_dump", "--schema-only", "--no-owner", "--no-privileges")
    return [line for line in told.splitlines() if not re.match(r"--|\\(un)?restrict ", line)]
