import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, RemoveIndexConcurrently
from django.db import connection, models, transaction
from django.db.migrations import operations as o
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.migrations import AppendOnly, CreateFunction, CreateView

from .project import (
    APP,
    SCHEMAS,
    Place,
    Project,
    catalogue,
    create,
    drop_everything,
    foreign_key,
    in_public,
    in_schemas,
    shop,
    without_schemas,
)

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])

ON_DELETE = {
    "CASCADE": (models.CASCADE, ""),
    "SET_NULL": (models.SET_NULL, ""),
    "SET_DEFAULT": (models.SET_DEFAULT, ""),
    "SET": (models.SET(1), ""),
    "DO_NOTHING": (models.DO_NOTHING, ""),
    "PROTECT": (models.PROTECT, " ON DELETE RESTRICT"),
    "RESTRICT": (models.RESTRICT, " ON DELETE RESTRICT"),
    "DB_CASCADE": (DB_CASCADE, " ON DELETE CASCADE"),
    "DB_SET_NULL": (DB_SET_NULL, " ON DELETE SET NULL"),
}


def text(**options) -> models.CharField:
    return models.CharField(max_length=20, **options)


def operations(at: Place) -> dict[str, o.base.Operation]:
    """Every operation that a migration of ours may use, on the shop. Each is also walked backwards."""

    def place(table: str) -> str:
        return at("a", table).replace('"', "") if at is in_schemas else f"public.engine_{table}"

    index = models.Index(fields=["amount", "-name"], name="engine_new")
    add_field = {
        "null": models.IntegerField(null=True),
        "default": models.IntegerField(default=7),
        "db_default": models.DateTimeField(db_default=Now()),
        "percent_default": models.TextField(db_default="100%"),
        "unique": text(null=True, unique=True),
        "indexed": text(default="", db_index=True),
        "commented": text(default="", db_comment="It's new"),
        "generated": models.GeneratedField(
            expression=F("amount") * 2, output_field=models.IntegerField(), db_persist=True
        ),
        "many_to_many": models.ManyToManyField(f"{APP}.Shop", related_name="+"),
        "many_to_many_self": models.ManyToManyField(f"{APP}.Item"),
        "one_to_one": models.OneToOneField(f"{APP}.Depot", DB_SET_NULL, null=True, related_name="+"),
        "self": foreign_key("Item", DB_CASCADE, null=True),
        "to_field": foreign_key("Shop", DB_CASCADE, null=True, to_field="code"),
        **{
            f"foreign_key_{name}": foreign_key("Depot", on_delete, null=True)
            for name, (on_delete, _) in ON_DELETE.items()
        },
    }
    alter_field: dict[str, tuple[str, models.Field]] = {
        "length": ("serial", models.CharField(max_length=40, unique=True)),
        "indexed_to_text": ("name", models.TextField(db_index=True)),
        "indexed_to_integer": ("name", models.IntegerField(db_index=True)),
        "unique_to_integer": ("serial", models.IntegerField(unique=True)),
        "integer_to_bigint": ("amount", models.BigIntegerField(default=0)),
        "collation": ("name", models.CharField(max_length=100, db_index=True, db_collation="C")),
        "check_off": ("size", models.IntegerField(null=True)),
        "not_null": ("note", models.TextField(default="")),
        "not_null_db_default": ("note", models.TextField(db_default="none")),
        "null": ("name", models.CharField(max_length=100, db_index=True, null=True)),
        "db_default_on": ("amount", models.IntegerField(db_default=3)),
        "db_default_other": ("kind", models.CharField(max_length=10, db_default="odd", db_comment="What it is")),
        "db_default_off": ("kind", models.CharField(max_length=10, db_comment="What it is")),
        "comment": ("kind", models.CharField(max_length=10, db_default="plain", db_comment="Its kind")),
        "column": ("note", models.TextField(null=True, db_column="remark")),
        "unique_on": ("note", models.TextField(null=True, unique=True)),
        "unique_off": ("serial", text()),
        "unique_to_index": ("serial", text(db_index=True)),
        "index_on": ("note", models.TextField(null=True, db_index=True)),
        "index_off": ("name", models.CharField(max_length=100)),
        "index_to_unique": ("name", models.CharField(max_length=100, unique=True)),
        "foreign_key_target": ("depot", foreign_key("Shop", DB_CASCADE, null=True)),
        "foreign_key_to_one_to_one": (
            "depot",
            models.OneToOneField(f"{APP}.Depot", DB_CASCADE, null=True, related_name="+"),
        ),
        "foreign_key_to_integer": ("depot", models.BigIntegerField(null=True, db_column="depot_id")),
        "integer_to_foreign_key": ("depot_no", foreign_key("Depot", DB_CASCADE, db_column="depot_no")),
        "foreign_key_null": ("shop", foreign_key("Shop", models.CASCADE, null=True)),
        "foreign_key_index_off": ("depot", foreign_key("Depot", DB_CASCADE, null=True, db_index=False)),
        "foreign_key_constraint_off": ("depot", foreign_key("Depot", DB_CASCADE, null=True, db_constraint=False)),
        "many_to_many_target": ("tags", models.ManyToManyField(f"{APP}.Shop", related_name="+")),
    }
    constraints = {
        "check": models.CheckConstraint(
            condition=Q(name__contains="%") | Q(size__lt=5) | Q(size=None), name="engine_new"
        ),
        "unique": models.UniqueConstraint(fields=["shop", "name"], name="engine_new"),
        "unique_deferred": models.UniqueConstraint(
            fields=["note"], deferrable=models.Deferrable.DEFERRED, name="engine_new"
        ),
        "unique_conditional": models.UniqueConstraint(fields=["note"], condition=Q(amount=0), name="engine_new"),
        "unique_covering": models.UniqueConstraint(fields=["note"], include=["name"], name="engine_new"),
        "unique_expression": models.UniqueConstraint(Lower("note"), "shop", name="engine_new"),
        "unique_nulls_not_distinct": models.UniqueConstraint(fields=["note"], nulls_distinct=False, name="engine_new"),
        "unique_opclass": models.UniqueConstraint(fields=["note"], opclasses=["text_pattern_ops"], name="engine_new"),
        "exclusion": ExclusionConstraint(
            expressions=[(models.Func("made_at", "sold_at", function="tstzrange"), "&&")], name="engine_new"
        ),
    }
    indexes = {
        "fields": index,
        "conditional": models.Index(fields=["note"], condition=Q(amount__gt=0), name="engine_new"),
        "covering": models.Index(fields=["note"], include=["amount"], name="engine_new"),
        "expression": models.Index(Lower("name").desc(), name="engine_new"),
        "opclass": models.Index(fields=["note"], opclasses=["text_pattern_ops"], name="engine_new"),
        "brin": BrinIndex(fields=["made_at"], name="engine_new"),
    }
    return {
        "create_model": create(
            "Box",
            at("b", "boxes"),
            ("parent", foreign_key("Box", DB_CASCADE, null=True)),
            ("item", foreign_key("Item", models.RESTRICT)),
            ("depot", models.OneToOneField(f"{APP}.Depot", DB_SET_NULL, null=True, related_name="+")),
            ("tags", models.ManyToManyField(f"{APP}.Tag", related_name="+", db_table=at("a", "boxes_tags"))),
            ("label", text(unique=True, db_comment="On the lid")),
            ("data", models.JSONField(db_default={})),
            (
                "double",
                models.GeneratedField(expression=F("id") * 2, output_field=models.BigIntegerField(), db_persist=True),
            ),
            db_table_comment="What items come in",
            unique_together={("item", "depot")},
            indexes=[models.Index(fields=["label"], name="engine_box_label")],
            constraints=[
                models.CheckConstraint(condition=~Q(label="%"), name="engine_box_no_percent"),
                models.UniqueConstraint(Lower("label"), name="engine_box_lower_label"),
            ],
        ),
        "create_model_composite_primary_key": create(
            "Stock",
            at("b", "stocks"),
            ("pk", models.CompositePrimaryKey("item_id", "day")),
            ("item", foreign_key("Item", DB_CASCADE)),
            ("day", models.DateField()),
        ),
        "create_model_with_key_of_its_parent": create(
            "Extra", at("b", "extras"), ("item", models.OneToOneField(f"{APP}.Item", DB_CASCADE, primary_key=True))
        ),
        "delete_model": o.DeleteModel("Spare"),
        **{f"add_field_{name}": o.AddField("Item", "new", field) for name, field in add_field.items()},
        **{
            f"remove_field_{name}": o.RemoveField("Item", name)
            for name in ("serial", "name", "depot_no", "depot", "tags")
        },
        **{f"alter_field_{name}": o.AlterField("Item", *change) for name, change in alter_field.items()},
        **{
            f"alter_field_on_delete_{name}": o.AlterField("Item", "depot", foreign_key("Depot", on_delete, null=True))
            for name, (on_delete, clause) in ON_DELETE.items()
            if clause != ON_DELETE["DB_CASCADE"][1]
        },
        "alter_field_identity_size": o.AlterField("Shop", "id", models.AutoField(primary_key=True)),
        "alter_field_identity_off": o.AlterField("Shop", "id", models.BigIntegerField(primary_key=True)),
        "alter_field_primary_key_type": o.AlterField("Depot", "id", text(primary_key=True)),
        "rename_field_indexed": o.RenameField("Item", "name", "title"),
        "rename_field_unique": o.RenameField("Item", "serial", "number"),
        "rename_field_checked": o.RenameField("Item", "size", "extent"),
        "rename_field_foreign_key": o.RenameField("Item", "depot", "store"),
        "rename_field_many_to_many": o.RenameField("Item", "tags", "labels"),
        "rename_model_with_many_to_many": o.RenameModel("Item", "Good"),
        "rename_model_pointed_at": o.RenameModel("Tag", "Label"),
        "alter_model_table": o.AlterModelTable("Item", at("a", "goods")),
        "alter_model_table_pointed_at": o.AlterModelTable("Depot", at("b", "stores")),
        "alter_model_table_comment": o.AlterModelTableComment("Item", "It's new"),
        "alter_unique_together_off": o.AlterUniqueTogether("Item", set()),
        "alter_unique_together_other": o.AlterUniqueTogether("Item", {("shop", "amount"), ("shop", "name")}),
        "alter_order_with_respect_to": o.AlterOrderWithRespectTo("Spare", "item"),
        **{f"add_index_{name}": o.AddIndex("Item", new) for name, new in indexes.items()},
        "remove_index": o.RemoveIndex("Item", "engine_size"),
        "remove_index_expression": o.RemoveIndex("Item", "engine_lower_note"),
        "rename_index": o.RenameIndex("Item", new_name="engine_renamed", old_name="engine_size"),
        "add_index_concurrently": AddIndexConcurrently("Item", index),
        "remove_index_concurrently": RemoveIndexConcurrently("Item", "engine_size"),
        **{f"add_constraint_{name}": o.AddConstraint("Item", new) for name, new in constraints.items()},
        "add_constraint_not_valid": AddConstraintNotValid("Item", constraints["check"]),
        **{
            f"remove_constraint_{name}": o.RemoveConstraint("Item", name)
            for name in (
                "engine_amount",
                "engine_kind",
                "engine_made_at_of_unsold",
                "engine_lower_kind",
                "engine_sold_at",
            )
        },
        "append_only": AppendOnly("Item"),
        "append_only_goes_with": AppendOnly("Spare", goes_with="item"),
        "create_view": CreateView(
            place("cheap"), f"SELECT id, name FROM {place('items')} WHERE name LIKE 'a%' -- under 10%"
        ),
        "create_function": CreateFunction(
            place("double") + "(number bigint)", "RETURNS bigint LANGUAGE sql IMMUTABLE RETURN number * 2 % 1000"
        ),
    }


def walk(project: Project, operation: o.base.Operation) -> list[set[str]]:
    """The catalogue before, after, taken back and done again."""
    seen = [catalogue()]
    project.apply(operation)
    seen.append(catalogue())
    project.undo()
    seen.append(catalogue())
    project.apply(operation)
    return [*seen, catalogue()]


# Made together with the table, a constraint gets its name from PostgreSQL; made again, from Django.
RENAMES_A_CONSTRAINT = {
    "alter_field_check_off",
    "alter_field_indexed_to_integer",
    "alter_field_unique_to_integer",
    "alter_field_unique_off",
    "alter_field_unique_to_index",
    "alter_field_identity_size",
    "alter_field_primary_key_type",
}


@pytest.mark.parametrize("name", operations(in_schemas))
def test_it_does_in_schemas_what_it_does_in_public_forwards_and_backwards(scratch, name):
    before, after, back, again = walk(shop(in_schemas), operations(in_schemas)[name])
    assert after != before
    assert back == before or name in RENAMES_A_CONSTRAINT
    assert again == after
    drop_everything()
    for lines, in_one_schema in zip(
        (before, after, back, again), walk(shop(in_public), operations(in_public)[name]), strict=True
    ):
        assert without_schemas(lines) == without_schemas(in_one_schema)


@pytest.mark.parametrize("target", ["other schema", "public"])
def test_a_table_moves_with_all_that_belongs_to_it_and_back(scratch, target):
    def at(schema, table):
        if table != "items":
            return in_schemas(schema, table)
        return in_schemas("b", table) if target == "other schema" else in_public("a", table)

    shop(at)
    expected = catalogue()
    drop_everything()
    before, after, back, again = walk(shop(in_schemas), o.AlterModelTable("Item", at("a", "items")))
    assert after == expected
    assert back == before
    assert again == after


def test_a_table_is_moved_and_renamed_at_once(scratch):
    project = shop(in_schemas)
    project.apply(o.AlterModelTable("Item", in_schemas("b", "goods")))
    assert project["Item"].objects.get().tags.get().name == "new"
    project.apply(o.AlterModelTable("Item", in_public("a", "things")))
    assert project["Item"].objects.get().tags.get().name == "new"


def test_a_table_moves_to_a_schema_that_is_not_there_yet(scratch):
    project = Project(create("Shop", in_public("a", "shops")))
    project.apply(o.AlterModelTable("Shop", in_schemas("b", "shops")))
    assert not project["Shop"].objects.exists()


def test_a_schema_is_created_with_its_first_table_and_stays(scratch):
    project = Project(create("Shop", in_schemas("a", "shops")))
    project.undo()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(SCHEMAS)])
        assert cursor.fetchall() == [("engine_a",)]


def test_sqlmigrate_tells_the_schema(scratch):
    sql = Project().sql(create("Shop", in_schemas("a", "shops")))
    assert sql.startswith('CREATE SCHEMA IF NOT EXISTS "engine_a";\nCREATE TABLE "engine_a"."engine_shops"')


def test_a_foreign_key_goes_in_the_transaction_that_wrote_its_rows(scratch):
    project = shop(in_schemas)
    depot = project["Depot"].objects.create(code="2")
    with transaction.atomic():
        project["Item"].objects.update(depot=depot)
        project.apply(o.RemoveField("Item", "depot"))


def test_a_foreign_key_is_added_and_filled_in_one_transaction(scratch):
    project = shop(in_schemas)
    with transaction.atomic():
        project.apply(o.AddField("Item", "new", foreign_key("Depot", DB_CASCADE, null=True)))
        project["Item"].objects.update(new=project["Depot"].objects.get())
        project.apply(o.AlterField("Item", "new", foreign_key("Depot", DB_CASCADE)))


@pytest.mark.parametrize("name", ON_DELETE)
def test_a_foreign_key_has_the_clause_of_its_on_delete(scratch, name):
    on_delete, clause = ON_DELETE[name]
    other = DB_SET_NULL if on_delete is DB_CASCADE else DB_CASCADE
    project = Project(
        create("Shop", in_schemas("a", "shops")),
        create(
            "Item",
            in_schemas("b", "items"),
            ("created", foreign_key("Shop", on_delete, null=True)),
            ("changed", foreign_key("Shop", other, null=True)),
        ),
    )
    project.apply(
        o.AddField("Item", "added", foreign_key("Shop", on_delete, null=True)),
        o.AlterField("Item", "changed", foreign_key("Shop", on_delete, null=True)),
    )
    keys = {line.partition("FOREIGN KEY ")[2] for line in catalogue() if "FOREIGN KEY" in line}
    assert keys == {
        f"({column}_id) REFERENCES engine_a.engine_shops(id){clause} DEFERRABLE INITIALLY DEFERRED"
        for column in ("created", "changed", "added")
    }


BETWEEN = {
    "nothing": [],
    "rename_field": [o.RenameField("Item", "shop", "store"), o.RenameField("Item", "store", "shop")],
    "rename_column": [o.AlterField("Item", "shop", foreign_key("Shop", DB_CASCADE, null=True, db_column="store"))],
    "rename_models": [o.RenameModel("Item", "Good"), o.RenameModel("Shop", "Depot")],
    "move_tables": [
        o.AlterModelTable("Item", in_schemas("a", "goods")),
        o.AlterModelTable("Shop", in_schemas("b", "stores")),
    ],
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("on_delete", ["DB_SET_NULL", "PROTECT", "CASCADE"])
def test_on_delete_is_changed_in_the_migration_that_makes_the_foreign_key(scratch, name, on_delete):
    new, clause = ON_DELETE[on_delete]
    shop_key = foreign_key("Shop", DB_CASCADE, null=True)
    renamed = name == "rename_models"
    Project().apply_together(
        create("Shop", in_schemas("a", "shops")),
        create("Item", in_schemas("b", "items"), ("shop", shop_key), ("other", shop_key.clone())),
        *BETWEEN[name],
        o.AlterField(
            "Good" if renamed else "Item", "shop", foreign_key("Depot" if renamed else "Shop", new, null=True)
        ),
    )
    keys = {line.partition("FOREIGN KEY ")[2] for line in catalogue() if "FOREIGN KEY" in line}
    shops = "engine_b.engine_stores" if name == "move_tables" else "engine_a.engine_shops"
    assert keys == {
        f"(shop_id) REFERENCES {shops}(id){clause} DEFERRABLE INITIALLY DEFERRED",
        f"(other_id) REFERENCES {shops}(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
    }


def test_keys_to_a_key_that_is_changed_in_the_migration_that_makes_both_stay(scratch):
    def owner(on_delete):
        return models.OneToOneField(f"{APP}.Shop", on_delete, primary_key=True, related_name="+")

    Project().apply_together(
        create("Shop", in_schemas("a", "shops")),
        create("Owner", in_schemas("a", "owners"), ("shop", owner(models.CASCADE))),
        create("Item", in_schemas("b", "items"), ("owner", foreign_key("Owner", DB_SET_NULL, null=True))),
        o.AlterField("Owner", "shop", owner(DB_CASCADE)),
    )
    keys = {line.partition("FOREIGN KEY ")[2] for line in catalogue() if "FOREIGN KEY" in line}
    assert keys == {
        "(shop_id) REFERENCES engine_a.engine_shops(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        "(owner_id) REFERENCES engine_a.engine_owners(shop_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
    }


def test_a_change_of_on_delete_under_the_same_clause_does_nothing(scratch):
    project = Project(
        create("Shop", in_schemas("a", "shops")),
        create("Item", in_schemas("b", "items"), ("shop", foreign_key("Shop", models.PROTECT))),
    )
    assert project.sql(o.AlterField("Item", "shop", foreign_key("Shop", models.RESTRICT))) == ""


def test_a_column_that_cannot_be_null_is_not_set_null(scratch):
    project = Project(create("Shop", in_schemas("a", "shops")))
    with pytest.raises(ValueError, match="engine.Item.shop: on_delete=DB_SET_NULL needs null=True"):
        project.apply(create("Item", in_schemas("b", "items"), ("shop", foreign_key("Shop", DB_SET_NULL))))
