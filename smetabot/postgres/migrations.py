"""Migration operations for what Django has no model for. Each is one line in a migration, and can be undone."""

from collections.abc import Sequence
from pathlib import Path

from django.db import ProgrammingError, transaction
from django.db.backends.utils import split_identifier
from django.db.migrations.operations.base import Operation, OperationCategory
from psycopg.errors import InvalidTableDefinition


def sql_beside(migration: str, name: str) -> str:
    """The SQL file that lies beside a migration: `sql_beside(__file__, "0002_profile_overview.sql")`."""
    return Path(migration).with_name(name).read_text("utf-8")


class DatabaseOnly(Operation):
    """Changes the database and leaves the models' state alone."""

    category = OperationCategory.SQL

    def state_forwards(self, app_label, state):
        pass


class AppendOnly(DatabaseOnly):
    """PostgreSQL refuses UPDATE, DELETE and TRUNCATE on the model's table, whoever asks.

    `goes_with` names a foreign key: a row may go when the row that it points to is already gone, which is in the middle
    of its ON DELETE CASCADE. The key's column and the parent's table are written into the trigger by name: once either
    is renamed or moved, deleting a parent fails. TRUNCATE of a single partition is not refused.

    `erasable` names columns that an UPDATE may set to null, all of them at once and nothing else with them.
    """

    def __init__(self, model_name: str, goes_with: str | None = None, erasable: Sequence[str] = ()):
        self.model_name = model_name
        self.goes_with = goes_with
        self.erasable = erasable

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        table, function = self._names(model)
        schema_editor.execute(
            f"""
            CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                {self._exception_for_cascade(model)}
                {self._exception_for_erasure(model)}
                RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
                    USING ERRCODE = 'restrict_violation';
            END
            $$
            """,
            params=None,
        )
        schema_editor.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
            params=None,
        )
        schema_editor.execute(
            f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {function}()",
            params=None,
        )

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        table, function = self._names(to_state.apps.get_model(app_label, self.model_name))
        # A table deleted since then and taken back is without its triggers.
        schema_editor.execute(f"DROP TRIGGER IF EXISTS append_only_truncate ON {table}", params=None)
        schema_editor.execute(f"DROP TRIGGER IF EXISTS append_only ON {table}", params=None)
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {function}()", params=None)

    def describe(self):
        but = f", but for a row that goes with its {self.goes_with}" if self.goes_with else ""
        erasable = f", but for the erasure of {' and '.join(self.erasable)}" if self.erasable else ""
        return f"Make {self.model_name} append-only{but}{erasable}"

    @property
    def migration_name_fragment(self):
        return f"{self.model_name.lower()}_append_only"

    def _names(self, model) -> tuple[str, str]:
        return qualified(model._meta.db_table), qualified(model._meta.db_table, suffix="_append_only")

    def _exception_for_cascade(self, model) -> str:
        if not self.goes_with:
            return ""
        field = model._meta.get_field(self.goes_with)
        parent = qualified(field.target_field.model._meta.db_table)
        return f"""
                IF TG_OP = 'DELETE' THEN
                    IF OLD."{field.column}" IS NOT NULL AND NOT EXISTS (
                        SELECT FROM {parent} WHERE "{field.target_field.column}" = OLD."{field.column}"
                    ) THEN
                        RETURN OLD;
                    END IF;
                END IF;
        """.strip()

    def _exception_for_erasure(self, model) -> str:
        if not self.erasable:
            return ""
        columns = [model._meta.get_field(name).column for name in self.erasable]
        emptied = " ".join(f'OLD."{column}" := NULL;' for column in columns)
        # Not =, to which 1.0 is 1.00.
        return f"""
                IF TG_OP = 'UPDATE' THEN
                    {emptied}
                    IF NEW *= OLD THEN
                        RETURN NEW;
                    END IF;
                END IF;
        """.strip()


class CreateView(DatabaseOnly):
    """`CreateView("analytics.profile_overview", "SELECT …")`"""

    def __init__(self, name: str, sql: str):
        self.name = name
        self.select = sql

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        create_view(schema_editor, self.name, self.select)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        drop_view(schema_editor, self.name)

    def describe(self):
        return f"Create view {self.name}"

    @property
    def migration_name_fragment(self):
        return self.name.rpartition(".")[2]


class ReplaceView(DatabaseOnly):
    """In place where PostgreSQL can, which is while columns are only added at the end: what hangs on the view stays.

    Else it is dropped, which is refused while another view depends on it, and created with the grants that it had.
    sqlmigrate cannot know which, and prints the first.
    """

    def __init__(self, name: str, sql: str, *, previous: str):
        self.name = name
        self.select = sql
        self.previous = previous

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        replace_view(schema_editor, self.name, self.select)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        replace_view(schema_editor, self.name, self.previous)

    def describe(self):
        return f"Replace view {self.name}"

    @property
    def migration_name_fragment(self):
        return f"replace_{self.name.rpartition('.')[2]}"


class CreateFunction(DatabaseOnly):
    """`CreateFunction("billing.is_live(status text, expires_at timestamptz)", "RETURNS boolean LANGUAGE sql AS …")`

    The signature has no defaults for arguments: it also names the function for DROP.
    """

    def __init__(self, signature: str, sql: str):
        self.signature = signature
        self.name = signature.partition("(")[0]
        self.definition = sql

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.create_schema(self.name.rpartition(".")[0])
        schema_editor.execute(f"CREATE FUNCTION {self.signature} {self.definition}", params=None)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.execute(f"DROP FUNCTION {self.signature}", params=None)

    def describe(self):
        return f"Create function {self.signature}"

    @property
    def migration_name_fragment(self):
        return self.name.rpartition(".")[2]


class ReplaceFunction(CreateFunction):
    """In place: what calls it stays."""

    def __init__(self, signature: str, sql: str, *, previous: str):
        super().__init__(signature, sql)
        self.previous = previous

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.execute(f"CREATE OR REPLACE FUNCTION {self.signature} {self.definition}", params=None)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.execute(f"CREATE OR REPLACE FUNCTION {self.signature} {self.previous}", params=None)

    def describe(self):
        return f"Replace function {self.signature}"

    @property
    def migration_name_fragment(self):
        return f"replace_{super().migration_name_fragment}"


def qualified(db_table: str, suffix: str = "") -> str:
    """The name as SQL, with its schema always told, because a function that fixes its search_path sees no public."""
    schema, name = split_identifier(db_table)
    return f'"{schema or "public"}"."{name}{suffix}"'


def create_view(schema_editor, name: str, select: str) -> None:
    schema_editor.create_schema(name.rpartition(".")[0])
    schema_editor.execute(f"CREATE VIEW {name} AS\n{select}", params=None)


def replace_view(schema_editor, name: str, select: str) -> None:
    try:
        with transaction.atomic(schema_editor.connection.alias):
            schema_editor.execute(f"CREATE OR REPLACE VIEW {name} AS\n{select}", params=None)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, InvalidTableDefinition):
            raise
        with transaction.atomic(schema_editor.connection.alias):
            grants = grants_on(schema_editor.connection, name)
            drop_view(schema_editor, name)
            create_view(schema_editor, name, select)
            for grant in grants:
                schema_editor.execute(grant, params=None)


def grants_on(connection, name: str) -> list[str]:
    """The statements that give them again. Grants on single columns are not among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format(
                'GRANT %%s ON %%s TO %%s', privilege_type, oid::regclass,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
            ) || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
            FROM pg_class, aclexplode(relacl)
            WHERE oid = %s::regclass
            """,
            [name],
        )
        return [grant for (grant,) in cursor.fetchall()]


def drop_view(schema_editor, name: str) -> None:
    schema_editor.execute(f"DROP VIEW {name}", params=None)
