from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import AddField, Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from smetabot.postgres.deletion import DB_CASCADE
from smetabot.postgres.migrations import CreateView

from .project import APP, Project, create, foreign_key, in_public, in_schemas, shop

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])

ITEMS = in_schemas("a", "items")


def test_tables_are_listed_as_models_name_them(scratch):
    shop(in_schemas).apply(create("Note", in_public("a", "notes")), CreateView("engine_a.engine_cheap", "SELECT 1"))
    names = connection.introspection.table_names()
    assert {name for name in names if "engine" in name} == {
        in_schemas("a", "shops"),
        in_schemas("b", "depots"),
        in_schemas("b", "tags"),
        in_schemas("a", "items"),
        in_schemas("a", "items_tags"),
        in_schemas("b", "spares"),
        in_schemas("b", "spares_tags"),
        in_public("a", "notes"),
    }
    assert in_schemas("a", "cheap") in connection.introspection.table_names(include_views=True)
    assert not [name for name in names if name.startswith(("pg_", "information_schema"))]


def test_tables_of_one_name_in_two_schemas_are_told_apart(scratch):
    Project(
        create("Twin", in_schemas("a", "twins"), ("code", models.TextField(unique=True, db_comment="Mine"))),
        create("Other", in_schemas("b", "twins"), ("size", models.IntegerField(db_index=True))),
        create("Plain", in_public("a", "twins"), ("day", models.DateField())),
    )
    with connection.cursor() as cursor:

        def described(place):
            columns = connection.introspection.get_table_description(cursor, place)
            constraints = connection.introspection.get_constraints(cursor, place)
            return (
                [(column.name, column.comment) for column in columns],
                sorted(
                    c["columns"] for c in constraints.values() if (c["unique"] or c["index"]) and not c["primary_key"]
                ),
            )

        assert described(in_schemas("a", "twins")) == ([("id", None), ("code", "Mine")], [["code"], ["code"]])
        assert described(in_schemas("b", "twins")) == ([("id", None), ("size", None)], [["size"]])
        assert described(in_public("a", "twins")) == ([("id", None), ("day", None)], [])


def test_a_sequence_is_named_with_its_schema(scratch):
    shop(in_schemas)
    with connection.cursor() as cursor:
        sequences = connection.introspection.get_sequences(cursor, ITEMS)
    assert sequences == [{"name": 'engine_a"."engine_items_id_seq', "table": ITEMS, "column": "id"}]


def test_relations_lead_to_other_schemas(scratch):
    shop(in_schemas).apply(
        create("Note", in_public("a", "notes")),
        AddField("Item", "new", foreign_key("Note", DB_CASCADE, null=True)),
    )
    with connection.cursor() as cursor:
        assert connection.introspection.get_relations(cursor, ITEMS) == {
            "shop_id": ("id", in_schemas("a", "shops")),
            "depot_id": ("id", in_schemas("b", "depots")),
            "new_id": ("id", in_public("a", "notes")),
        }


def test_inspectdb_writes_models_of_tables_in_schemas(scratch):
    shop(in_schemas)
    out = StringIO()
    call_command("inspectdb", ITEMS, in_schemas("b", "spares"), stdout=out)
    assert "id = models.BigAutoField(primary_key=True)" in out.getvalue()
    assert "serial = models.CharField(unique=True, max_length=20)" in out.getvalue()
    assert "item = models.ForeignKey(EngineAEngineItems, models.DO_NOTHING)" in out.getvalue()
    assert f"db_table = '{ITEMS}'" in out.getvalue()
    assert "db_table_comment = 'What a shop has'" in out.getvalue()


def test_fake_initial_recognises_tables_and_columns_that_exist(scratch):
    project = Project(create("Shop", in_schemas("a", "shops")), create("Tag", in_schemas("b", "tags")))
    project.apply(
        AddField("Shop", "tags", models.ManyToManyField(f"{APP}.Tag")), AddField("Shop", "size", models.IntegerField())
    )

    class Initial(Migration):
        initial = True
        operations = [*project.operations]

    initial = Initial("0001_initial", APP)
    executor = MigrationExecutor(connection)
    assert executor.detect_soft_applied(ProjectState(), initial)[0]
    project.undo()
    assert not executor.detect_soft_applied(ProjectState(), initial)[0]
