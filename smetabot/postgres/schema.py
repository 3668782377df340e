from django.db import models
from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql import schema
from django.db.backends.utils import split_identifier

from .deletion import on_delete_sql


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    """Tables in any schema, and ON DELETE in PostgreSQL itself.

    Django finds a table by its quoted name (`"billing"."plans"`), but an index, a constraint or a new name by the bare
    one, which PostgreSQL then looks up in public.
    """

    sql_create_schema = "CREATE SCHEMA IF NOT EXISTS %(schema)s"
    sql_alter_table_schema = "ALTER TABLE %(table)s SET SCHEMA %(schema)s"
    sql_delete_index = "DROP INDEX IF EXISTS %(namespace)s%(name)s"
    sql_delete_index_concurrently = "DROP INDEX CONCURRENTLY IF EXISTS %(namespace)s%(name)s"
    sql_rename_index = "ALTER INDEX %(namespace)s%(old_name)s RENAME TO %(new_name)s"
    sql_delete_fk = "SET CONSTRAINTS %(namespace)s%(name)s IMMEDIATE; ALTER TABLE %(table)s DROP CONSTRAINT %(name)s"

    def create_schema(self, name: str) -> None:
        """Create the schema if it is missing; the empty name is Django's default one."""
        if not name or self._schema_exists(name):
            return
        self.execute(self.sql_create_schema % {"schema": self.quote_name(name)}, None)

    def _schema_exists(self, name: str) -> bool:
        if self.collect_sql:
            return False
        # IF NOT EXISTS is no substitute: it needs CREATE on the database even when there is nothing to create.
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s)", [name])
            return cursor.fetchone()[0]

    def create_model(self, model):
        schema_name, _ = split_identifier(model._meta.db_table)
        self.create_schema(schema_name)
        super().create_model(model)

    def alter_db_table(self, model, old_db_table, new_db_table):
        old_schema, old_name = split_identifier(old_db_table)
        new_schema, new_name = split_identifier(new_db_table)
        table = old_db_table
        if old_schema != new_schema:
            self.create_schema(new_schema)
            self.execute(
                self.sql_alter_table_schema
                % {"table": self.quote_name(table), "schema": self.quote_name(new_schema or "public")},
                None,
            )
            table = f'{new_schema}"."{old_name}' if new_schema else old_name
        if old_name != new_name:
            self.execute(
                self.sql_rename_table % {"old_table": self.quote_name(table), "new_table": self.quote_name(new_name)},
                None,
            )
        for statement in self.deferred_sql:
            if isinstance(statement, Statement):
                statement.rename_table_references(old_db_table, new_db_table)

    def add_field(self, model, field):
        inline = type(self).sql_create_column_inline_fk
        self.sql_create_column_inline_fk = inline.replace("%(deferrable)s", f"{on_delete_sql(field)}%(deferrable)s")
        super().add_field(model, field)

    def alter_field(self, model, old_field, new_field, strict=False):
        super().alter_field(model, old_field, new_field, strict)
        # A key made in this very migration still waits, where Django finds none to drop and make anew.
        for statement in self.deferred_sql:
            if (
                isinstance(statement, Statement)
                and statement.template == self.sql_create_fk
                and statement.parts["column"].references_column(model._meta.db_table, new_field.column)
            ):
                self._set_on_delete(statement, new_field)

    def _create_fk_sql(self, model, field, suffix):
        return self._set_on_delete(super()._create_fk_sql(model, field, suffix), field)  # type: ignore[misc]

    def _set_on_delete(self, statement: Statement, field: models.Field) -> Statement:
        statement.parts["deferrable"] = on_delete_sql(field) + self.connection.ops.deferrable_sql()  # type: ignore[assignment]
        return statement

    def _field_should_be_altered(self, old_field, new_field, ignore=None):
        """Django takes on_delete for its own business, so a change of the clause alone looks to it like no change."""
        altered = super()._field_should_be_altered(old_field, new_field, ignore)  # type: ignore[misc]
        return altered or on_delete_sql(old_field) != on_delete_sql(new_field)

    def _delete_index_sql(self, *args, **kwargs):
        return self._in_its_schema(super()._delete_index_sql(*args, **kwargs))  # type: ignore[misc]

    def _rename_index_sql(self, *args, **kwargs):
        return self._in_its_schema(super()._rename_index_sql(*args, **kwargs))  # type: ignore[misc]

    def _delete_constraint_sql(self, *args, **kwargs):
        return self._in_its_schema(super()._delete_constraint_sql(*args, **kwargs))  # type: ignore[misc]

    def _in_its_schema(self, statement: Statement) -> Statement:
        namespace, _ = split_identifier(statement.parts["table"].table)
        statement.parts["namespace"] = f"{self.quote_name(namespace)}." if namespace else ""  # type: ignore[assignment]
        return statement
