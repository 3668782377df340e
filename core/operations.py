"""What a member of staff does to a contractor: one transaction that holds the contractor, or a refusal in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction

from core.models import Contractor
from smetabot.postgres.locks import BUSY, is_busy, set_patience


@contextmanager
def staff_operation() -> Iterator[None]:
    """Also a decorator. ValidationError when somebody holds for seconds what the operation needs."""
    try:
        with transaction.atomic():
            set_patience("5s")
            yield
    except OperationalError as error:
        if is_busy(error):
            raise ValidationError(BUSY, code="busy") from error
        raise


def lock(*contractors: int) -> list[Contractor]:
    """Hold them, in id order, until the transaction ends. ValidationError when one of them is not there."""
    found = list(Contractor.objects.filter(pk__in=contractors).order_by("pk").select_for_update(no_key=True))
    if missing := set(contractors).difference(contractor.pk for contractor in found):
        raise ValidationError(
            "There is no contractor %(contractor)s.", code="not_found", params={"contractor": min(missing)}
        )
    return found
