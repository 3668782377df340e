"""A database for each size, on the server that the settings name. It is kept for the next run."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from bench.filling import fill, fingerprint
from bench.sizes import Size
from testbed.console import HinderedError, say
from testbed.databases import drop, make, unhindered, use


@contextmanager
def prepared(size: Size) -> Iterator[None]:
    """The size's database is in use and filled. What dies in the middle leaves it unmarked, and the next run fills it
    anew."""
    name = f"bench_{size.name}"
    wanted = fingerprint(size)
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name])
        is_filled = cursor.fetchone() == (wanted,)
    if not is_filled:
        make(name)
    use(name)
    if not is_filled:
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


@contextmanager
def copied(size: Size, name: str) -> Iterator[None]:
    """A copy of the size's database is in use, and is dropped afterwards; that one stays as it is."""
    home = connection.settings_dict["NAME"]
    with prepared(size):
        source = connection.settings_dict["NAME"]
        say(f"copying {source} to {name}, which is dropped afterwards")
        make(name, template=source, is_large=True)
    use(name)
    try:
        yield
    finally:
        use(home)
        drop(name)


def mark(name: str, text: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON DATABASE {name} IS " + (f"'{text}'" if text else "NULL"))


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
            raise HinderedError("Another bench is running on this server: wait for its end.")
        yield
