"""What a member of staff does to a contractor: one transaction that holds the contractor, or a refusal in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from core.models import Contractor


@contextmanager
def staff_operation() -> Iterator[None]:
    """Also a decorator. ValidationError when somebody holds for seconds what the operation needs."""
    try:
        with transaction.atomic():
            set_patience("5s")
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise ValidationError(
                "Somebody else is changing this at the moment. Nothing was done; try again.", code="busy"
            ) from error
        raise


def lock(*contractors: int) -> list[Contractor]:
    """Hold them, in id order, until the transaction ends. ValidationError when one of them is not there."""
    found = list(Contractor.objects.filter(pk__in=contractors).order_by("pk").select_for_update(no_key=True))
    if missing := set(contractors).difference(contractor.pk for contractor in found):
        raise ValidationError(
            "There is no contractor %(contractor)s.", code="not_found", params={"contractor": min(missing)}
        )
    return found


def set_patience(patience: str) -> None:
    """How long this transaction waits for any lock: a webhook holds a row for milliseconds, and one that hangs must
    hang nobody else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])
