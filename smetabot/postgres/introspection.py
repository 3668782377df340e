import re

from django.db.backends.postgresql import introspection
from django.db.backends.postgresql.introspection import TableInfo  # type: ignore[attr-defined]
from django.db.backends.utils import split_identifier

IS_VISIBLE = re.compile(r"pg_catalog\.pg_table_is_visible\((\w+)\.oid\)")


class TableCursor:
    """Turns "a visible table of this name" in Django's catalogue queries into "this very table"."""

    def __init__(self, cursor, ops, table):
        self.cursor = cursor
        self.table = table
        self.regclass = ops.quote_name(table).replace("'", "''")

    def execute(self, sql, params=None):
        sql = IS_VISIBLE.sub(rf"\1.oid = pg_catalog.to_regclass('{self.regclass}')", sql)
        if params is not None:
            params = [split_identifier(param)[1] if param == self.table else param for param in params]
        return self.cursor.execute(sql, params)

    def __getattr__(self, name):
        return getattr(self.cursor, name)


class DatabaseIntrospection(introspection.DatabaseIntrospection):
    """Names tables as models do: bare in public, schema"."table elsewhere."""

    def get_table_list(self, cursor):
        visible = super().get_table_list(cursor)
        # A role called like a schema ("$user" in its search_path) sees that schema's tables under both names.
        cursor.execute(r"""
            SELECT
                n.nspname || '"."' || c.relname,
                CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END,
                obj_description(c.oid, 'pg_class')
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v')
                AND n.nspname NOT IN ('public', 'information_schema')
                AND n.nspname NOT LIKE 'pg\_%'
        """)
        return visible + [TableInfo(*row) for row in cursor.fetchall()]

    def get_table_description(self, cursor, table_name):
        return super().get_table_description(self._at(cursor, table_name), table_name)

    def get_constraints(self, cursor, table_name):
        return super().get_constraints(self._at(cursor, table_name), table_name)

    def get_sequences(self, cursor, table_name, table_fields=()):
        """A sequence owned by a column is in its table's schema."""
        sequences = super().get_sequences(self._at(cursor, table_name), table_name, table_fields)
        schema, _ = split_identifier(table_name)
        if schema:
            for sequence in sequences:
                sequence["name"] = f'{schema}"."{sequence["name"]}'
        return sequences

    def get_relations(self, cursor, table_name):
        cursor.execute(
            """
            SELECT
                a1.attname,
                a2.attname,
                CASE n2.nspname WHEN 'public' THEN c2.relname ELSE n2.nspname || '"."' || c2.relname END
            FROM pg_catalog.pg_constraint con
            JOIN pg_catalog.pg_class c2 ON c2.oid = con.confrelid
            JOIN pg_catalog.pg_namespace n2 ON n2.oid = c2.relnamespace
            JOIN pg_catalog.pg_attribute a1 ON a1.attrelid = con.conrelid AND a1.attnum = con.conkey[1]
            JOIN pg_catalog.pg_attribute a2 ON a2.attrelid = con.confrelid AND a2.attnum = con.confkey[1]
            WHERE con.contype = 'f' AND con.conrelid = pg_catalog.to_regclass(%s)
            """,
            [self.connection.ops.quote_name(table_name)],
        )
        return {column: (target_column, target) for column, target_column, target in cursor.fetchall()}

    def _at(self, cursor, table_name):
        return TableCursor(cursor, self.connection.ops, table_name)
