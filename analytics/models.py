from django.db import models
from django.db.models import F, Q
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog.formats import amount
from core.models import Channel, Client, Contractor, Publication
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import TransactionNow


class ViewsDaily(models.Model):
    """A publication's running total of views as it stood on a day. A day without a row means no change."""

    pk = models.CompositePrimaryKey("publication_id", "collected_at")
    publication = models.ForeignKey(
        Publication, DB_CASCADE, related_name="views_daily", db_index=False, verbose_name=_("publication")
    )
    collected_at = models.DateField(_("collected at"))
    views = models.IntegerField(_("views"))

    class Meta:
        db_table = 'analytics"."views_daily'
        verbose_name = _("views daily")
        verbose_name_plural = _("daily views")
        constraints = [
            models.CheckConstraint(condition=Q(views__gte=0), name="views_daily_views_not_negative"),
        ]

    def __str__(self) -> str:
        return gettext("%(views)s on %(day)s") % {"views": amount(self.views), "day": date_format(self.collected_at)}


class ChannelStats(models.Model):
    """Derived: what aggregate_stats counted. Files and views leave deleted publications out."""

    channel = models.OneToOneField(
        Channel, DB_CASCADE, related_name="stats", primary_key=True, verbose_name=_("channel")
    )
    files_count = models.IntegerField(_("files count"), db_default=0)
    views_total = models.BigIntegerField(_("views total"), db_default=0)
    clients_total = models.IntegerField(_("clients total"), db_default=0)
    blocked_total = models.IntegerField(_("blocked total"), db_default=0)
    last_updated = models.DateTimeField(_("last updated"), db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."channel_stats'
        verbose_name = _("channel stats")
        verbose_name_plural = _("channel statistics")
        constraints = [
            models.CheckConstraint(
                condition=Q(files_count__gte=0, views_total__gte=0, clients_total__gte=0, blocked_total__gte=0),
                name="channel_stats_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return gettext("Statistics of channel %(id)s") % {"id": self.channel_id}


class Event(models.Model):
    class Type(models.TextChoices):
        CLIENT_JOIN = "client_join", _("Client join")
        CLIENT_LEAVE = "client_leave", _("Client leave")
        INVITE_USED = "invite_used", _("Invite used")
        FILE_POSTED = "file_posted", _("File posted")
        FILE_DELETED = "file_deleted", _("File deleted")
        SYNC_RUN = "sync_run", _("Sync run")

    channel = models.ForeignKey(
        Channel, DB_SET_NULL, related_name="events", null=True, db_index=False, verbose_name=_("channel")
    )
    client = models.ForeignKey(Client, DB_SET_NULL, related_name="events", null=True, verbose_name=_("client"))
    event_type = models.CharField(_("event type"), choices=Type)
    details = models.JSONField(_("details"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."events'
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    event_type__in=[
                        "client_join",
                        "client_leave",
                        "invite_used",
                        "file_posted",
                        "file_deleted",
                        "sync_run",
                    ]
                ),
                name="events_event_type_valid",
            ),
        ]
        indexes = [models.Index(F("channel"), F("created_at").desc(), name="idx_events_channel_created")]

    def __str__(self) -> str:
        return f"{self.get_event_type_display()} {self.pk}"


class ProfileOverview(models.Model):
    """View: what the bot's “My profile” shows. The plan and sub_… columns are the subscription row's own;
    `free_channels_left` follows the effective plan."""

    contractor = models.OneToOneField(
        Contractor,
        models.DO_NOTHING,
        related_name="overview",
        primary_key=True,
        db_constraint=False,
        verbose_name=_("contractor"),
    )
    tg_user_id = models.BigIntegerField(_("Telegram id"), null=True)
    plan_code = models.CharField(_("plan code"), null=True)
    plan_name = models.CharField(_("plan name"), null=True)
    sub_status = models.CharField(_("sub status"), null=True)
    sub_starts_at = models.DateTimeField(_("sub starts at"), null=True)
    sub_expires_at = models.DateTimeField(_("sub expires at"), null=True)
    channels_cnt = models.BigIntegerField(_("channels cnt"))
    files_cnt = models.BigIntegerField(_("files cnt"))
    views_total = models.BigIntegerField(_("views total"))
    clients_total = models.BigIntegerField(_("clients total"))
    blocked_total = models.BigIntegerField(_("blocked total"))
    invites_active = models.BigIntegerField(_("invites active"))
    free_channels_left = models.BigIntegerField(_("free channels left"), null=True)
    gifts_queued = models.BigIntegerField(_("gifts queued"))

    class Meta:
        managed = False
        db_table = 'analytics"."profile_overview'
        verbose_name = _("profile overview")
        verbose_name_plural = _("profile overviews")

    def __str__(self) -> str:
        return gettext("Profile of contractor %(id)s") % {"id": self.contractor_id}


class ProfileReferralProgress(models.Model):
    """View: a contractor's referrals, the current cycle (the highest number) and the rewards that wait."""

    contractor = models.OneToOneField(
        Contractor,
        models.DO_NOTHING,
        related_name="referral_overview",
        primary_key=True,
        db_constraint=False,
        verbose_name=_("contractor"),
    )
    referred_total = models.BigIntegerField(_("referred total"))
    qualified_total = models.BigIntegerField(_("qualified total"))
    current_cycle_no = models.IntegerField(_("current cycle no"))
    current_cycle_done = models.IntegerField(_("current cycle done"))
    current_cycle_required = models.IntegerField(_("current cycle required"))
    current_cycle_state = models.CharField(_("current cycle state"))
    gifts_queued = models.BigIntegerField(_("gifts queued"))

    class Meta:
        managed = False
        db_table = 'analytics"."profile_referral_progress'
        verbose_name = _("profile referral progress")
        verbose_name_plural = _("profile referral progress")

    def __str__(self) -> str:
        return gettext("Referral progress of contractor %(id)s") % {"id": self.contractor_id}
