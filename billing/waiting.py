"""Why a gift waits, in words. The rule is that of billing.gifts: a contractor's oldest gift starts at the next run, if
the contractor is not blocked and nothing paid for is live."""

import datetime as dt
from typing import Any

from cronsim import CronSim
from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminlog import schedule
from adminlog.formats import day
from adminlog.models import JobRun
from billing.models import Gift, Plan, Subscription
from billing.terms import ends_at
from core.models import Contractor

JOB = "apply_gifts"
HOUR = dt.timedelta(hours=1)


def with_wait(gifts: QuerySet[Gift], *, at: dt.datetime) -> QuerySet[Gift]:
    """With gifts_ahead, is_held (by what is live and paid for) and last_run (of apply_gifts), and with the
    subscription; for the rows of one page."""
    mine = {"contractor": OuterRef("contractor")}
    is_older = Q(queued_at__lt=OuterRef("queued_at")) | Q(queued_at=OuterRef("queued_at"), pk__lt=OuterRef("pk"))
    finished = JobRun.objects.filter(command=JOB, finished_at__isnull=False)
    older = Gift.objects.pending().filter(is_older, **mine).order_by().values("contractor")
    return gifts.select_related("contractor__subscription__plan").annotate(
        gifts_ahead=Coalesce(Subquery(older.annotate(count=Count("pk")).values("count")), 0),
        is_held=Exists(Subscription.objects.live_paid(at=at).filter(**mine)),
        last_run=Subquery(finished.order_by("-started_at").values("started_at")[:1]),
    )


def why_it_waits(gift: Any, *, at: dt.datetime) -> str:
    """Of a gift that was read by `with_wait`. Empty for one that waits no more."""
    if gift.applied_at or gift.withdrawn_at:
        return ""
    if gift.contractor.status == Contractor.Status.BLOCKED:
        return _("The contractor is blocked; it waits until they are unblocked")
    if gift.gifts_ahead:
        return ngettext("Behind an older gift", "Behind %(count)s older gifts", gift.gifts_ahead) % {
            "count": gift.gifts_ahead
        }
    if gift.is_held:
        return behind(gift.contractor.subscription)
    subscription = getattr(gift.contractor, "subscription", None)
    if subscription and is_due_for_grace(subscription, at=at):
        return _("Starts at the next run, unless grace begins before it: what was paid for has just ended")
    job = next((job for job in schedule.jobs() if job.command == JOB), None)
    if job and job.is_late(gift.last_run, at=at):
        return _("Starts at the next run; %(job)s is late") % {"job": JOB}
    if job is None or job.longest_gap(at=at) != HOUR:
        # Of rarer times cron's own zone would have to be known.
        return _("Starts at the next run")
    run = next(CronSim(job.cron, at))
    return _("Starts at the next run, at %(time)s") % {"time": date_format(timezone.localtime(run), "H:i")}


def behind(subscription: Subscription) -> str:
    """What a live paid subscription has a gift wait for."""
    Status, Source = Subscription.Status, Subscription.Source
    end = ends_at(subscription)
    names = {"plan": subscription.plan.code, "day": end and day(end), "days": settings.GRACE_DAYS}
    if end is None:
        return _("%(plan)s has no end; it starts only after that is cancelled") % names
    if subscription.status == Status.CANCELLED:
        return _("%(plan)s is cancelled but paid until %(day)s; starts at the next run after") % names
    if subscription.status == Status.GRACE:
        return _("%(plan)s is in grace until %(day)s; starts at the next run after") % names
    if subscription.status == Status.TRIAL or subscription.source == Source.TRIAL:
        return _("%(plan)s on trial until %(day)s; starts at the next run after") % names
    if subscription.source == Source.GIFT:
        return _("%(plan)s as a gift until %(day)s; starts at the next run after") % names
    if subscription.source == Source.ADMIN_GRANT:
        return _("%(plan)s granted until %(day)s; starts at the next run after") % names
    if settings.GRACE_DAYS:
        # expire_subscriptions may come first, and grace is live.
        return (
            ngettext(
                "%(plan)s paid until %(day)s; starts at the next run after, at the latest after %(days)s day of grace",
                "%(plan)s paid until %(day)s; starts at the next run after, at the latest after %(days)s days of grace",
                settings.GRACE_DAYS,
            )
            % names
        )
    return _("%(plan)s paid until %(day)s; starts at the next run after") % names


def is_due_for_grace(subscription: Subscription, *, at: dt.datetime) -> bool:
    """Ended, and expire_subscriptions has not seen it yet: whichever job comes first decides."""
    if (end := ends_at(subscription)) is None:
        return False
    is_paid = subscription.source == Subscription.Source.PAID and subscription.plan.code in Plan.PAID
    is_recent = end <= at < end + dt.timedelta(days=settings.GRACE_DAYS)
    return is_paid and is_recent and subscription.status == Subscription.Status.ACTIVE
