"""Migration operations for indexes that are built while the bot writes. A migration that was killed goes on where it
was; it needs `atomic = False`."""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import DatabaseError, connection, transaction
from django.db.migrations.operations import AddIndex
from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedFile

from smetabot.postgres.locks import set_patience
from smetabot.postgres.migrations import DatabaseOnly, qualified
from smetabot.postgres.retry import retry_busy


class AddIndexBeside(NotInTransactionMixin, AddIndex):
    """PostgreSQL does not build an index of a partitioned table beside its writers: there it is built in one partition
    after the other, and the table is locked for a moment to say that it has the index."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        table = qualified(model._meta.db_table)
        schema = table.partition(".")[0]
        whole = f'{schema}."{self.index.name}"'
        if partitions_without(whole, table) is None:
            build(schema_editor, whole, str(self.index.create_sql(model, schema_editor, concurrently=True)))
            return
        if is_valid(whole) is None:
            briefly(schema_editor, self._sql(model, schema_editor, f"ONLY {table}", self.index.name))
        # Not before there is a whole, of which a month that is made meanwhile would have no part.
        for name in partitions_without(whole, table) or ():
            # As PostgreSQL will call it in a partition that is made later.
            part = f"{name}_{'_'.join(self.index.fields)}_idx"
            statement = self._sql(model, schema_editor, f'{schema}."{name}"', part, concurrently=True)
            build(schema_editor, f'{schema}."{part}"', statement)
            briefly(schema_editor, f'ALTER INDEX {whole} ATTACH PARTITION {schema}."{part}"')

    def _sql(self, model, schema_editor, table: str, name: str, *, concurrently: bool = False) -> str:
        statement: Any = self.index.create_sql(model, schema_editor, concurrently=concurrently)
        statement.parts |= {"table": table, "name": schema_editor.quote_name(name)}
        return str(statement)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        schema = qualified(model._meta.db_table).partition(".")[0]
        briefly(schema_editor, f'DROP INDEX IF EXISTS {schema}."{self.index.name}"')

    def describe(self):
        return f"Create index {self.index.name} on {self.model_name} beside its writers"


class AddTrigramIndex(NotInTransactionMixin, DatabaseOnly):
    """`AddTrigramIndex("Publication", ["file_name"], name="publications_trigrams")`

    For a part of a text, as adminlog.search compares it. Where the database has no pg_trgm, and does not let us create
    it, it does nothing: a search then reads the whole table, as long as it may.
    """

    def __init__(self, model_name: str, fields: Sequence[str], *, name: str):
        self.model_name = model_name
        self.fields = fields
        self.name = name

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        if schema_editor.collect_sql:
            # For sqlmigrate, which is to change nothing.
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm", params=None)
            trigrams: str | None = "public"
        elif not (trigrams := schema_of_trigrams()):
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        table = qualified(model._meta.db_table)
        texts = ", ".join(
            f"(upper(translate(\"{column}\", 'ёЁ', 'еЕ'))) {trigrams}.gin_trgm_ops"
            for column in (model._meta.get_field(name).column for name in self.fields)
        )
        # New texts wait together to be sorted in: each by itself cost an insert ten times as much. Few of them, because
        # one insert sorts in all that wait, and each search reads them: 64 kB are done in some milliseconds.
        build(
            schema_editor,
            self.index_of(model),
            f'CREATE INDEX CONCURRENTLY "{self.name}" ON {table}'
            f" USING gin ({texts}) WITH (gin_pending_list_limit = 64)",
            # Of an expression there are no statistics before it has an index.
            f"ANALYZE {table}",
        )

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index_of(model)}", params=None)

    def index_of(self, model) -> str:
        return f'{qualified(model._meta.db_table).partition(".")[0]}."{self.name}"'

    def describe(self):
        return f"Create trigram index {self.name} on {self.model_name}, where there are trigrams"

    @property
    def migration_name_fragment(self):
        return self.name


def schema_of_trigrams() -> str | None:
    """Where pg_trgm is. It is created if need be: a right on the database is enough, if the server has its files."""
    found = """
        SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
        WHERE extname = 'pg_trgm'
    """
    with connection.cursor() as cursor:
        cursor.execute(found)
        if not (schema := cursor.fetchone()):
            try:
                with transaction.atomic():
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            except DatabaseError as error:
                if not isinstance(error.__cause__, InsufficientPrivilege | FeatureNotSupported | UndefinedFile):
                    raise
                return None
            cursor.execute(found)
            schema = cursor.fetchone()
        return schema and schema[0]


def is_valid(index: str) -> bool | None:
    """None if there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [index])
        found = cursor.fetchone()
        return found and found[0]


def build(schema_editor, index: str, *statements: str) -> None:
    valid = is_valid(index)
    if valid is False:
        # Left by a try that was killed: it is written to and never read.
        schema_editor.execute(f"DROP INDEX CONCURRENTLY {index}", params=None)
    if not valid:
        for statement in statements:
            schema_editor.execute(statement, params=None)


@retry_busy
def briefly(schema_editor, statement: str) -> None:
    with transaction.atomic():
        # While it waits, whoever comes later waits for it.
        set_patience("2s")
        schema_editor.execute(statement, params=None)


def partitions_without(index: str, table: str) -> list[str] | None:
    """Those that have no part of the index yet; None of a table that is not partitioned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (
                SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}')
                FROM pg_inherits JOIN pg_class AS partition ON partition.oid = inhrelid
                WHERE inhparent = partrelid AND NOT EXISTS (
                    SELECT FROM pg_inherits AS attached JOIN pg_index ON indexrelid = attached.inhrelid
                    WHERE attached.inhparent = to_regclass(%s) AND indrelid = partition.oid
                )
            )
            FROM pg_partitioned_table WHERE partrelid = %s::regclass
            """,
            [index, table],
        )
        found = cursor.fetchone()
        return found and found[0]
