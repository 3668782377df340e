"""What is backed up comes back, and nothing else passes for a backup."""

import dataclasses
import importlib.util
import json
import os
import resource
import shutil
import signal
import threading
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction

from adminlog import chain, journal, staff
from adminlog.jobs import require_migrated_database
from adminlog.models import JobRun
from smetabot import backups, restoration
from smetabot.backups import DUMP, MANIFEST, BackupError, BackupRefused, take
from smetabot.postgres import embedded, programs
from smetabot.restoration import restore, verify
from smetabot.tests import bot

pytestmark = pytest.mark.django_db(transaction=True)


def in_database(name):
    connection.close()
    connection.settings_dict["NAME"] = name


@pytest.fixture
def elsewhere():
    """Where one goes to restore: an empty database."""
    here = connection.settings_dict["NAME"]
    name = f"{here}_restored"

    def drop():
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def go():
        drop()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        in_database(name)

    yield go
    in_database(here)
    drop()


@pytest.fixture
def lived():
    """A database in which something happened."""
    contractor = bot.meet(5_000_000_000)
    bot.publish(bot.make_channel(contractor, -100), 1, views=7)
    bot.run("INSERT INTO analytics.events (event_type, created_at) VALUES ('sync_run', '2020-01-01')")
    bot.run("INSERT INTO django_session VALUES ('key', 'of somebody who is in', now() + interval '1 hour')")
    for number in range(3):
        with transaction.atomic():
            journal.record(
                journal.Act("looked", facts={"number": number}, personal={"name": "Anna"}), by=staff.system()
            )


def taken(folder):
    return folder / take(folder).name


def test_all_that_was_backed_up_comes_back_but_sessions(lived, tmp_path, elsewhere):
    # Each role can make one, and none but a superuser can read all.
    bot.run("SELECT lo_creat(-1)")
    place, before = taken(tmp_path), backups.contents()
    head = chain.verify().head
    elsewhere()
    restored = restore(place, head=head)
    assert (restored.is_current, restored.problems, restored.manifest.head) == (True, [], head)
    assert backups.contents(but=[]) == before
    assert bot.one("SELECT count(*) FROM django_session") == 0
    assert bot.one("SELECT count(*) FROM pg_largeobject_metadata") == 0
    require_migrated_database()
    # What stands guard does so again.
    with pytest.raises(Error, match="append-only"):
        bot.run("DELETE FROM admin.admin_actions")
    with transaction.atomic():
        journal.record(journal.Act("looked"), by=staff.system())
    assert chain.verify(known=[head]).broken == []


def test_what_the_bot_writes_meanwhile_is_in_it_whole_or_not_at_all(tmp_path, elsewhere):
    ended = threading.Event()

    def write():
        number = 0
        while not ended.is_set():
            bot.make_channel(bot.meet(6_000_000_000 + number), -1000 - number)
            number += 1
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        place = taken(tmp_path)
    finally:
        ended.set()
        writer.join()
    elsewhere()
    restored = restore(place)
    assert (restored.problems, restored.manifest.findings) == ([], 0)


def sealed(manifest, **changed):
    content = json.loads(manifest.read_text()) | changed
    content.pop("seal")
    manifest.write_text(json.dumps(content | {"seal": backups._seal(content)}))


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def test_what_is_spoilt_foreign_or_too_new_is_refused_before_anything_is_touched(lived, tmp_path, elsewhere):
    whole = taken(tmp_path / "whole")
    bot.meet(5_000_000_001)
    other = taken(tmp_path / "other")
    known = json.loads((whole / MANIFEST).read_text())
    text = (whole / MANIFEST).read_text()

    spoilers = {
        "cannot be read": lambda place: (place / MANIFEST).unlink(),
        "is no JSON": lambda place: (place / MANIFEST).write_text(text[:-40]),
        "was changed after": lambda place: (place / MANIFEST).write_text(text.replace('"broken": 0', '"broken": 1')),
        "spoilt: it is no JSON": lambda place: (place / MANIFEST).write_text("[" * 100_000),
        "another version, '[^']*': restore it with that": lambda place: sealed(place / MANIFEST, more=1),
        "is no backup of smetabot": lambda place: sealed(place / MANIFEST, product="another"),
        "made by another version": lambda place: sealed(place / MANIFEST, format=2),
        "adminlog.9999_more is not known": lambda place: sealed(
            place / MANIFEST, migrations=[*known["migrations"], "adminlog.9999_more"]
        ),
        "it is too old": lambda place: sealed(place / MANIFEST, server_version=990000),
        "no extension nonesuch": lambda place: sealed(place / MANIFEST, extensions=["nonesuch"]),
        f"{DUMP} cannot be read": lambda place: (place / DUMP).unlink(),
        "is not what was written": lambda place: os.truncate(place / DUMP, 5000),
        "or spoilt ones": lambda place: flipped(place / DUMP),
        "is not what was written: ": lambda place: shutil.copy(other / DUMP, place / DUMP),
        "of": lambda place: shutil.copy(other / MANIFEST, place / MANIFEST),
        # Whoever seals a manifest of their own still needs a dump that has what it tells of.
        "has no rows of core.imagined": lambda place: sealed(
            place / MANIFEST, tables=known["tables"] | {"core.imagined": [1, "1"]}
        ),
    }
    elsewhere()
    for number, (why, spoil) in enumerate(spoilers.items()):
        place = shutil.copytree(whole, tmp_path / f"spoilt{number}")
        spoil(place)
        with pytest.raises(BackupRefused, match=why) as refused:
            restore(place)
        assert "\n" not in str(refused.value)
    with pytest.raises(BackupRefused, match="was never finished"):
        restore(whole.rename(whole.with_name(f".{whole.name}.unfinished")))
    assert restoration._column("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_a_database_that_is_not_empty_or_in_use_is_refused(tmp_path, elsewhere):
    place = taken(tmp_path)
    with pytest.raises(BackupRefused, match="is not empty, it has "):
        restore(place)
    elsewhere()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1")
        with pytest.raises(BackupRefused, match="is in use by 1 others"):
            restore(place)
    finally:
        other.close()


def test_what_a_killed_restore_left_is_no_database_of_ours_and_is_refused(lived, tmp_path, elsewhere):
    place = taken(tmp_path)
    elsewhere()
    with restoration._listed(place / DUMP) as (all_else, _):
        restoration._load(place / DUMP, all_else)
    with pytest.raises(CommandError, match="lacks"):
        require_migrated_database()
    with pytest.raises(BackupRefused, match="is not empty"):
        restore(place)


def test_rows_that_are_not_those_of_the_manifest_fail_the_restore(lived, tmp_path, elsewhere):
    place = taken(tmp_path)
    known = json.loads((place / MANIFEST).read_text())
    sealed(place / MANIFEST, tables=known["tables"] | {"core.contractors": [2, "1"]})
    elsewhere()
    with pytest.raises(BackupError, match="core.contractors does not have the rows .* drop it and make it anew"):
        restore(place)
    with pytest.raises(CommandError, match="lacks"):
        require_migrated_database()


def test_of_an_older_version_all_comes_back_and_migrate_does_the_rest(lived, tmp_path, elsewhere):
    place = taken(tmp_path)
    known = json.loads((place / MANIFEST).read_text())
    older = [
        name
        for name in known["migrations"]
        if name
        != "adminlog."
        + max(name.removeprefix("adminlog.") for name in known["migrations"] if name.startswith("adminlog."))
    ]
    sealed(place / MANIFEST, migrations=older)
    elsewhere()
    assert not restore(place).is_current


def test_the_newest_are_kept_and_what_is_no_backup_of_this_database_stays(tmp_path):
    first = taken(tmp_path)
    foreign = shutil.copytree(first, tmp_path / "foreign-20200101")
    sealed(foreign / MANIFEST, database="foreign", taken_at="2020-01-01T00:00:00+00:00")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".a file.unfinished").touch()
    second, third = taken(tmp_path), take(tmp_path, keep=2)
    assert third.deleted == [first.name]
    # What is in the way is named, and keeps nobody from a backup.
    assert third.problems == [f"{tmp_path / '.a file.unfinished'} could not be deleted: Not a directory"]
    assert {each.name for each in tmp_path.iterdir() if not each.name.startswith(".")} == {
        "foreign-20200101",
        "notes",
        second.name,
        third.name,
    }


def test_two_that_delete_at_once_do_not_disturb_each_other(tmp_path):
    whole = taken(tmp_path / "whole")
    manifest = backups.read(whole)
    for day in range(1, 11):
        older = dataclasses.replace(manifest, taken_at=f"2020-01-{day:02}T00:00:00+00:00")
        place = shutil.copytree(whole, tmp_path / backups._name(older))
        (place / MANIFEST).write_text(older.written())
    problems, deleted = [], []

    def work():
        deleted.extend(backups._retire(tmp_path, manifest, problems, keep=1))
        with backups._holding(tmp_path):
            backups._sweep(tmp_path, problems)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (problems, len(deleted), len(set(deleted))) == ([], 10, 10)
    assert list(tmp_path.iterdir()) == [tmp_path / "whole"]


def test_nobody_else_may_read_one(tmp_path):
    place = taken(tmp_path / "new")
    assert {path.stat().st_mode & 0o077 for path in [tmp_path / "new", place, *place.iterdir()]} == {0}


def test_a_folder_whose_name_is_no_text_is_one_line_and_recorded():
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("backup", os.fsdecode(b"/proc/\xff"))
    [said] = JobRun.objects.values_list("error", flat=True)
    assert said == "CommandError: /proc/?: No such file or directory; no backup was made"


def test_a_full_disk_is_one_line_and_leaves_nothing(lived, tmp_path):
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, most))
    try:
        with pytest.raises(CommandError, match="File too large; no backup was made") as failed:
            call_command("backup", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert failed.value.returncode == 1
    assert list(tmp_path.iterdir()) == []
    run = JobRun.objects.get()
    assert (run.command, run.outcome) == ("backup", "failed")


def test_what_a_killed_one_left_is_no_backup_and_goes_with_the_next(manage, tmp_path, colleague, wait_for_lock):
    with colleague.cursor() as cursor:
        cursor.execute("LOCK TABLE core.team_members")
    process = manage("backup", str(tmp_path))
    wait_for_lock()
    process.send_signal(signal.SIGKILL)
    process.wait()
    colleague.rollback()
    [left] = tmp_path.iterdir()
    with pytest.raises(BackupRefused, match="was never finished"):
        verify(left)
    assert [each.name for each in tmp_path.iterdir()] == [left.name]
    deadline = time.monotonic() + 10
    while left.exists() and time.monotonic() < deadline:
        place = taken(tmp_path)
    assert not left.exists()
    assert place.exists()


def test_two_at_once_leave_two(tmp_path):
    places = []

    def work():
        places.append(taken(tmp_path))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tmp_path.iterdir()) == sorted(places)
    assert len({verify(place).taken_at for place in places}) == 2


def test_behind_a_pooler_it_is_refused(settings, tmp_path):
    settings.POOLED = True
    with pytest.raises(CommandError, match="let DATABASE_URL lead to PostgreSQL itself") as refused:
        call_command("backup", tmp_path / "new")
    assert refused.value.returncode == 2
    assert not (tmp_path / "new").exists()


@pytest.fixture
def the_only_pg_dump(tmp_path, monkeypatch):
    """Of that version: it tells what it was called with, and with what password."""

    def install(version):
        program = tmp_path / "bin" / "pg_dump"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) {version}.1" || echo "$*; $PGPASSWORD"\n'
        )
        program.chmod(0o755)
        monkeypatch.setattr(embedded, "PACKAGED", tmp_path / "none")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return install


def test_a_pg_dump_that_is_older_than_the_server_is_refused_in_one_line(the_only_pg_dump, tmp_path):
    the_only_pg_dump(14)
    with pytest.raises(BackupError, match="pg_dump of PostgreSQL [0-9]+ is needed, and here is that of 14: on Debian"):
        take(tmp_path / "new")


def test_a_password_is_on_no_command_line(the_only_pg_dump, monkeypatch):
    the_only_pg_dump(programs.server())
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "s3cret")
    assert programs.run("pg_dump", "--format=custom") == "--format=custom; s3cret\n"


def test_restore_says_in_one_line_what_it_refuses_and_exits_with_2(lived, tmp_path, elsewhere):
    place = taken(tmp_path)
    elsewhere()
    for path, head, why in [
        (tmp_path / "nothing", None, "is no backup: .*; nothing was touched"),
        (place, f"3:{'0' * 64}", "has a journal that ends at 3:.*, and not at 3:0*; nothing was touched"),
        (place, "3", "is no head; write SEQ:HASH"),
    ]:
        with pytest.raises(CommandError, match=why) as refused:
            call_command("restore", path, head=head)
        assert (refused.value.returncode, "\n" in str(refused.value)) == (2, False)
