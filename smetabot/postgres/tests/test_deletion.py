import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.writer import MigrationWriter

from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL

from .project import Project, create, foreign_key, in_schemas

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])


def shop_with_items(on_delete, **options) -> Project:
    project = Project(
        create("Shop", in_schemas("a", "shops")),
        create("Item", in_schemas("b", "items"), ("shop", foreign_key("Shop", on_delete, null=True))),
        create("Spare", in_schemas("b", "spares"), ("item", foreign_key("Item", DB_CASCADE))),
    )
    item = project["Item"].objects.create(shop=project["Shop"].objects.create())
    project["Spare"].objects.create(item=item)
    return project


def delete_shops_in_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM engine_a.engine_shops")


def test_db_cascade_takes_the_rows_along_in_sql(scratch):
    project = shop_with_items(DB_CASCADE)
    delete_shops_in_sql()
    assert not project["Item"].objects.exists()
    assert not project["Spare"].objects.exists()


def test_db_set_null_lets_go_of_the_row_in_sql(scratch):
    project = shop_with_items(DB_SET_NULL)
    delete_shops_in_sql()
    assert project["Item"].objects.get().shop_id is None


@pytest.mark.parametrize("on_delete", [models.RESTRICT, models.PROTECT])
def test_restrict_is_refused_at_once_in_sql(scratch, on_delete):
    project = shop_with_items(on_delete)
    with pytest.raises(IntegrityError, match="violates .*foreign key constraint"), transaction.atomic():
        delete_shops_in_sql()
        pytest.fail("not before the commit")
    assert project["Shop"].objects.exists()


@pytest.mark.parametrize("on_delete", [DB_CASCADE, DB_SET_NULL])
def test_python_does_not_look_at_the_children(scratch, django_assert_num_queries, on_delete):
    project = shop_with_items(on_delete)
    parent = project["Shop"].objects.get()
    with transaction.atomic(), django_assert_num_queries(1) as queries:
        parent.delete()
    assert queries[0]["sql"].startswith('DELETE FROM "engine_a"."engine_shops"')
    assert project["Item"].objects.exists() is (on_delete is DB_SET_NULL)


@pytest.mark.parametrize("on_delete", [DB_CASCADE, DB_SET_NULL])
def test_it_is_written_in_a_migration_by_its_name(on_delete):
    name = f"smetabot.postgres.deletion.{on_delete.__name__}"
    assert MigrationWriter.serialize(on_delete) == (name, {"import smetabot.postgres.deletion"})
