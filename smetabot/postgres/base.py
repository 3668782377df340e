import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import BaseTzLoader  # type: ignore[import-untyped]
from psycopg import DataError, adapt
from psycopg.types.datetime import DateLoader

from . import lookups  # noqa: F401
from .features import DatabaseFeatures
from .introspection import DatabaseIntrospection
from .operations import DatabaseOperations
from .schema import DatabaseSchemaEditor

# So far inside of what Python can hold that any time zone can show it: none is more than 14 hours ahead of UTC, and
# before there were time zones some local times were 16 hours behind.
FAR_PAST = dt.datetime.min + dt.timedelta(hours=16)
FAR_FUTURE = dt.datetime.max - dt.timedelta(hours=14)


def bounded(loader: Any, read: Callable[[str], Any], past: dt.date, future: dt.date) -> Any:
    """Reads infinity, years after 9999 and years BC as far dates: one such row must not take the whole list away.

    Of nearly all that there is, `read` makes the same as the loader, and sooner: a list is full of dates.
    """

    class BoundedLoader(loader):
        def load(self, data):
            try:
                value = read(str(data, "ascii"))
            except (ValueError, OverflowError):
                value = self.load_far(data)
            return value if past <= value <= future else min(max(past, value), future)

        def load_far(self, data):
            try:
                return super().load(data)
            except DataError:
                text = bytes(data)
                return past if text.startswith(b"-") or text.endswith(b"BC") else future

    return BoundedLoader


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL where a model's table may lie in any schema: db_table = 'schema"."table'."""

    SchemaEditorClass = DatabaseSchemaEditor
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations

    def get_connection_params(self):
        params = super().get_connection_params()
        zone = self.timezone
        loader = type("TzLoader", (BaseTzLoader,), {"timezone": zone})
        params["context"] = adapters = adapt.AdaptersMap(params["context"])
        adapters.register_loader("date", bounded(DateLoader, dt.date.fromisoformat, dt.date.min, dt.date.max))

        def moment(text: str) -> dt.datetime:
            return dt.datetime.fromisoformat(text).astimezone(zone)

        adapters.register_loader(
            "timestamptz", bounded(loader, moment, FAR_PAST.replace(tzinfo=zone), FAR_FUTURE.replace(tzinfo=zone))
        )
        return params

    def _configure_connection(self, connection):
        to_commit = super()._configure_connection(connection)  # type: ignore[misc]
        # The pages' queries are planned as dear and are soon done: to compile them costs more than to run them. It is
        # not an option of the connection, because poolers refuse those; behind a pooler it would stay with whichever
        # connection it came upon, and the database itself has to be told.
        if not self.settings_dict.get("POOLED"):
            connection.execute("SET jit = off")
            to_commit = True
        return to_commit

    def chunked_cursor(self):
        # A pooler takes the connection away at the end of a transaction, and the server's cursor with it.
        if self.settings_dict.get("POOLED") and not self.in_atomic_block:
            return self.cursor()
        return super().chunked_cursor()

    def get_new_connection(self, conn_params):
        if embedded := self.settings_dict.get("EMBEDDED"):
            from .embedded import Cluster

            Cluster(Path(embedded)).start()
        return super().get_new_connection(conn_params)
