"""A subscription's terms, as they are told to staff."""

import datetime as dt
from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminlog.formats import day, time
from billing.models import Plan, SubscriptionTerms
from smetabot.postgres.base import FAR_FUTURE

Status = SubscriptionTerms.Status


def ends_at(terms: SubscriptionTerms) -> dt.datetime | None:
    """None also for infinity and other ends that no calendar has."""
    end = terms.expires_at
    return None if end is None or end >= FAR_FUTURE.replace(tzinfo=dt.UTC) else end


def until(terms: SubscriptionTerms, *, form: Callable[[dt.datetime], str] = time) -> str:
    """Empty for FREE without an end: nobody expects one."""
    if end := ends_at(terms):
        return form(end)
    return "" if terms.plan.code == Plan.Code.FREE else _("without an end")


def in_words(terms: SubscriptionTerms, *, at: dt.datetime) -> str:
    """What they grant and until when, as it was at that moment: PRO in grace until 6 Feb 2027."""
    end = ends_at(terms)
    names = {"plan": terms.plan.code, "day": end and day(end)}
    match terms.status:
        case Status.GRACE if end:
            return _("%(plan)s in grace until %(day)s") % names
        case Status.TRIAL:
            return (_("%(plan)s on trial until %(day)s") if end else _("%(plan)s on trial")) % names
        case Status.EXPIRED:
            return (_("%(plan)s, over since %(day)s") if end and end <= at else _("%(plan)s, over")) % names
        case Status.CANCELLED:
            return (_("%(plan)s, cancelled, until %(day)s") if end else _("%(plan)s, cancelled")) % names
    if end:
        return _("%(plan)s until %(day)s") % names
    return terms.plan.code if terms.plan.code == Plan.Code.FREE else _("%(plan)s without an end") % names


def left(end: dt.datetime, *, at: dt.datetime) -> str:
    """How long it is until an end that is yet to come."""
    days, hours = divmod(int((end - at).total_seconds()) // 3600, 24)
    if days > 0:
        return ngettext("%(count)s day left", "%(count)s days left", days) % {"count": days}
    if hours > 0:
        return ngettext("%(count)s hour left", "%(count)s hours left", hours) % {"count": hours}
    return _("less than an hour left")
