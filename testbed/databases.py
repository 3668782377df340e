"""Databases beside the one that Django's connection is to, on the same server."""

from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection

from testbed.console import HinderedError


def use(name: str) -> None:
    """Django's connection is to this one from now on."""
    connection.close()
    connection.settings_dict["NAME"] = name


def plain(name: str | None = None, **options: Any) -> psycopg.Connection[Any]:
    """As a program without Django connects, to that one or to the one in use: what it does is committed statement by
    statement. It compiles as little as our own does."""
    asked = connection.get_connection_params()
    place = {key: asked[key] for key in ("host", "port", "user", "password", "dbname") if asked.get(key)}
    if name:
        place["dbname"] = name
    return psycopg.connect(**place, autocommit=True, options="-c TimeZone=UTC -c jit=off", **options)


def unhindered() -> psycopg.Connection[Any]:
    """Past triggers and foreign keys, for rows as they were, append-only ones too."""
    opened = plain()
    try:
        opened.execute("SET session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege as error:
        raise HinderedError("What is put here goes past the triggers: let it connect as a superuser.") from error
    opened.execute("SET synchronous_commit = off")
    return opened


def make(name: str, *, template: str | None = None, is_large: bool = False) -> None:
    """Anew, as a copy of the template, from which everybody else is thrown out. A large one is not written twice."""
    drop(name)
    with plain("postgres") as desk:
        if template is None:
            desk.execute(f'CREATE DATABASE "{name}"')
            return
        # An autovacuum would stand in the way for a moment, too.
        desk.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            [template],
        )
        strategy = "FILE_COPY" if is_large else "WAL_LOG"
        desk.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')


def drop(*names: str) -> None:
    connection.close()
    with plain("postgres") as desk:
        for name in names:
            desk.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def url(name: str | None = None) -> str:
    """As DATABASE_URL has it: of that one, or of the one in use."""
    asked = connection.get_connection_params()
    login = quote(asked.get("user") or "", safe="")
    if asked.get("password"):
        login += ":" + quote(asked["password"], safe="")
    place = f"host={quote(asked.get('host') or '', safe='')}&port={asked.get('port') or 5432}"
    return f"postgres://{login}@/{name or asked['dbname']}?{place}"
