"""What a subscription amounts to at a moment: its status says less than its status and its end."""

import datetime as dt

from django.db.models import Case, F, TextChoices, Value, When
from django.utils.translation import gettext_lazy as _

from billing.models import Subscription, is_live


class Standing(TextChoices):
    """Of the live ones it is the status."""

    ACTIVE = "active", _("Active")
    TRIAL = "trial", _("On trial")
    GRACE = "grace", _("In grace")
    CANCELLED = "cancelled", _("Cancelled, still on")
    ENDED = "ended", _("Ended, not expired yet")
    EXPIRED = "expired", _("Expired")
    LAPSED = "lapsed", _("Cancelled, over")


LIVE = (Standing.ACTIVE, Standing.TRIAL, Standing.GRACE, Standing.CANCELLED)


def standing(*, at: dt.datetime) -> Case:
    """For a queryset of subscriptions."""
    Status = Subscription.Status
    return Case(
        When(is_live(at=at), then=F("status")),
        When(status=Status.EXPIRED, then=Value(Standing.EXPIRED)),
        When(status=Status.CANCELLED, then=Value(Standing.LAPSED)),
        default=Value(Standing.ENDED),
    )
