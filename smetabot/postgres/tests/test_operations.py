from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction

from smetabot.postgres.migrations import AppendOnly

from .project import Project, create, in_schemas, shop


@pytest.fixture
def entry(scratch) -> Iterator[Any]:
    """An append-only model among those of an installed app, as flush looks at no others."""
    model = Project(create("Entry", in_schemas("a", "entries")), AppendOnly("Entry"))["Entry"]
    installed = apps.all_models["contenttypes"]
    installed["entry"] = model
    apps.clear_cache()
    yield model
    del installed["entry"]
    apps.clear_cache()


@pytest.mark.django_db(transaction=True)
def test_flush_empties_an_append_only_table_in_a_schema(entry):
    entry.objects.create()
    call_command("flush", interactive=False, verbosity=0)
    assert not entry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_flush_leaves_foreign_keys_in_force_for_the_rest_of_the_transaction(entry):
    with transaction.atomic(), connection.cursor() as cursor:
        call_command("flush", interactive=False, verbosity=0)
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)


@pytest.mark.django_db(transaction=True)
def test_flush_knows_every_table_of_the_product(entry):
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    assert set(tables) == set(connection.introspection.django_table_names())


@pytest.mark.django_db(transaction=True)
def test_sequences_are_reset(entry):
    assert [entry.objects.create().pk, entry.objects.create().pk] == [1, 2]
    sequences = [s for s in connection.introspection.sequence_list() if s["table"] == entry._meta.db_table]
    connection.ops.execute_sql_flush(connection.ops.sequence_reset_by_name_sql(no_style(), sequences))
    with pytest.raises(IntegrityError, match="duplicate key"):
        entry.objects.create()
    connection.ops.execute_sql_flush(connection.ops.sequence_reset_sql(no_style(), [entry]))
    assert entry.objects.create().pk == 3


@pytest.mark.django_db(transaction=True, available_apps=[])
def test_nothing_to_flush_is_no_statement(scratch):
    assert connection.ops.sql_flush(no_style(), []) == []


@pytest.mark.django_db(transaction=True, available_apps=[])
@pytest.mark.parametrize("of", [["self"], ["self", "shop"], ["depot"]])
def test_a_row_of_one_of_the_joined_tables_is_locked(scratch, of):
    items = shop(in_schemas)["Item"].objects.exclude(depot=None).select_related("shop", "depot")
    with transaction.atomic():
        assert items.select_for_update(of=of).get().shop.code == "1"


@pytest.mark.django_db
def test_queries_are_not_compiled():
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
