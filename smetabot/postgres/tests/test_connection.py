from contextlib import closing

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from smetabot.postgres.kept import kept

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[False, True], ids=["direct", "pooled"])
def pooled(request):
    return request.param


@pytest.fixture
def other(pooled):
    """A connection of its own, outside of any transaction."""
    with closing(connection.copy()) as other:
        other.settings_dict["POOLED"] = pooled
        yield other


def test_behind_a_pooler_a_cursor_of_the_server_is_opened_in_a_transaction_only(other, pooled):
    with other.chunked_cursor() as cursor:
        assert hasattr(cursor, "withhold") is not pooled
    other.set_autocommit(False)
    other.in_atomic_block = True
    with other.chunked_cursor() as cursor:
        assert cursor.withhold is False


def test_behind_a_pooler_nothing_is_set_that_would_stay_with_another(other, pooled):
    with other.cursor() as cursor:
        cursor.execute("SELECT source FROM pg_settings WHERE name = 'jit'")
        assert (cursor.fetchone()[0] == "session") is not pooled


def test_a_statement_is_prepared_when_it_is_run_often():
    with connection.cursor() as cursor:
        for number in range(8):
            cursor.execute("SELECT %s::int AS often", [number])
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", ["%AS often"])
        assert cursor.fetchone() == (1,)


def test_keys_are_looked_up_as_one_array_however_many():
    held = ContentType.objects.count()
    assert ContentType.objects.filter(pk__any=range(70_000)).count() == held
    assert ContentType.objects.exclude(pk__any=[]).count() == held
    assert not ContentType.objects.filter(pk__any=[])


@pytest.fixture
def of_the_web():
    with closing(connection.copy()) as other:
        other.settings_dict = kept(other.settings_dict)
        yield other


def backend(of):
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_on_a_connection_of_the_web_nothing_is_prepared(of_the_web):
    with of_the_web.cursor() as cursor:
        for number in range(8):
            cursor.execute("SELECT %s::int AS often", [number])
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)


def test_a_connection_of_the_web_is_kept_and_made_anew_when_the_server_ended_it(of_the_web):
    first = backend(of_the_web)
    of_the_web.close_if_unusable_or_obsolete()  # as Django does between requests
    assert backend(of_the_web) == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    of_the_web.close_if_unusable_or_obsolete()
    assert backend(of_the_web) != first
