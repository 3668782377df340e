"""The same world for each fault: a copy of a database that nobody changes."""

from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import dict_row


class Worlds:
    """`template` is filled once; fresh() puts Django's connection on a new copy of it."""

    def __init__(self, *, empty: str) -> None:
        self.empty, self.template, self.copy = empty, f"{empty}_world", f"{empty}_copy"

    def make(self) -> None:
        """The template, for whoever fills it."""
        self._copy(self.empty, self.template)

    def fresh(self, *, for_a_crash: bool = False) -> None:
        self._copy(self.template, self.copy)
        if for_a_crash:
            # A sequence is ahead of what is written in the log of the copied database, and would fall back.
            with maintenance() as desk:
                desk.execute("CHECKPOINT")

    def remove(self) -> None:
        drop(self.template, self.copy)
        use(self.empty)

    def remove_copy(self) -> None:
        drop(self.copy)

    def _copy(self, source: str, target: str) -> None:
        drop(target)
        with maintenance() as desk:
            # An autovacuum of the source's stands in the way for a moment.
            desk.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid()",
                [source],
            )
            desk.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
        use(target)


def drop(*names: str) -> None:
    connection.close()
    with maintenance() as desk:
        for name in names:
            desk.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


def plain(name: str | None = None, **options: Any) -> psycopg.Connection[dict[str, Any]]:
    """As a program without Django connects; statements are committed one by one."""
    asked = connection.get_connection_params()
    place = {key: asked[key] for key in ("host", "port", "user", "password", "dbname") if asked.get(key)}
    if name:
        place["dbname"] = name
    return psycopg.connect(**place, autocommit=True, row_factory=dict_row, options="-c TimeZone=UTC", **options)


def maintenance() -> psycopg.Connection[dict[str, Any]]:
    return plain("postgres")
