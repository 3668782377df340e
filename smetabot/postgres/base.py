import datetime as dt
from pathlib import Path

from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import BaseTzLoader  # type: ignore[import-untyped]
from psycopg import DataError, adapt

from .features import DatabaseFeatures
from .introspection import DatabaseIntrospection
from .operations import DatabaseOperations
from .schema import DatabaseSchemaEditor

# A day inside of what Python can hold, so that a far date can still be shown in any time zone.
FAR_PAST = dt.datetime.min + dt.timedelta(days=1)
FAR_FUTURE = dt.datetime.max - dt.timedelta(days=1)


class BoundedTzLoader(BaseTzLoader):
    """Reads infinity, years after 9999 and years BC as far dates: one such row must not take the whole list away."""

    def load(self, data):
        try:
            return super().load(data)
        except DataError:
            text = bytes(data)
            bound = FAR_PAST if text.startswith(b"-") or text.endswith(b"BC") else FAR_FUTURE
            return bound.replace(tzinfo=self.timezone)


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL where a model's table may lie in any schema: db_table = 'schema"."table'."""

    SchemaEditorClass = DatabaseSchemaEditor
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations

    def get_connection_params(self):
        params = super().get_connection_params()
        loader = type("TzLoader", (BoundedTzLoader,), {"timezone": self.timezone})
        params["context"] = adapters = adapt.AdaptersMap(params["context"])
        adapters.register_loader("timestamptz", loader)
        return params

    def get_new_connection(self, conn_params):
        if embedded := self.settings_dict.get("EMBEDDED"):
            from .embedded import Cluster

            Cluster(Path(embedded)).start()
        return super().get_new_connection(conn_params)
