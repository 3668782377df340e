"""What staff do to clients."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.models import Client
from core.operations import Change, hold, staff_operation, write


@staff_operation()
def block(*, client: int) -> Change[Client]:
    """ValidationError when they are blocked already."""
    held = hold(Client, client)
    if held.blocked:
        raise ValidationError(_("%(client)s is blocked already."), code="blocked", params={"client": held})
    return write(held, blocked=True)


@staff_operation()
def unblock(*, client: int) -> Change[Client]:
    """ValidationError when they are not blocked."""
    held = hold(Client, client)
    if not held.blocked:
        raise ValidationError(_("%(client)s is not blocked."), code="not_blocked", params={"client": held})
    return write(held, blocked=False)
