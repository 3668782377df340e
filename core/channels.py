"""What staff do to channels."""

import datetime as dt

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.contractors import refuse_erased
from core.models import Channel, Contractor
from core.operations import Change, hold, lock, staff_operation, write
from smetabot.postgres.locks import BUSY


@staff_operation()
def move(*, channel: int, to: int, now: dt.datetime) -> Change[Channel]:
    """Give a channel to another contractor. The usage counters are the bot's, and tell of it neither there nor here.

    ValidationError when it is theirs already, or they are not there, blocked or erased.
    """
    owners = Channel.objects.filter(pk=channel).values_list("contractor", flat=True)
    held_contractors = {contractor.pk: contractor for contractor in lock(*owners, to)}
    held = hold(Channel, channel)
    if held.contractor_id not in held_contractors:
        # Another move, which committed while this one waited for the contractors.
        raise ValidationError(BUSY, code="busy")
    target = held_contractors[to]
    if held.contractor_id == to:
        raise ValidationError(_("It belongs to %(contractor)s already."), code="same", params={"contractor": target})
    refuse_erased(target)
    if target.status == Contractor.Status.BLOCKED:
        raise ValidationError(_("%(contractor)s is blocked."), code="blocked", params={"contractor": target})
    return write(held, contractor_id=to, moved_at=now)
