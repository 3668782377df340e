"""Backs a database of the bench up and restores it, beside plain pg_dump and pg_restore; spoils backups and kills both
half-way; writes the section of docs/reliability.md.

Exit 0 when all came back and nothing else passed for a backup, 1 when something was lost, 2 when it could not be run.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
django.setup()

import argparse  # noqa: E402
import json  # noqa: E402
import random  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager, suppress  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402
from urllib.parse import quote  # noqa: E402

import psycopg  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import Error, connection  # noqa: E402
from psycopg.conninfo import make_conninfo  # noqa: E402

from adminlog.jobs import require_migrated_database  # noqa: E402
from bench import machine  # noqa: E402
from bench.databases import BenchError, alone, plain, prepared, say, scalar, silence, use  # noqa: E402
from bench.documents import write_section  # noqa: E402
from bench.sizes import SIZES, Size  # noqa: E402
from smetabot import backups, restoration  # noqa: E402
from smetabot.backups import DUMP, MANIFEST, BackupError, BackupRefused  # noqa: E402
from smetabot.postgres import programs  # noqa: E402
from smetabot.tests import bot  # noqa: E402

FLIPS = 20
# Of the time that it takes undisturbed, until it is killed.
MOMENTS = (0.1, 0.3, 0.5, 0.7)
# The run that is recorded there ends after the snapshot; nobody is to be logged in.
MOVING = ["admin.job_runs", *backups.LEFT_OUT]


class Lost(Exception):
    """What must not happen did; the message is one line."""


def expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Lost(otherwise)


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
    except (BenchError, CommandError, BackupError, programs.ProgramError, Error, psycopg.Error, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def run(size: Size) -> None:
    began = time.perf_counter()
    home = connection.settings_dict["NAME"]
    source, target = f"backup_{size.name}", f"restored_{size.name}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with prepared(size):
                say("copying it")
                connection.close()
                make(source, f"TEMPLATE bench_{size.name}")
            use(source)
            with plain() as desk:
                desk.execute(
                    "INSERT INTO admin.admin_actions (admin_id, action)"
                    " SELECT (SELECT min(id) FROM admin.admin_users), 'bench' FROM generate_series(1, %s)",
                    [size.contractors // 10],
                )
            told = [*timed(size, source, target, Path(scratch)), *survived(source, target, Path(scratch))]
        finally:
            use(home)
            for name in (source, target):
                drop(name)
    minutes = (time.perf_counter() - began) / 60
    text = report(size, told, minutes)
    print(f"\n{text}\n")
    if size.name != "xs":
        write_section(Path(settings.BASE_DIR, "docs", "reliability.md"), "Backup and restore", text)
        say("written to docs/reliability.md")


def make(name: str, how: str = "") -> None:
    drop(name)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} {how}")


def drop(name: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def backup(folder: Path) -> Path:
    with silence() as nowhere:
        call_command("backup", folder, stdout=nowhere)
    [place] = folder.iterdir()
    return place


def restore(place: Path) -> None:
    with silence() as nowhere:
        call_command("restore", place, stdout=nowhere)


def timed(size: Size, source: str, target: str, scratch: Path) -> Iterator[tuple[str, str]]:
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
    compared = compare(source, target)
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
    yield "tables whose rows were compared one with the other, all columns", f"{compared}, none differs"
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


@contextmanager
def bot_at_work() -> Iterator[list[int]]:
    """About 200 rows a second, until the block ends; what it was told is committed."""
    made: list[int] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            number = len(made)
            contractor = bot.meet(7_000_000_000 + number)
            bot.make_channel(contractor, -7_000_000_000 - number)
            made.append(contractor)
            time.sleep(0.04)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield made
    finally:
        ended.set()
        writer.join()


def survived(source: str, target: str, scratch: Path) -> Iterator[tuple[str, str]]:
    use(source)
    say("backup while the bot writes")
    with plain() as desk:
        before = scalar(desk, "SELECT count(*) FROM core.contractors")
    with bot_at_work() as made:
        time.sleep(0.3)
        place = backup(scratch / "written")
    make(target)
    use(target)
    say("and restore")
    took = seconds(lambda: restore(place))
    with plain() as desk:
        after = scalar(desk, "SELECT count(*) FROM core.contractors")
    expect(before < after <= before + len(made), f"{after} contractors, of {before} and {len(made)} more")
    yield (
        "backup while the bot makes contractors and channels",
        f"{len(made)} made, {after - before} of them in the snapshot, each with all of its rows",
    )
    say("spoilt and foreign ones")
    make(target)
    use(target)
    refused = spoilt(place, scratch)
    with plain() as desk:
        expect(not scalar(desk, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "touched")
    for what, number in refused.items():
        yield what, f"{number} of {number} refused, nothing was touched"
    say("killed and full ones")
    yield from killed(source, target, place, scratch, took)


def spoilt(place: Path, scratch: Path) -> dict[str, int]:
    refused: dict[str, int] = {}
    dump, manifest = place / DUMP, place / MANIFEST
    whole = manifest.read_text()

    def must_be_refused(what: str, spoiled: Path = place) -> None:
        try:
            restoration.restore(spoiled)
        except BackupRefused:
            refused[what] = refused.get(what, 0) + 1
        else:
            raise Lost(f"{what}: it was restored")

    chance = random.Random(7)
    with open(dump, "r+b") as file:
        for _ in range(FLIPS):
            at, bit = chance.randrange(dump.stat().st_size), 1 << chance.randrange(8)
            for is_spoilt in (True, False):
                file.seek(at)
                [byte] = file.read(1)
                file.seek(at)
                file.write(bytes([byte ^ bit]))
                file.flush()
                if is_spoilt:
                    must_be_refused("a bit of the dump flipped")
        for missing in (1, 1000, dump.stat().st_size // 2):
            length = dump.stat().st_size
            file.seek(length - missing)
            tail = file.read()
            os.truncate(dump, length - missing)
            must_be_refused("the dump cut off")
            file.seek(length - missing)
            file.write(tail)
            file.flush()
    content = json.loads(whole)
    for name, value in content.items():
        more: Any = [*value, "x"] if isinstance(value, list) else f"{value}1"
        changed = value | {"x": [0, "0"]} if isinstance(value, dict) else more
        manifest.write_text(json.dumps(content | {name: changed}))
        must_be_refused("a field of the manifest edited")
    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        manifest.write_text(whole[:cut])
        must_be_refused("the manifest cut off")
    manifest.write_text(whole)
    other = scratch / "other"
    other.mkdir()
    shutil.copy(manifest, other)
    must_be_refused("the dump or the manifest missing", other)
    programs.run("pg_dump", "--format=custom", f"--file={other / DUMP}")  # of a database with nothing in it
    must_be_refused("another dump or another manifest", other)
    shutil.copy(scratch.joinpath("round0").iterdir().__next__() / MANIFEST, manifest)
    must_be_refused("another dump or another manifest")
    manifest.unlink()
    must_be_refused("the dump or the manifest missing")
    manifest.write_text(whole)
    restoration.verify(place)
    return refused


def url(name: str) -> str:
    at = connection.settings_dict
    login = quote(at["USER"], safe="") + (f":{quote(at['PASSWORD'], safe='')}" if at["PASSWORD"] else "")
    return f"postgres://{login}@/{name}?host={quote(at['HOST'], safe='')}&port={at['PORT'] or 5432}"


def start(name: str, *arguments: str | Path, limit: int | None = None) -> subprocess.Popen[bytes]:
    """A process of its own, with children of its own, on that database."""
    command = [sys.executable, "manage.py", *map(str, arguments)]
    if limit is not None:
        command = ["/bin/sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *command]
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": url(name), "DEBUG": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def killed(source: str, target: str, place: Path, scratch: Path, restoring: float) -> Iterator[tuple[str, str]]:
    folder = scratch / "killed"
    whole = seconds(lambda: start(source, "backup", folder).communicate())
    [first] = folder.iterdir()
    number = 0
    for moment in MOMENTS:
        number += kill(start(source, "backup", folder), after=moment * whole, source=source)
        passing = [each for each in folder.iterdir() if not each.name.startswith(".")]
        for each in passing:
            # It was done already.
            restoration.verify(each)
    process = start(source, "backup", folder, "--keep", "1")
    process.communicate()
    expect(process.returncode == 0, "no backup after killed ones")
    expect(len(list(folder.iterdir())) == 1, "what killed ones left was not swept away")
    expect(not first.exists(), "the older ones were kept")
    yield (
        "backup killed with all of its processes",
        f"{number} times, nothing of it passes for a backup, and the next one sweeps it away",
    )
    [newest] = folder.iterdir()
    process = start(source, "backup", folder, limit=max(1, (newest / DUMP).stat().st_size // 1024))
    _, complaint = process.communicate()
    expect((process.returncode, complaint.count(b"\n")) == (1, 1), f"a full disk: {complaint.decode()}")
    expect(list(folder.iterdir()) == [newest], "a full disk left something")
    yield "backup onto a full disk", "one line, and nothing is left"
    number = 0
    for moment in MOMENTS:
        connection.close()
        make(target)
        if kill(start(target, "restore", place), after=moment * restoring, source=target):
            number += 1
            use(target)
            with suppress(CommandError):
                require_migrated_database()
                raise Lost("a restore that was killed passes for a database of ours")
    yield (
        "restore killed with all of its processes",
        f"{number} times, no command takes what is left for a database of ours",
    )


def kill(process: subprocess.Popen[bytes], *, after: float, source: str) -> bool:
    """False if it had ended by then."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(after)
    is_alive = process.poll() is None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The server notices that nobody listens any more.
    while True:
        with connection._nodb_cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
                " AND application_name LIKE 'pg\\_%%'",
                [source],
            )
            if cursor.fetchone() == (0,):
                return is_alive
        time.sleep(0.1)


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


if __name__ == "__main__":
    sys.exit(main())
