"""A project of models that exist only in migrations: a shop with its items, in two schemas or all in public."""

import re
from collections.abc import Callable
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import connection, models
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Lower

from smetabot.postgres.deletion import DB_CASCADE

APP = "engine"
SCHEMAS = ("engine_a", "engine_b")

# Where the table of that name goes: in the first schema, in the second one.
Place = Callable[[str, str], str]


def in_schemas(schema: str, table: str) -> str:
    return f'engine_{schema}"."engine_{table}'


def in_public(schema: str, table: str) -> str:
    return f"engine_{table}"


class Project:
    """Applies migration operations one by one, each in a transaction of its own, and can take the last one back."""

    def __init__(self, *operations: Operation):
        self.states = [ProjectState()]
        self.operations: list[Operation] = []
        self.apply(*operations)

    def apply(self, *operations: Operation) -> None:
        for operation in operations:
            with self._editor(operation) as editor:
                self._forwards(operation, editor)

    def apply_together(self, *operations: Operation) -> None:
        """As one migration, at whose end Django makes the foreign keys."""
        with connection.schema_editor() as editor:
            for operation in operations:
                self._forwards(operation, editor)

    def undo(self) -> None:
        operation, after = self.operations.pop(), self.states.pop()
        with self._editor(operation) as editor:
            operation.database_backwards(APP, editor, after, self.states[-1])

    def sql(self, operation: Operation) -> str:
        """What sqlmigrate prints."""
        after = self.states[-1].clone()
        operation.state_forwards(APP, after)
        with connection.schema_editor(collect_sql=True) as editor:
            operation.database_forwards(APP, editor, self.states[-1], after)
        return "\n".join(editor.collected_sql)

    def __getitem__(self, model: str) -> Any:
        return self.states[-1].apps.get_model(APP, model)

    def _forwards(self, operation: Operation, editor) -> None:
        before, after = self.states[-1], self.states[-1].clone()
        operation.state_forwards(APP, after)
        operation.database_forwards(APP, editor, before, after)
        self.operations.append(operation)
        self.states.append(after)

    def _editor(self, operation: Operation):
        return connection.schema_editor(atomic=not isinstance(operation, NotInTransactionMixin))


def create(name: str, table: str, *fields: tuple[str, models.Field], **options) -> CreateModel:
    if not any(field.primary_key for _, field in fields):
        fields = (("id", models.BigAutoField(primary_key=True)), *fields)
    return CreateModel(name, list(fields), {"db_table": table, **options})


def foreign_key(to: str, on_delete, **options) -> models.ForeignKey:
    return models.ForeignKey(f"{APP}.{to}", on_delete, related_name="+", **options)


def shop(at: Place) -> Project:
    """With one row in each table, for an operation has to cope with rows."""
    project = Project(
        create("Shop", at("a", "shops"), ("code", models.CharField(max_length=20, unique=True))),
        create("Depot", at("b", "depots"), ("code", models.CharField(max_length=20, unique=True))),
        create("Tag", at("b", "tags"), ("name", models.CharField(max_length=20))),
        create(
            "Item",
            at("a", "items"),
            ("shop", foreign_key("Shop", models.CASCADE)),
            ("depot", foreign_key("Depot", DB_CASCADE, null=True)),
            ("depot_no", models.BigIntegerField(default=1)),
            ("tags", models.ManyToManyField(f"{APP}.Tag")),
            ("serial", models.CharField(max_length=20, unique=True, default="")),
            ("name", models.CharField(max_length=100, db_index=True, default="")),
            ("note", models.TextField(null=True)),
            ("amount", models.IntegerField(default=0)),
            ("size", models.PositiveIntegerField(null=True)),
            ("kind", models.CharField(max_length=10, db_default="plain", db_comment="What it is")),
            ("made_at", models.DateTimeField(null=True)),
            ("sold_at", models.DateTimeField(null=True)),
            db_table_comment="What a shop has",
            unique_together={("shop", "amount")},
            indexes=[
                models.Index(fields=["size"], name="engine_size"),
                models.Index(Lower("note"), name="engine_lower_note"),
            ],
            constraints=[
                models.CheckConstraint(condition=models.Q(amount__gte=0), name="engine_amount"),
                models.UniqueConstraint(fields=["shop", "kind"], name="engine_kind"),
                models.UniqueConstraint(
                    fields=["made_at"], condition=models.Q(sold_at=None), name="engine_made_at_of_unsold"
                ),
                models.UniqueConstraint(Lower("kind"), "made_at", name="engine_lower_kind"),
                models.UniqueConstraint(fields=["sold_at"], nulls_distinct=False, name="engine_sold_at"),
            ],
        ),
        create(
            "Spare",
            at("b", "spares"),
            ("item", foreign_key("Item", DB_CASCADE)),
            ("tags", models.ManyToManyField(f"{APP}.Tag", related_name="+")),
        ),
    )
    tag = project["Tag"].objects.create(name="new")
    item = project["Item"].objects.create(
        shop=project["Shop"].objects.create(code="1"),
        depot=project["Depot"].objects.create(code="1"),
        serial="1",
        name="1",
    )
    item.tags.add(tag)
    project["Spare"].objects.create(item=item)
    return project


CATALOGUE = r"""
WITH ours AS (
    SELECT c.oid, c.relname, c.relkind, n.nspname || '.' || c.relname AS name
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('engine_a', 'engine_b') OR n.nspname = 'public' AND c.relname LIKE 'engine\_%%'
)
SELECT concat_ws(' ', 'relation', relkind, name, obj_description(oid, 'pg_class')) FROM ours
UNION ALL
SELECT concat_ws(
    ' ', 'column', name, a.attname, format_type(a.atttypid, a.atttypmod), 'not null:', a.attnotnull,
    'identity:', a.attidentity, 'generated:', a.attgenerated, 'collation:', a.attcollation,
    'default:', pg_get_expr(d.adbin, d.adrelid), 'comment:', col_description(a.attrelid, a.attnum)
)
FROM ours
JOIN pg_attribute a ON a.attrelid = ours.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE relkind IN ('r', 'v')
UNION ALL
-- PostgreSQL 18 counts NOT NULL as a constraint, whose name stays when the column is renamed.
SELECT concat_ws(' ', 'constraint', name, conname, pg_get_constraintdef(con.oid), obj_description(con.oid))
FROM ours JOIN pg_constraint con ON con.conrelid = ours.oid WHERE contype <> 'n'
UNION ALL
SELECT concat_ws(' ', 'index', name, pg_get_indexdef(i.indexrelid), 'valid:', i.indisvalid)
FROM ours JOIN pg_index i ON i.indrelid = ours.oid
UNION ALL
SELECT concat_ws(' ', 'trigger', name, pg_get_triggerdef(t.oid))
FROM ours JOIN pg_trigger t ON t.tgrelid = ours.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT concat_ws(' ', 'sequence', name, s.seqtypid::regtype, 'owner:', d.refobjid::regclass, d.refobjsubid)
FROM ours
JOIN pg_sequence s ON s.seqrelid = ours.oid
LEFT JOIN pg_depend d ON d.objid = ours.oid AND d.deptype IN ('a', 'i')
UNION ALL
SELECT concat_ws(' ', 'view', name, pg_get_viewdef(oid)) FROM ours WHERE relkind = 'v'
UNION ALL
SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid))
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('engine_a', 'engine_b') OR n.nspname = 'public' AND p.proname LIKE 'engine\_%%'
"""


def catalogue() -> set[str]:
    """All that PostgreSQL knows about the project's tables, a line for each thing."""
    with connection.cursor() as cursor:
        cursor.execute(CATALOGUE, [])
        return {line for (line,) in cursor.fetchall()}


def without_schemas(lines: set[str]) -> set[str]:
    return {re.sub(r'"?\b(engine_a|engine_b|public)"?\.', "", line) for line in lines}


def drop_everything() -> None:
    with connection.cursor() as cursor:
        cursor.execute(r"""
            DO $$
            DECLARE statement text;
            BEGIN
                FOR statement IN
                    SELECT format('DROP SCHEMA %s CASCADE', oid::regnamespace)
                    FROM pg_namespace WHERE nspname IN ('engine_a', 'engine_b')
                    UNION ALL
                    SELECT format('DROP TABLE %s CASCADE', oid::regclass)
                    FROM pg_class
                    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'engine\_%'
                    UNION ALL
                    SELECT format('DROP FUNCTION %s CASCADE', oid::regprocedure)
                    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'engine\_%'
                LOOP
                    EXECUTE statement;
                END LOOP;
            END
            $$
        """)
