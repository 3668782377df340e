import datetime as dt

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from adminlog.formats import day
from core.models import Contractor
from smetabot.postgres.deletion import DB_CASCADE
from smetabot.postgres.fields import AnyJSONField, TransactionNow

# What is expiring has an end no farther away.
EXPIRING = dt.timedelta(days=7)


class IsLive(models.Func):
    """billing.is_live(status, expires_at, at): the one definition of a live subscription, here for querysets."""

    function = "billing.is_live"
    arity = 3
    output_field = models.BooleanField()


def is_live(*, at: dt.datetime) -> IsLive:
    return IsLive("status", "expires_at", Value(at, models.DateTimeField()))


class Plan(models.Model):
    class Code(models.TextChoices):
        FREE = "FREE"
        PRO = "PRO"
        BUSINESS = "BUSINESS"

    PAID = (Code.PRO, Code.BUSINESS)

    code = models.CharField(_("code"), unique=True, choices=Code)
    name = models.CharField(_("name"))
    price_month = models.DecimalField(
        _("price month"), max_digits=10, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    features = AnyJSONField(_("features"), db_default={}, blank=True)
    channels_limit_one_off = models.IntegerField(
        _("channels limit one off"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Channels a contractor may make in a lifetime; empty: as many as they like."),
    )

    class Meta:
        db_table = 'billing"."plans'
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints = [
            models.CheckConstraint(condition=Q(code__in=["FREE", "PRO", "BUSINESS"]), name="plans_code_valid"),
        ]

    def __str__(self) -> str:
        return self.name


class SubscriptionTerms(models.Model):
    """What a subscription grants and a history row remembers: the same columns under the same checks."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        TRIAL = "trial", _("Trial")
        GRACE = "grace", _("Grace")
        EXPIRED = "expired", _("Expired")
        CANCELLED = "cancelled", _("Cancelled")

    class Source(models.TextChoices):
        PAID = "paid", _("Paid")
        GIFT = "gift", _("Gift")
        TRIAL = "trial", _("Trial")
        ADMIN_GRANT = "admin_grant", _("Admin grant")

    plan = models.ForeignKey(Plan, models.RESTRICT, related_name="+", verbose_name=_("plan"))
    status = models.CharField(_("status"), choices=Status)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    # The end before grace moved expires_at on. Triggers empty it when the bot, which knows of none, writes new terms.
    paid_until = models.DateTimeField(_("paid until"), null=True, editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "trial", "grace", "expired", "cancelled"]),
                name="%(class)s_status_valid",
            ),
            models.CheckConstraint(
                condition=Q(source__in=["paid", "gift", "trial", "admin_grant"]), name="%(class)s_source_valid"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("starts_at")),
                name="%(class)s_ends_after_start",
                violation_error_message=_("A subscription ends after it starts."),
            ),
        ]


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def live(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        return self.filter(is_live(at=at))

    def paid(self) -> "SubscriptionQuerySet":
        """On a plan that is to be paid for, live or not."""
        return self.filter(plan__code__in=Plan.PAID)

    def expiring(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        """Live and paid for, with an end within days: grace, and what was cancelled, come to theirs, too."""
        return self.live_paid(at=at).filter(expires_at__lte=at + EXPIRING)

    def live_paid(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        return self.live(at=at).paid()

    def ended(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        """Whose end has passed while the status does not say so yet."""
        Status = SubscriptionTerms.Status
        return self.filter(status__in=[Status.ACTIVE, Status.TRIAL, Status.GRACE], expires_at__lte=at)


class Subscription(SubscriptionTerms):
    """What a contractor has now. A contractor without a row, or whose row is not live, is on FREE."""

    Source = SubscriptionTerms.Source

    contractor = models.OneToOneField(Contractor, DB_CASCADE, related_name="subscription", verbose_name=_("contractor"))
    source = models.CharField(_("source"), choices=Source, db_default=Source.PAID)
    starts_at = models.DateTimeField(_("starts at"), db_default=TransactionNow())

    objects = SubscriptionQuerySet.as_manager()

    class Meta(SubscriptionTerms.Meta):
        db_table = 'billing"."subscriptions'
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        indexes = [
            # expire_subscriptions reads only what has come to its end.
            models.Index(
                fields=["expires_at"],
                name="subscriptions_ending",
                condition=Q(status__in=["active", "trial", "grace"], expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan}, {self.get_status_display().lower()}"


class GiftQuerySet(models.QuerySet["Gift"]):
    def pending(self) -> "GiftQuerySet":
        return self.filter(applied_at=None, withdrawn_at=None)


class Gift(models.Model):
    """Days on a plan that wait until the contractor has no live paid subscription."""

    class Reason(models.TextChoices):
        REFERRAL_REWARD = "referral_reward", _("Referral reward")
        ADMIN_GRANT = "admin_grant", _("Admin grant")

    contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="gifts", verbose_name=_("contractor"))
    plan = models.ForeignKey(Plan, models.RESTRICT, related_name="+", verbose_name=_("plan"))
    days = models.IntegerField(_("days"), db_default=30, validators=[MaxValueValidator(3650)])
    reason = models.CharField(_("reason"), choices=Reason)
    queued_at = models.DateTimeField(_("queued at"), db_default=TransactionNow(), editable=False)
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)

    objects = GiftQuerySet.as_manager()

    class Meta:
        db_table = 'billing"."gifts_queue'
        verbose_name = _("gift")
        verbose_name_plural = _("gifts")
        constraints = [
            models.CheckConstraint(
                condition=Q(days__gt=0),
                name="gifts_queue_days_positive",
                violation_error_message=_("A gift is at least one day long."),
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["referral_reward", "admin_grant"]), name="gifts_queue_reason_valid"
            ),
        ]
        indexes = [
            # apply_gifts and the profile views read only what is pending, a contractor's oldest first.
            models.Index(
                fields=["contractor", "queued_at", "id"],
                name="gifts_queue_pending",
                condition=Q(applied_at=None, withdrawn_at=None),
            ),
        ]

    def __str__(self) -> str:
        text = ngettext("%(days)s day of %(plan)s", "%(days)s days of %(plan)s", self.days)
        return text % {"days": self.days, "plan": self.plan}


class SubscriptionHistory(SubscriptionTerms):
    """A copy of the subscription after each change. Append-only: PostgreSQL refuses to change a row, and lets it go
    only together with its contractor."""

    Source = SubscriptionTerms.Source

    contractor = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="subscription_history", verbose_name=_("contractor")
    )
    source = models.CharField(_("source"), choices=Source)
    starts_at = models.DateTimeField(_("starts at"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow())
    # One row a gift, so that no second application can commit. The row refuses to go, hence so does an applied gift.
    gift = models.OneToOneField(Gift, DB_CASCADE, related_name="history", null=True, verbose_name=_("gift"))
    # What a member of staff activated a plan on. Unique, so that no payment counts twice.
    payment_reference = models.CharField(_("payment reference"), null=True)

    class Meta(SubscriptionTerms.Meta):
        db_table = 'billing"."subscription_history'
        verbose_name = _("subscription history")
        constraints = [
            *SubscriptionTerms.Meta.constraints,
            models.UniqueConstraint(fields=["payment_reference"], name="subscription_history_payment_counts_once"),
        ]
        verbose_name_plural = _("subscription history")

    def __str__(self) -> str:
        return f"{self.plan}, {self.get_status_display().lower()}, {day(self.created_at)}"


class UsageCounter(models.Model):
    """Channels ever made, against the plan's lifetime limit. The bot keeps it; nothing of ours writes it."""

    contractor = models.OneToOneField(
        Contractor, DB_CASCADE, related_name="usage", primary_key=True, verbose_name=_("contractor")
    )
    channels_created_total = models.IntegerField(_("channels created total"), db_default=0)
    last_channel_created_at = models.DateTimeField(_("last channel created at"), null=True, blank=True)

    class Meta:
        db_table = 'billing"."usage_counters'
        verbose_name = _("usage counter")
        verbose_name_plural = _("usage counters")
        constraints = [
            models.CheckConstraint(
                condition=Q(channels_created_total__gte=0), name="usage_counters_channels_not_negative"
            ),
        ]

    def __str__(self) -> str:
        count = self.channels_created_total
        return ngettext("%(count)s channel made", "%(count)s channels made", count) % {"count": count}
