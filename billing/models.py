import datetime as dt

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from core.models import Contractor
from smetabot.postgres.deletion import DB_CASCADE
from smetabot.postgres.fields import TransactionNow


class IsLive(models.Func):
    """billing.is_live(status, expires_at, at): the one definition of a live subscription, here for querysets."""

    function = "billing.is_live"
    arity = 3
    output_field = models.BooleanField()


class Plan(models.Model):
    class Code(models.TextChoices):
        FREE = "FREE"
        PRO = "PRO"
        BUSINESS = "BUSINESS"

    PAID = (Code.PRO, Code.BUSINESS)

    code = models.CharField(unique=True, choices=Code)
    name = models.CharField()
    price_month = models.DecimalField(
        max_digits=10, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    features = models.JSONField(db_default={}, blank=True)
    channels_limit_one_off = models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Channels a contractor may make in a lifetime; empty: as many as they like.",
    )

    class Meta:
        db_table = 'billing"."plans'
        constraints = [
            models.CheckConstraint(condition=Q(code__in=["FREE", "PRO", "BUSINESS"]), name="plans_code_valid"),
        ]

    def __str__(self) -> str:
        return self.name


class SubscriptionTerms(models.Model):
    """What a subscription grants and a history row remembers: the same columns under the same checks."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        TRIAL = "trial"
        GRACE = "grace"
        EXPIRED = "expired"
        CANCELLED = "cancelled"

    class Source(models.TextChoices):
        PAID = "paid"
        GIFT = "gift"
        TRIAL = "trial"
        ADMIN_GRANT = "admin_grant"

    plan = models.ForeignKey(Plan, models.RESTRICT, related_name="+")
    status = models.CharField(choices=Status)
    expires_at = models.DateTimeField(null=True, blank=True)
    # The end before grace moved expires_at on. Triggers empty it when the bot, which knows of none, writes new terms.
    paid_until = models.DateTimeField(null=True, editable=False)

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
                violation_error_message="A subscription ends after it starts.",
            ),
        ]


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def live(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        return self.filter(IsLive("status", "expires_at", models.Value(at, models.DateTimeField())))

    def live_paid(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        return self.live(at=at).filter(plan__code__in=Plan.PAID)

    def ended(self, *, at: dt.datetime) -> "SubscriptionQuerySet":
        """Whose end has passed while the status does not say so yet."""
        Status = SubscriptionTerms.Status
        return self.filter(status__in=[Status.ACTIVE, Status.TRIAL, Status.GRACE], expires_at__lte=at)


class Subscription(SubscriptionTerms):
    """What a contractor has now. A contractor without a row, or whose row is not live, is on FREE."""

    Source = SubscriptionTerms.Source

    contractor = models.OneToOneField(Contractor, DB_CASCADE, related_name="subscription")
    source = models.CharField(choices=Source, db_default=Source.PAID)
    starts_at = models.DateTimeField(db_default=TransactionNow())

    objects = SubscriptionQuerySet.as_manager()

    class Meta(SubscriptionTerms.Meta):
        db_table = 'billing"."subscriptions'
        indexes = [
            # expire_subscriptions reads only what has come to its end.
            models.Index(
                fields=["expires_at"],
                name="subscriptions_ending",
                condition=Q(status__in=["active", "trial", "grace"], expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan}, {self.status}"


class GiftQuerySet(models.QuerySet["Gift"]):
    def pending(self) -> "GiftQuerySet":
        return self.filter(applied_at=None, withdrawn_at=None)


class Gift(models.Model):
    """Days on a plan that wait until the contractor has no live paid subscription."""

    class Reason(models.TextChoices):
        REFERRAL_REWARD = "referral_reward"
        ADMIN_GRANT = "admin_grant"

    contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="gifts")
    plan = models.ForeignKey(Plan, models.RESTRICT, related_name="+")
    days = models.IntegerField(db_default=30, validators=[MaxValueValidator(3650)])
    reason = models.CharField(choices=Reason)
    queued_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    applied_at = models.DateTimeField(null=True, blank=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = GiftQuerySet.as_manager()

    class Meta:
        db_table = 'billing"."gifts_queue'
        constraints = [
            models.CheckConstraint(
                condition=Q(days__gt=0),
                name="gifts_queue_days_positive",
                violation_error_message="A gift is at least one day long.",
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
        return f"{self.days} days of {self.plan}"


class SubscriptionHistory(SubscriptionTerms):
    """A copy of the subscription after each change. Append-only: PostgreSQL refuses to change a row, and lets it go
    only together with its contractor."""

    Source = SubscriptionTerms.Source

    contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="subscription_history")
    source = models.CharField(choices=Source)
    starts_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=TransactionNow())
    # One row a gift, so that no second application can commit. The row refuses to go, hence so does an applied gift.
    gift = models.OneToOneField(Gift, DB_CASCADE, related_name="history", null=True)
    # What a member of staff activated a plan on. Unique, so that no payment counts twice.
    payment_reference = models.CharField(null=True)

    class Meta(SubscriptionTerms.Meta):
        db_table = 'billing"."subscription_history'
        constraints = [
            *SubscriptionTerms.Meta.constraints,
            models.UniqueConstraint(fields=["payment_reference"], name="subscription_history_payment_counts_once"),
        ]
        verbose_name_plural = "subscription history"

    def __str__(self) -> str:
        return f"{self.plan}, {self.status}, {self.created_at:%Y-%m-%d}"


class UsageCounter(models.Model):
    """Channels ever made, against the plan's lifetime limit. The bot keeps it; nothing of ours writes it."""

    contractor = models.OneToOneField(Contractor, DB_CASCADE, related_name="usage", primary_key=True)
    channels_created_total = models.IntegerField(db_default=0)
    last_channel_created_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = 'billing"."usage_counters'
        constraints = [
            models.CheckConstraint(
                condition=Q(channels_created_total__gte=0), name="usage_counters_channels_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channels_created_total} channels made"
