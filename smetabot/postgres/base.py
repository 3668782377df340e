import datetime as dt
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import BaseTzLoader  # type: ignore[import-untyped]
from psycopg import DataError, adapt
from psycopg.types.datetime import DateLoader

from .features import DatabaseFeatures
from .introspection import DatabaseIntrospection
from .operations import DatabaseOperations
from .schema import DatabaseSchemaEditor

# So far inside of what Python can hold that any time zone can show it: none is more than 14 hours ahead of UTC, and
# before there were time zones some local times were 16 hours behind.
FAR_PAST = dt.datetime.min + dt.timedelta(hours=16)
FAR_FUTURE = dt.datetime.max - dt.timedelta(hours=14)


def bounded(loader: Any, past: dt.date, future: dt.date) -> Any:
    """Reads infinity, years after 9999 and years BC as far dates: one such row must not take the whole list away."""

    class BoundedLoader(loader):
        def load(self, data):
            try:
                return min(max(past, super().load(data)), future)
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
        adapters.register_loader("date", bounded(DateLoader, dt.date.min, dt.date.max))
        adapters.register_loader(
            "timestamptz", bounded(loader, FAR_PAST.replace(tzinfo=zone), FAR_FUTURE.replace(tzinfo=zone))
        )
        return params

    def _configure_connection(self, connection):
        super()._configure_connection(connection)  # type: ignore[misc]
        # The pages' queries are planned as dear and are soon done: to compile them costs more than to run them. It is
        # not an option of the connection, because poolers refuse those.
        connection.execute("SET jit = off")
        return True

    def get_new_connection(self, conn_params):
        if embedded := self.settings_dict.get("EMBEDDED"):
            from .embedded import Cluster

            Cluster(Path(embedded)).start()
        return super().get_new_connection(conn_params)
