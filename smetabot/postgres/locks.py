"""How long one waits for a lock or for an answer, and what is said to whom it took too long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg.pq import TransactionStatus

BUSY = _("Somebody else is changing this at the moment. Nothing was done; try again.")


def set_patience(patience: str) -> None:
    """How long this transaction waits for any lock: a webhook holds a row for milliseconds, and one that hangs must
    hang nobody else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])


def is_busy(error: BaseException) -> bool:
    return isinstance(error.__cause__, LockNotAvailable)


class Deadline:
    """Seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def before_each(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        server = context["connection"].connection
        # Nothing can be set in a transaction that failed, and nothing in it takes long.
        if server.info.transaction_status == TransactionStatus.INTRANS:
            left = max(1, round(1000 * (self.at - time.monotonic())))
            server.execute(f"SET LOCAL statement_timeout = {left}")
        return execute(sql, params, many, context)


@contextmanager
def at_most(deadline: Deadline) -> Iterator[None]:
    """What the database has not answered by then is cancelled: see is_too_long."""
    is_inside = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_inside:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()
        with connection.execute_wrapper(deadline.before_each):
            yield
        if is_inside:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", before)


def is_too_long(error: BaseException) -> bool:
    return isinstance(error.__cause__, QueryCanceled)
