import datetime as dt

from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Lower, NullIf, Trim
from django.db.models.lookups import Exact

from billing.models import Gift
from core.models import Contractor
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import TransactionNow


class ReferralLink(models.Model):
    contractor = models.OneToOneField(Contractor, DB_CASCADE, related_name="referral_link")
    token = models.CharField(unique=True)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = 'referrals"."referral_links'
        constraints = [
            models.CheckConstraint(
                condition=Q(token__regex=r"^[A-Za-z0-9_-]{1,64}$"),
                name="referral_links_token_is_start_payload",
                violation_error_message="A token is 1 to 64 letters, digits, _ or -.",
            ),
        ]

    def __str__(self) -> str:
        return self.token


class ReferralQuerySet(models.QuerySet["Referral"]):
    def with_suspicion(self) -> "ReferralQuerySet":
        """With `suspicion`: why a person should look whether the two are one, in words, or null. It forbids nothing."""
        made, close = F("referrer__created_at"), dt.timedelta(minutes=10)
        made_together = Q(referred_contractor__created_at__range=(made - close, made + close))
        # A blank name is null, and so no other's.
        name = NullIf(Lower(Trim("referred_contractor__full_name")), Value(""))
        reasons = Func(
            Value(", "),
            Case(When(made_together, then=Value("made within 10 minutes"))),
            Case(When(Exact(name, Lower(Trim("referrer__full_name"))), then=Value("same name"))),
            function="concat_ws",
            output_field=models.CharField(),
        )
        return self.annotate(suspicion=NullIf(reasons, Value("")))


class Referral(models.Model):
    """Who brought whom. `qualified_at` is set once and stays."""

    referrer = models.ForeignKey(Contractor, DB_CASCADE, related_name="referrals_made", db_index=False)
    referred_contractor = models.OneToOneField(Contractor, DB_CASCADE, related_name="referred_by")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    qualified_at = models.DateTimeField(null=True, editable=False)
    # The one cycle that counted it. Deleting such a cycle is refused: its referrals would be counted again.
    cycle = models.ForeignKey(
        "ReferralCycle", models.DO_NOTHING, related_name="counted", null=True, editable=False, verbose_name="counted in"
    )

    objects = ReferralQuerySet.as_manager()

    class Meta:
        db_table = 'referrals"."referrals'
        constraints = [
            models.UniqueConstraint(fields=["referrer", "referred_contractor"], name="referrals_pair_unique"),
            models.CheckConstraint(
                condition=~Q(referrer=F("referred_contractor")),
                name="referrals_not_oneself",
                violation_error_message="A contractor cannot refer themselves.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.referred_contractor}, brought by {self.referrer}"


class ReferralProgress(models.Model):
    """View: whether each referral meets the condition."""

    referral = models.OneToOneField(
        Referral, models.DO_NOTHING, related_name="progress", primary_key=True, db_constraint=False
    )
    referrer = models.ForeignKey(Contractor, models.DO_NOTHING, related_name="+", db_constraint=False)
    referred_contractor = models.ForeignKey(Contractor, models.DO_NOTHING, related_name="+", db_constraint=False)
    channels_created = models.BigIntegerField()
    qualified = models.BooleanField()

    class Meta:
        managed = False
        db_table = 'referrals"."referral_progress'

    def __str__(self) -> str:
        return f"Progress of referral {self.referral_id}"


class ReferralCycle(models.Model):
    """So many qualified referrals earn one reward. The bot makes cycle 1, the back office the rest."""

    class State(models.TextChoices):
        IN_PROGRESS = "in_progress"
        COMPLETED = "completed"
        REWARD_QUEUED = "reward_queued"

    # Of a new cycle; each has its own number.
    REQUIRED = 3

    referrer = models.ForeignKey(Contractor, DB_CASCADE, related_name="referral_cycles", db_index=False)
    cycle_no = models.IntegerField()
    qualified_refs_required = models.IntegerField(db_default=REQUIRED)
    qualified_refs_done = models.IntegerField(db_default=0)
    state = models.CharField(choices=State, db_default=State.IN_PROGRESS)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)
    gift = models.OneToOneField(Gift, DB_SET_NULL, related_name="referral_cycle", null=True, editable=False)

    class Meta:
        db_table = 'referrals"."referral_cycles'
        constraints = [
            models.UniqueConstraint(fields=["referrer", "cycle_no"], name="referral_cycles_referrer_no_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["in_progress", "completed", "reward_queued"]),
                name="referral_cycles_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(qualified_refs_done__gte=0, qualified_refs_done__lte=F("qualified_refs_required")),
                name="referral_cycles_done_within_required",
            ),
        ]

    def __str__(self) -> str:
        return f"Cycle {self.cycle_no}: {self.qualified_refs_done} of {self.qualified_refs_required}"
