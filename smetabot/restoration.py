"""A backup becomes a database again.

One transaction brings all of it but the list of applied migrations, which comes when everything was compared: before
that no command and no /readyz takes the database for one of ours, whoever was killed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from psycopg.conninfo import make_conninfo

from adminlog import chain
from smetabot import backups
from smetabot.backups import DUMP, BackupError, BackupRefused, Manifest, require_direct_connection
from smetabot.postgres import programs

MIGRATIONS = "public.django_migrations"
# Theirs is whoever made the database, or nobody but a superuser may write them.
NOT_OURS = (" COMMENT - EXTENSION ", " COMMENT - SCHEMA public ", " SCHEMA - public ")


@dataclass(frozen=True)
class Restored:
    manifest: Manifest
    # Whether the code is as old as it is: else it was not checked by it.
    is_current: bool
    problems: list[str]


def verify(place: Path, *, head: chain.Head | None = None) -> Manifest:
    """That this can be restored here, before anything is touched. `head` was kept elsewhere, when it was made."""
    manifest = backups.read(place)
    if head and manifest.head != head:
        raise BackupRefused(f"{place} has a journal that ends at {manifest.head}, and not at {head}")
    file = place / DUMP
    known = MigrationLoader(None)
    if unknown := sorted(set(manifest.migrations) - set(map(".".join, known.disk_migrations or ()))):
        raise BackupRefused(
            f"{place} was made by a newer version, {manifest.version}: the migration {unknown[0]} is not known here"
        )
    try:
        size = file.stat().st_size
        if size != manifest.bytes or backups.digest(file) != manifest.sha256:
            raise BackupRefused(f"{file} is not what was written: {size} bytes of {manifest.bytes}, or spoilt ones")
        if (made_by := manifest.server_version // 10000) > programs.server():
            raise BackupRefused(f"{place} is of PostgreSQL {made_by}, and this is {programs.server()}: it is too old")
        backups.prove(file, manifest)
    except OSError as error:
        raise BackupRefused(f"{file} cannot be read: {error.strerror}") from error
    except programs.ProgramError as error:
        raise BackupRefused(f"{file}: {error}") from error
    _require_extensions(manifest)
    return manifest


def restore(place: Path, *, head: chain.Head | None = None) -> Restored:
    require_direct_connection()
    _require_empty_database()
    manifest = verify(place, head=head)
    # It took a while.
    _require_empty_database()
    name = connection.settings_dict["NAME"]
    try:
        with _listed(place / DUMP) as (all_else, migrations):
            _load(place / DUMP, all_else)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            _compare(manifest, but=[MIGRATIONS])
            is_current = set(map(".".join, MigrationLoader(None).graph.leaf_nodes())) <= set(manifest.migrations)
            problems = _look(manifest, head) if is_current else []
            _load(place / DUMP, migrations)
        _compare(manifest, but=[])
    except (BackupError, programs.ProgramError, Error, OSError) as error:
        raise BackupError(
            f"{' '.join(str(error).split())}; {name} is not restored: drop it and make it anew"
        ) from error
    return Restored(manifest, is_current, problems)


def _require_extensions(manifest: Manifest) -> None:
    missing = _column("SELECT unnest(%s::text[]) EXCEPT SELECT name FROM pg_available_extensions", manifest.extensions)
    if missing:
        raise BackupRefused(f"This server has no extension {missing[0]}: install it (postgresql-contrib)")


def _require_empty_database() -> None:
    name = connection.settings_dict["NAME"]
    found = _column(
        """
        SELECT format('%%I.%%I', nspname, relname)
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_') AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
        LIMIT 1
        """
    )
    if found:
        raise BackupRefused(
            f"{name} is not empty, it has {found[0]}: make an empty database and name it in DATABASE_URL"
        )
    # Who that is may be hidden from us, that somebody is there is not.
    others = _column(
        """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
            AND coalesce(backend_type, 'client backend') = 'client backend'
        """
    )
    if others:
        raise BackupRefused(f"{name} is in use by {len(others)} others: nobody else may be connected to it")


def _column(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [value for (value,) in cursor.fetchall()]


@contextmanager
def _listed(file: Path) -> Iterator[tuple[Path, Path]]:
    """Two lists of what to load: all but the migrations, and these."""
    lines = programs.run("pg_restore", "--list", file).splitlines()
    is_last = f" TABLE DATA {MIGRATIONS.replace('.', ' ')} "
    wanted = [line for line in lines if not any(each in f"{line} " for each in NOT_OURS)]
    with tempfile.TemporaryDirectory() as folder:
        all_else, migrations = Path(folder, "all_else"), Path(folder, "migrations")
        all_else.write_text("\n".join(line for line in wanted if is_last not in line) + "\n")
        migrations.write_text("\n".join(line for line in wanted if is_last in line) + "\n")
        yield all_else, migrations


def _load(file: Path, wanted: Path) -> None:
    # A session of ours that idles meanwhile might be ended.
    connection.close()
    programs.run(
        "pg_restore",
        "--exit-on-error",
        "--single-transaction",
        # Who owns what, and who may what, is for setup_roles to say: here may be other roles.
        "--no-owner",
        "--no-privileges",
        "--no-publications",
        "--no-subscriptions",
        "--no-password",
        f"--use-list={wanted}",
        f"--dbname={make_conninfo(dbname=connection.settings_dict['NAME'])}",
        file,
    )


def _compare(manifest: Manifest, *, but: list[str]) -> None:
    found = backups.contents(but=[*manifest.left_out, *but])
    for table in sorted(found.keys() | manifest.tables.keys()):
        if table not in but and found.get(table) != manifest.tables.get(table):
            raise BackupError(f"{table} does not have the rows that the manifest tells of")


def _look(manifest: Manifest, head: chain.Head | None) -> list[str]:
    """What was not wrong already when the backup was made. If a head is given, of the journal what is wrong at all:
    the manifest's word is not enough then."""
    verified = chain.verify(known=[manifest.head])
    problems = list(verified.broken) if head or len(verified.broken) > manifest.broken else []
    if verified.head != manifest.head:
        problems.append(f"the journal ends at {verified.head}, and in the backup at {manifest.head}")
    if (findings := backups.count_findings()) > manifest.findings:
        problems.append(
            f"check_data finds {findings}, and found {manifest.findings} in what was backed up: run it to see them"
        )
    return problems
