"""How an invite stands, in words, and what staff do to it. Its uses are counted by the bot and written by no other."""

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from adminlog.formats import amount, time
from core.models import Invite
from core.operations import Change, hold, staff_operation, write


def state_of(invite: Any, *, at: dt.datetime) -> tuple[str, str]:
    """Of an invite that was read by `with_state`, with one of the theme's colours."""
    if invite.is_active:
        return _("Active"), "success"
    if invite.expires_at and invite.expires_at <= at:
        return _("Expired"), "danger"
    # The bot switches one off by raising used_count to max_uses. How many clients came does not tell: some come twice.
    return _("Used up or switched off"), "warning"


@staff_operation()
def switch_off(*, invite: int, now: dt.datetime) -> Change[Invite]:
    """ValidationError when it lets nobody in anyhow."""
    held = hold(Invite, invite)
    if not is_active(held, at=now):
        raise ValidationError(_("It is not active: it lets nobody in already."), code="not_active")
    return write(held, expires_at=now)


@staff_operation()
def prolong(*, invite: int, expires_at: dt.datetime | None, max_uses: int | None, now: dt.datetime) -> Change[Invite]:
    """Let it work longer or more often; without an end or a limit where none is given.

    ValidationError when it would work less than now, or would still let nobody in.
    """
    held = hold(Invite, invite)
    if is_less(expires_at, held.expires_at) or is_less(max_uses, held.max_uses):
        raise ValidationError(_("It has more than that now: %(terms)s."), code="less", params={"terms": terms(held)})
    if (expires_at, max_uses) == (held.expires_at, held.max_uses):
        raise ValidationError(_("It has exactly that already: %(terms)s."), code="same", params={"terms": terms(held)})
    change = write(held, expires_at=expires_at, max_uses=max_uses)
    if not is_active(held, at=now):
        refusal = _("It would still let nobody in: its end has passed.")
        if max_uses is not None and held.used_count >= max_uses:
            refusal = _("It would still let nobody in: %(count)s uses are counted, so allow more than that.")
        raise ValidationError(refusal, code="not_active", params={"count": held.used_count})
    return change


def is_active(invite: Invite, *, at: dt.datetime) -> bool:
    return Invite.objects.active(at=at).filter(pk=invite.pk).exists()


def is_less(value: Any, than: Any) -> bool:
    """Of two limits; none is the highest."""
    return value is not None and (than is None or value < than)


def terms(invite: Invite) -> str:
    """Until when and how often it lets somebody in."""
    told = {
        "time": invite.expires_at and time(invite.expires_at),
        "used": amount(invite.used_count),
        "most": invite.max_uses and amount(invite.max_uses),
    }
    if invite.expires_at:
        until = _("until %(time)s, used %(used)s of %(most)s times")
        return (until if invite.max_uses else _("until %(time)s, used %(used)s times without a limit")) % told
    endless = _("without an end, used %(used)s of %(most)s times")
    return (endless if invite.max_uses else _("without an end, used %(used)s times without a limit")) % told
