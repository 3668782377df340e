"""How long one waits for a lock, and what is said to whom it took too long."""

from django.db import connection
from django.utils.translation import gettext_lazy as _
from psycopg.errors import LockNotAvailable

BUSY = _("Somebody else is changing this at the moment. Nothing was done; try again.")


def set_patience(patience: str) -> None:
    """How long this transaction waits for any lock: a webhook holds a row for milliseconds, and one that hangs must
    hang nobody else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])


def is_busy(error: BaseException) -> bool:
    return isinstance(error.__cause__, LockNotAvailable)
