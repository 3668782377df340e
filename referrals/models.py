import datetime as dt

from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Lower, NullIf, Trim
from django.db.models.lookups import Exact
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.models import Gift
from core.models import Contractor
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import TransactionNow


class ReferralLink(models.Model):
    contractor = models.OneToOneField(
        Contractor, DB_CASCADE, related_name="referral_link", verbose_name=_("contractor")
    )
    token = models.CharField(_("token"), unique=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = 'referrals"."referral_links'
        verbose_name = _("referral link")
        verbose_name_plural = _("referral links")
        constraints = [
            models.CheckConstraint(
                condition=Q(token__regex=r"^[A-Za-z0-9_-]{1,64}$"),
                name="referral_links_token_is_start_payload",
                violation_error_message=_("A token is 1 to 64 letters, digits, _ or -."),
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
            Case(When(made_together, then=Value(gettext("made within 10 minutes")))),
            Case(When(Exact(name, Lower(Trim("referrer__full_name"))), then=Value(gettext("same name")))),
            function="concat_ws",
            output_field=models.CharField(),
        )
        return self.annotate(suspicion=NullIf(reasons, Value("")))


class Referral(models.Model):
    """Who brought whom. `qualified_at` is set once and stays."""

    referrer = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="referrals_made", db_index=False, verbose_name=_("referrer")
    )
    referred_contractor = models.OneToOneField(
        Contractor, DB_CASCADE, related_name="referred_by", verbose_name=_("referred contractor")
    )
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)
    qualified_at = models.DateTimeField(_("qualified at"), null=True, editable=False)
    # The one cycle that counted it. Deleting such a cycle is refused: its referrals would be counted again.
    cycle = models.ForeignKey(
        "ReferralCycle",
        models.DO_NOTHING,
        related_name="counted",
        null=True,
        editable=False,
        verbose_name=_("counted in"),
    )

    objects = ReferralQuerySet.as_manager()

    class Meta:
        db_table = 'referrals"."referrals'
        verbose_name = _("referral")
        verbose_name_plural = _("referrals")
        constraints = [
            models.UniqueConstraint(fields=["referrer", "referred_contractor"], name="referrals_pair_unique"),
            models.CheckConstraint(
                condition=~Q(referrer=F("referred_contractor")),
                name="referrals_not_oneself",
                violation_error_message=_("A contractor cannot refer themselves."),
            ),
        ]

    def __str__(self) -> str:
        names = {"contractor": self.referred_contractor, "referrer": self.referrer}
        return gettext("%(contractor)s, brought by %(referrer)s") % names


class ReferralProgress(models.Model):
    """View: whether each referral meets the condition."""

    referral = models.OneToOneField(
        Referral,
        models.DO_NOTHING,
        related_name="progress",
        primary_key=True,
        db_constraint=False,
        verbose_name=_("referral"),
    )
    referrer = models.ForeignKey(
        Contractor, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("referrer")
    )
    referred_contractor = models.ForeignKey(
        Contractor, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("referred contractor")
    )
    channels_created = models.BigIntegerField(_("channels created"))
    qualified = models.BooleanField(_("qualified"))

    class Meta:
        managed = False
        db_table = 'referrals"."referral_progress'
        verbose_name = _("referral progress")
        verbose_name_plural = _("referral progress")

    def __str__(self) -> str:
        return gettext("Progress of referral %(id)s") % {"id": self.referral_id}


class ReferralCycle(models.Model):
    """So many qualified referrals earn one reward. The bot makes cycle 1, the back office the rest."""

    class State(models.TextChoices):
        IN_PROGRESS = "in_progress", _("In progress")
        COMPLETED = "completed", _("Completed")
        REWARD_QUEUED = "reward_queued", _("Reward queued")

    # Of a new cycle; each has its own number.
    REQUIRED = 3

    referrer = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="referral_cycles", db_index=False, verbose_name=_("referrer")
    )
    cycle_no = models.IntegerField(_("cycle no"))
    qualified_refs_required = models.IntegerField(_("qualified refs required"), db_default=REQUIRED)
    qualified_refs_done = models.IntegerField(_("qualified refs done"), db_default=0)
    state = models.CharField(_("state"), choices=State, db_default=State.IN_PROGRESS)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    gift = models.OneToOneField(
        Gift, DB_SET_NULL, related_name="referral_cycle", null=True, editable=False, verbose_name=_("gift")
    )

    class Meta:
        db_table = 'referrals"."referral_cycles'
        verbose_name = _("referral cycle")
        verbose_name_plural = _("referral cycles")
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
        return gettext("Cycle %(number)s: %(done)s of %(required)s") % {
            "number": self.cycle_no,
            "done": self.qualified_refs_done,
            "required": self.qualified_refs_required,
        }
