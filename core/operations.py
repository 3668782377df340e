"""What a member of staff does to a contractor: one transaction that holds the contractor, or a refusal in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from core.models import Contractor
from smetabot.postgres.locks import BUSY, is_busy, set_patience

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Change(Generic[Row]):
    """A row before and after an operation."""

    before: Row
    after: Row


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
            _("There is no contractor %(contractor)s."), code="not_found", params={"contractor": min(missing)}
        )
    return found


def hold(model: type[Row], key: int) -> Row:
    """Hold one row until the transaction ends. ValidationError when it is gone."""
    row = model._default_manager.select_for_update(no_key=True).filter(pk=key).first()
    if row is None:
        raise ValidationError(_("Somebody else has deleted this meanwhile."), code="gone")
    return row


def write(row: Row, **columns: Any) -> Change[Row]:
    """Only these columns: the bot counts in others of the same row."""
    before = copy(row)
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    return Change(before, row)
