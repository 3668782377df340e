"""What staff do to contractors."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.models import Contractor
from core.operations import Change, lock, staff_operation, write


@staff_operation()
def block(*, contractor: int) -> Change[Contractor]:
    """ValidationError when they are blocked already."""
    [held] = lock(contractor)
    if held.status == Contractor.Status.BLOCKED:
        raise ValidationError(_("%(contractor)s is blocked already."), code="blocked", params={"contractor": held})
    return write(held, status=Contractor.Status.BLOCKED)


@staff_operation()
def unblock(*, contractor: int) -> Change[Contractor]:
    """ValidationError when they are not blocked, or erased."""
    [held] = lock(contractor)
    refuse_erased(held)
    if held.status != Contractor.Status.BLOCKED:
        raise ValidationError(_("%(contractor)s is not blocked."), code="not_blocked", params={"contractor": held})
    return write(held, status=Contractor.Status.ACTIVE)


@staff_operation()
def grant_channels(*, contractor: int, number: int) -> Change[Contractor]:
    """Channels on top of the plan's lifetime limit; less than none takes some back. ValidationError when there are not
    so many to take back, or the contractor is erased."""
    [held] = lock(contractor)
    refuse_erased(held)
    has = held.bonus_channels or 0
    if number == 0:
        raise ValidationError(_("Say how many: to give or, with a minus, to take back."), code="none")
    if has + number < 0:
        raise ValidationError(
            _("%(contractor)s has %(number)s bonus channels. No more can be taken back."),
            code="too_few",
            params={"contractor": held, "number": has},
        )
    return write(held, bonus_channels=has + number)


def refuse_erased(*contractors: Contractor) -> None:
    for contractor in contractors:
        if contractor.is_erased:
            raise ValidationError(_("%(contractor)s was erased."), code="erased", params={"contractor": contractor})
