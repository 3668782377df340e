"""Migration operations that change tables in place while they are written."""

from collections.abc import Sequence
from contextlib import nullcontext

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import ProgrammingError, connection
from django.db.migrations.operations.base import Operation
from django.utils import timezone

from smetabot.postgres.migrations import DatabaseOnly, grants_on
from smetabot.postgres.partitions import MonthlyTable, constraints_of, copy_keys, holding, rows, run
from smetabot.postgres.retry import retry_busy


class Holding(NotInTransactionMixin, DatabaseOnly):
    """`Holding(["core.clients"], RunSQL(…))`

    The operations in one transaction that has its locks on the tables at once or not at all: see `holding`. They must
    leave the models' state alone. Needs `atomic = False` on the migration.
    """

    def __init__(self, tables: Sequence[str], *operations: Operation):
        self.tables = tables
        self.operations = operations

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._run("database_forwards", self.operations, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._run("database_backwards", self.operations[::-1], app_label, schema_editor, from_state, to_state)

    @retry_busy
    def _run(self, way, operations, app_label, schema_editor, *states):
        self._ensure_not_in_transaction(schema_editor)
        # sqlmigrate only asks.
        with nullcontext() if schema_editor.collect_sql else holding(self.tables, "SHARE ROW EXCLUSIVE"):
            for operation in operations:
                getattr(operation, way)(app_label, schema_editor, *states)

    def describe(self):
        return "; ".join(operation.describe() for operation in self.operations)

    @property
    def migration_name_fragment(self):
        return "_".join(operation.migration_name_fragment for operation in self.operations)


class PartitionByMonth(NotInTransactionMixin, DatabaseOnly):
    """`PartitionByMonth("Event", "created_at")`

    The rows that there are stay where they are, in what is then the default partition. To Django the model is as it
    was, although to PostgreSQL the column belongs to the primary key. Needs `atomic = False` on the migration.
    """

    reduces_to_sql = False

    def __init__(self, model_name: str, field: str):
        self.model_name = model_name
        self.field = field

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        table = MonthlyTable.of(model, self.field)
        key = _key_of(model)
        partition(table, key if table.column in key else [*key, table.column])
        for month in table.months_ahead(now=timezone.now()):
            table.make_month(month)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        unpartition(MonthlyTable.of(model, self.field), _key_of(model))

    def describe(self):
        return f"Partition {self.model_name} by the month of {self.field}"

    @property
    def migration_name_fragment(self):
        return f"partition_{self.model_name.lower()}"


def _key_of(model) -> list[str]:
    return [field.column for field in model._meta.pk_fields]


def partition(table: MonthlyTable, key: list[str]) -> None:
    """Make an ordinary table the default partition of a new one of its name. `key` are the primary key's columns.

    Can be killed at any point and done again: all but the index of the key is one transaction.
    """
    if not table.is_partitioned():
        _swap(table, _index_for_key(table, key))


def _index_for_key(table: MonthlyTable, key: list[str]) -> str | None:
    """Built while everybody reads and writes. None if the table has that key already."""
    columns = ", ".join(f'"{column}"' for column in key)
    current = rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
        table.sql(),
    )
    if current == [(f"PRIMARY KEY ({', '.join(key)})",)]:
        return None
    index = f"{table.name}_key_with_{table.column}"[:63]
    valid = rows("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", f'"{table.schema}"."{index}"')
    if valid == [(False,)]:
        # Left by a try that was killed.
        run(f'DROP INDEX CONCURRENTLY "{table.schema}"."{index}"')
    if valid != [(True,)]:
        run(f'CREATE UNIQUE INDEX CONCURRENTLY "{index}" ON {table.sql()} ({columns})')
    return index


@retry_busy
def _swap(table: MonthlyTable, key_index: str | None) -> None:
    # Of the tables referred to, too, as a foreign key of the whole takes the place of the one that there is.
    with holding([*table.referenced(), table.sql()], "ACCESS EXCLUSIVE"):
        _refuse_views(table)
        carried = _carried(table)
        identities = _identities(table)
        run(f'ALTER TABLE {table.sql()} RENAME TO "{table.name}_default"')
        for index in _indexes(table.default):
            if index != key_index:
                run(f'ALTER INDEX "{table.schema}"."{index}" RENAME TO "{index[:55]}_default"')
        if key_index:
            [(key,)] = rows(
                "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'", table.default
            )
            run(
                f'ALTER TABLE {table.default} DROP CONSTRAINT "{key}",'
                f' ADD CONSTRAINT "{key}" PRIMARY KEY USING INDEX "{key_index}"'
            )
        for sequence, _, _ in identities:
            run(f'ALTER SEQUENCE "{table.schema}"."{sequence}" RENAME TO "{sequence[:55]}_default"')
        run(
            f"CREATE TABLE {table.sql()} (LIKE {table.default} INCLUDING ALL EXCLUDING INDEXES)"
            f' PARTITION BY RANGE ("{table.column}")'
        )
        for sequence, column, _ in identities:
            _go_on(f'"{table.schema}"."{sequence[:55]}_default"', f'"{table.schema}"."{sequence}"')
            # One with an identity of its own cannot be attached.
            run(f'ALTER TABLE {table.default} ALTER "{column}" DROP IDENTITY')
        copy_keys(table.default, table.sql(), named=True)
        _carry(carried, drop_triggers_of=table.default)
        # With no other partition there is nothing to look through, and every index and key finds its like.
        run(f"ALTER TABLE {table.sql()} ATTACH PARTITION {table.default} DEFAULT")


@retry_busy
def unpartition(table: MonthlyTable, key: list[str]) -> None:
    """Make it an ordinary table again, with all rows. Locks it and what it refers to for as long as that takes."""
    if not table.is_partitioned():
        return
    with holding([*table.referenced(), table.sql()], "ACCESS EXCLUSIVE"):
        _refuse_views(table)
        carried, identities, columns = _carried(table), _identities(table), table.columns()
        names = rows(
            """
            SELECT own.relname, parent.relname
            FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid
            JOIN pg_class own ON own.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
            WHERE indrelid = %s::regclass
            """,
            table.default,
        )
        parts = [table.part(month) for month in table.months()]
        for part in [*parts, table.default]:
            run(f"ALTER TABLE {table.sql()} DETACH PARTITION {part}")
        # Checked for all rows at once when they are made again.
        foreign_keys = constraints_of(table.default, "f")
        for name, _ in foreign_keys:
            run(f'ALTER TABLE {table.default} DROP CONSTRAINT "{name}"')
        for part in parts:
            run(f"INSERT INTO {table.default} ({columns}) SELECT {columns} FROM {part}")
            run(f"DROP TABLE {part}")
        for sequence, column, kind in identities:
            run(f'ALTER TABLE {table.default} ALTER "{column}" ADD GENERATED {kind} AS IDENTITY')
            [(new,)] = rows("SELECT pg_get_serial_sequence(%s, %s)", table.default, column)
            _go_on(f'"{table.schema}"."{sequence}"', new)
        run(f"DROP TABLE {table.sql()}")
        run(f'ALTER TABLE {table.default} RENAME TO "{table.name}"')
        for sequence, column, _ in identities:
            [(new,)] = rows("SELECT pg_get_serial_sequence(%s, %s)", table.sql(), column)
            run(f'ALTER SEQUENCE {new} RENAME TO "{sequence}"')
        for own, name in names:
            run(f'ALTER INDEX "{table.schema}"."{own}" RENAME TO "{name}"')
        [(name, definition)] = constraints_of(table.sql(), "p")
        if definition != f"PRIMARY KEY ({', '.join(key)})":
            quoted = ", ".join(f'"{column}"' for column in key)
            run(f'ALTER TABLE {table.sql()} DROP CONSTRAINT "{name}", ADD CONSTRAINT "{name}" PRIMARY KEY ({quoted})')
        for name, definition in foreign_keys:
            run(f'ALTER TABLE {table.sql()} ADD CONSTRAINT "{name}" {definition}')
        _carry(carried)


def _refuse_views(table: MonthlyTable) -> None:
    """A view would go on reading what is then but a part."""
    found = rows(
        """
        SELECT DISTINCT ev_class::regclass::text FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
        WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = %s::regclass
        ORDER BY 1
        """,
        table.sql(),
    )
    if found:
        views = ", ".join(view for (view,) in found)
        raise ProgrammingError(f"Drop what reads {table}, migrate, and make it again: {views}")


def _carried(table: MonthlyTable) -> list[str]:
    """The statements that give another table of that name the same owner, comment, grants and triggers."""
    comment = rows(
        "SELECT format('COMMENT ON TABLE %%s IS %%L', %s::text, obj_description(%s::regclass))", *[table.sql()] * 2
    )
    owner = rows(
        "SELECT format('ALTER TABLE %%s OWNER TO %%s', %s::text, relowner::regrole) FROM pg_class"
        " WHERE oid = %s::regclass AND relowner::regrole::text <> quote_ident(current_user)",
        *[table.sql()] * 2,
    )
    grants = [(grant,) for grant in grants_on(connection, table.sql())]
    column_grants = rows(
        """
        SELECT format(
            'GRANT %%s (%%I) ON %%s TO %%s', privilege_type, attname, %s::text,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        ) || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
        FROM pg_attribute, aclexplode(attacl) WHERE attrelid = %s::regclass AND NOT attisdropped
        """,
        *[table.sql()] * 2,
    )
    triggers = rows(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname",
        table.sql(),
    )
    return [statement for (statement,) in [*comment, *owner, *grants, *column_grants, *triggers]]


def _carry(statements: list[str], *, drop_triggers_of: str | None = None) -> None:
    if drop_triggers_of:
        for (name,) in rows(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", drop_triggers_of
        ):
            run(f'DROP TRIGGER "{name}" ON {drop_triggers_of}')
    for statement in statements:
        run(statement)


def _identities(table: MonthlyTable) -> list[tuple[str, str, str]]:
    """Of each identity column the sequence, its name and when it is generated."""
    return rows(
        """
        SELECT relname, attname, CASE attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END
        FROM pg_attribute JOIN pg_class ON pg_class.oid = pg_get_serial_sequence(%s, attname)::regclass
        WHERE attrelid = %s::regclass AND attidentity <> ''
        """,
        *[table.sql()] * 2,
    )


def _go_on(sequence: str, successor: str) -> None:
    run(f"SELECT setval('{successor}', last_value, is_called) FROM {sequence}")


def _indexes(table: str) -> list[str]:
    found = rows(
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %s::regclass", table
    )
    return [name for (name,) in found]
