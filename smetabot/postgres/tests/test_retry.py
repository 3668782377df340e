import pytest
from django.db import DataError, OperationalError, connection, transaction

from smetabot.postgres.retry import retry_transient

pytestmark = pytest.mark.django_db(transaction=True)


def failing(times, error):
    """A function that fails so often, and the moments at which it was tried."""
    tried = []

    @retry_transient
    def work():
        tried.append(connection.connection)
        if len(tried) <= times:
            raise error
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "done"

    return work, tried


def test_it_tries_again_after_a_passing_fault():
    work, tried = failing(2, OperationalError("deadlock detected"))
    assert work() == "done"
    assert len(tried) == 3


def test_it_gives_up_with_the_fault_itself():
    work, tried = failing(99, OperationalError("deadlock detected"))
    with pytest.raises(OperationalError, match="deadlock detected"):
        work()
    assert len(tried) == 5


def test_it_does_not_repeat_what_will_not_pass():
    work, tried = failing(99, DataError("out of range"))
    with pytest.raises(DataError):
        work()
    assert len(tried) == 1


def test_it_makes_a_lost_connection_anew():
    connection.ensure_connection()
    work, tried = failing(1, OperationalError("the connection is lost"))
    connection.connection.close()
    assert work() == "done"


def test_it_leaves_a_server_that_is_only_a_copy_now():
    tried = []

    @retry_transient
    def write():
        tried.append(connection.connection)
        with connection.cursor() as cursor:
            if len(tried) == 1:
                # As at one that led until a moment ago.
                cursor.execute("SET default_transaction_read_only = on")
            cursor.execute("UPDATE billing.plans SET name = name")

    connection.ensure_connection()
    write()
    assert len(set(tried)) == 2


def test_it_does_not_try_again_inside_a_transaction_that_is_lost():
    work, tried = failing(99, OperationalError("the connection is lost"))
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(OperationalError):
            work()
    assert len(tried) == 1
