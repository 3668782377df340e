"""The bot beside a backup; backups that are spoilt or foreign; backups and restores that are killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.db import connection

from adminlog.jobs import require_migrated_database
from bench.backups.commands import Lost, backup, expect, restore, seconds
from bench.databases import scalar
from smetabot import restoration
from smetabot.backups import DUMP, MANIFEST, BackupRefused
from smetabot.postgres import programs
from smetabot.tests import bot
from testbed.console import say
from testbed.databases import make, plain, url, use
from testbed.processes import manage

FLIPS = 20
# Of the time that it takes undisturbed, until it is killed.
MOMENTS = (0.1, 0.3, 0.5, 0.7)


def harmed(source: str, target: str, scratch: Path) -> Iterator[tuple[str, str]]:
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


def start(name: str, *arguments: str | Path, limit: int | None = None) -> subprocess.Popen[bytes]:
    """A process of its own, with children of its own, on that database."""
    command = manage(*arguments)
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
        with plain("postgres") as desk:
            found = desk.execute(
                "SELECT FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
                " AND application_name LIKE 'pg\\_%%'",
                [source],
            )
            if not found.rowcount:
                return is_alive
        time.sleep(0.1)
