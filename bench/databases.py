"""A database for each size, on the server that the settings name. It is kept for the next run."""

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from adminlog.models import AdminUser
from analytics.models import Event, ViewsDaily
from bench.data import tables
from bench.sizes import FIRST, LAST, Size
from smetabot.postgres.partitions import MonthlyTable, shifted

LOGIN = "bench"


class BenchError(Exception):
    """What keeps it from measuring, in one line."""


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def fingerprint(size: Size) -> str:
    """Of what the rows and their tables are made by."""
    digest = hashlib.sha256(repr(size).encode())
    sources = [Path(__file__), *(Path(__file__).with_name(name) for name in ("data.py", "sizes.py"))]
    for app in apps.get_app_configs():
        if Path(app.path).is_relative_to(settings.BASE_DIR):
            sources += sorted(Path(app.path, "migrations").glob("*.*"))
    for source in sources:
        if source.suffix in (".py", ".sql"):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def use(name: str) -> None:
    """Django's connection is to this one from now on."""
    connection.close()
    connection.settings_dict["NAME"] = name


def plain(**options: Any) -> psycopg.Connection[Any]:
    """To the database in use, as a program without Django would connect, but compiling as little as our own does."""
    connection.ensure_connection()  # which starts the embedded server
    asked = connection.get_connection_params()
    place = {key: asked[key] for key in ("host", "port", "user", "password", "dbname") if asked.get(key)}
    opened = psycopg.connect(**place, autocommit=True, **options)
    opened.execute("SET jit = off")
    opened.execute("SET TimeZone = 'UTC'")
    return opened


def unhindered() -> psycopg.Connection[Any]:
    """No trigger of ours and no foreign key: it puts rows back as they were, append-only ones too."""
    opened = plain()
    try:
        opened.execute("SET session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege as error:
        raise BenchError("The bench puts rows back behind the triggers: let it connect as a superuser.") from error
    opened.execute("SET synchronous_commit = off")
    return opened


@contextmanager
def prepared(size: Size) -> Iterator[None]:
    """The size's database is in use and filled. What dies in the middle leaves it unmarked, and the next run fills it
    anew."""
    name = f"bench_{size.name}"
    wanted = fingerprint(size)
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name])
        found = cursor.fetchone()
        if found != (wanted,):
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {name}")
    use(name)
    if found != (wanted,):
        fill(size)
    mark(name, None)
    is_whole = True
    try:
        yield
    except psycopg.Error:
        # Not one of the product's, which Django wraps: something could not be put back.
        is_whole = False
        raise
    finally:
        with unhindered() as desk:
            desk.execute("DROP SCHEMA IF EXISTS bench CASCADE")
        if is_whole:
            mark(name, wanted)


def mark(name: str, text: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON DATABASE {name} IS " + (f"'{text}'" if text else "NULL"))


def fill(size: Size) -> None:
    start = time.perf_counter()
    say(f"making the database {connection.settings_dict['NAME']}: {size}")
    call_command("migrate", verbosity=0)
    make_months()
    with plain() as source, unhindered() as target:
        source.execute("SET work_mem = '256MB'")
        target.execute("SET maintenance_work_mem = '256MB'")
        for table, columns, query in tables(size):
            began = time.perf_counter()
            copy(source, target, table, columns, query)
            say(f"  {table}: {time.perf_counter() - began:.1f} s")
        set_sequences(target)
        target.execute("VACUUM (ANALYZE)")
    make_login()
    say(f"made in {time.perf_counter() - start:.0f} s")


def copy(source: Any, target: Any, table: str, columns: str, query: str) -> None:
    indexes = target.execute(PLAIN_INDEXES, [table]).fetchall()
    for name, _ in indexes:
        target.execute(f"DROP INDEX {name}")
    with (
        source.cursor().copy(f"COPY ({query}) TO STDOUT") as rows,
        target.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as into,
    ):
        block = bytearray()
        for row in rows:
            block += row
            if len(block) > 1 << 18:
                into.write(bytes(block))
                block.clear()
        into.write(bytes(block))
    for _, definition in indexes:
        target.execute(definition)
    target.execute(f"ANALYZE {table}")


# Those that nothing depends on: made afterwards they take half the time. Of a partitioned table also its partitions'.
PLAIN_INDEXES = """
    SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index
    WHERE indrelid = %s::regclass AND NOT indisunique
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
"""


def set_sequences(target: Any) -> None:
    columns = target.execute("""
        SELECT table_schema || '.' || table_name, column_name
        FROM information_schema.columns
        WHERE is_identity = 'YES' AND table_schema IN ('core', 'billing', 'referrals', 'analytics')
    """).fetchall()
    for table, column in columns:
        sequence = target.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, column]).fetchone()[0]
        if sequence:
            target.execute(f"SELECT setval(%s, 1 + coalesce(max({column}), 0)) FROM {table}", [sequence])


def make_months() -> None:
    """Those of the data: else all of it would lie in the default partitions."""
    month = FIRST.replace(day=1)
    while month <= LAST:
        MonthlyTable.of(Event, "created_at").make_month(month)
        MonthlyTable.of(ViewsDaily, "collected_at").make_month(month)
        month = shifted(month, 1)


def make_login() -> None:
    login = User.objects.create_user(LOGIN, is_staff=True, is_superuser=True)
    AdminUser.objects.create(login=login, username=LOGIN, tg_user_id=1, role=AdminUser.Role.OWNER)


class Kept:
    """Copies of tables as they are, to put back between rounds: only what differs is written."""

    def __init__(self, desk: Any, tables: Iterable[str]) -> None:
        self.desk = desk
        self.tables = {table: self.columns(table) for table in tables}
        desk.execute("CREATE SCHEMA IF NOT EXISTS bench")
        for table in self.tables:
            copied = self.copy_of(table)
            desk.execute(f"DROP TABLE IF EXISTS {copied}")
            desk.execute(f"CREATE UNLOGGED TABLE {copied} AS TABLE {table}")
            desk.execute(f"ANALYZE {copied}")

    def copy_of(self, table: str) -> str:
        return f"bench.{table.replace('.', '_')}"

    def columns(self, table: str) -> tuple[str, str]:
        """The key's, and all."""
        row = self.desk.execute(
            """
            SELECT string_agg(quote_ident(attname), ', ') FILTER (WHERE attnum = ANY(indkey)),
                string_agg(quote_ident(attname), ', ')
            FROM pg_attribute JOIN pg_index ON indrelid = attrelid AND indisprimary
            WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            """,
            [table],
        ).fetchone()
        return row

    def put_back(self) -> None:
        for table, (key, columns) in self.tables.items():
            copied = self.copy_of(table)
            self.desk.execute(f"""
                DELETE FROM {table} AS now WHERE NOT EXISTS (
                    SELECT FROM {copied} AS kept WHERE ({prefixed("kept", key)}) = ({prefixed("now", key)})
                        AND ROW({prefixed("kept", columns)}) IS NOT DISTINCT FROM ROW({prefixed("now", columns)})
                )
            """)
            self.desk.execute(f"""
                INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {copied} AS kept
                WHERE NOT EXISTS (
                    SELECT FROM {table} AS now WHERE ({prefixed("kept", key)}) = ({prefixed("now", key)})
                )
            """)
            self.desk.execute(f"VACUUM (ANALYZE) {table}")


def prefixed(prefix: str, columns: str) -> str:
    return ", ".join(f"{prefix}.{column}" for column in columns.split(", "))


def scalar(desk: Any, sql: str) -> Any:
    return desk.execute(sql).fetchone()[0]


def digest(desk: Any, table: str, columns: str, where: str = "true") -> tuple[Any, ...]:
    """What two ways must leave alike: so many rows with these values."""
    return desk.execute(
        f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)) FROM {table} WHERE {where}"
    ).fetchone()


@contextmanager
def silence() -> Iterator[Any]:
    """Where a command prints to."""
    with open(os.devnull, "w") as nowhere:
        yield nowhere
    sys.stdout.flush()


@contextmanager
def alone() -> Iterator[None]:
    """Two at once would measure each other."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('bench'))")
        if cursor.fetchone() != (True,):
            raise BenchError("Another bench is running on this server: wait for its end.")
        yield
