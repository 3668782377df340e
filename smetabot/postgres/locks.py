"""How long one waits for a lock or for an answer, and what is said to whom it took too long."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from psycopg.errors import LockNotAvailable, QueryCanceled

BUSY = _("Somebody else is changing this at the moment. Nothing was done; try again.")


def set_patience(patience: str) -> None:
    """How long this transaction waits for any lock: a webhook holds a row for milliseconds, and one that hangs must
    hang nobody else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])


def is_busy(error: BaseException) -> bool:
    return isinstance(error.__cause__, LockNotAvailable)


@contextmanager
def at_most(time: str) -> Iterator[None]:
    """What reads longer is cancelled: see is_too_long.

    Each statement is planned for its own words: the plan that a prepared one would have for any word takes a rare one
    for as frequent as all others.
    """
    is_inside = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('plan_cache_mode'),"
            " set_config('statement_timeout', %s, true), set_config('plan_cache_mode', 'force_custom_plan', true)",
            [time],
        )
        before = cursor.fetchone()[:2]
        yield
        if is_inside:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('plan_cache_mode', %s, true)", before
            )


def is_too_long(error: BaseException) -> bool:
    return isinstance(error.__cause__, QueryCanceled)
