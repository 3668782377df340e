from django.db import models
from django.db.models import F, Q

from core.models import Channel, Client, Contractor, Publication
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import TransactionNow


class ViewsDaily(models.Model):
    """A publication's running total of views as it stood on a day. A day without a row means no change."""

    pk = models.CompositePrimaryKey("publication_id", "collected_at")
    publication = models.ForeignKey(Publication, DB_CASCADE, related_name="views_daily", db_index=False)
    collected_at = models.DateField()
    views = models.IntegerField()

    class Meta:
        db_table = 'analytics"."views_daily'
        verbose_name_plural = "daily views"
        constraints = [
            models.CheckConstraint(condition=Q(views__gte=0), name="views_daily_views_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.views} on {self.collected_at}"


class ChannelStats(models.Model):
    """Derived: what aggregate_stats counted. Files and views leave deleted publications out."""

    channel = models.OneToOneField(Channel, DB_CASCADE, related_name="stats", primary_key=True)
    files_count = models.IntegerField(db_default=0)
    views_total = models.BigIntegerField(db_default=0)
    clients_total = models.IntegerField(db_default=0)
    blocked_total = models.IntegerField(db_default=0)
    last_updated = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."channel_stats'
        verbose_name_plural = "channel statistics"
        constraints = [
            models.CheckConstraint(
                condition=Q(files_count__gte=0, views_total__gte=0, clients_total__gte=0, blocked_total__gte=0),
                name="channel_stats_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"Statistics of channel {self.channel_id}"


class Event(models.Model):
    class Type(models.TextChoices):
        CLIENT_JOIN = "client_join"
        CLIENT_LEAVE = "client_leave"
        INVITE_USED = "invite_used"
        FILE_POSTED = "file_posted"
        FILE_DELETED = "file_deleted"
        SYNC_RUN = "sync_run"

    channel = models.ForeignKey(Channel, DB_SET_NULL, related_name="events", null=True, db_index=False)
    client = models.ForeignKey(Client, DB_SET_NULL, related_name="events", null=True)
    event_type = models.CharField(choices=Type)
    details = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."events'
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
        Contractor, models.DO_NOTHING, related_name="overview", primary_key=True, db_constraint=False
    )
    tg_user_id = models.BigIntegerField(null=True)
    plan_code = models.CharField(null=True)
    plan_name = models.CharField(null=True)
    sub_status = models.CharField(null=True)
    sub_starts_at = models.DateTimeField(null=True)
    sub_expires_at = models.DateTimeField(null=True)
    channels_cnt = models.BigIntegerField()
    files_cnt = models.BigIntegerField()
    views_total = models.BigIntegerField()
    clients_total = models.BigIntegerField()
    blocked_total = models.BigIntegerField()
    invites_active = models.BigIntegerField()
    free_channels_left = models.BigIntegerField(null=True)
    gifts_queued = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = 'analytics"."profile_overview'

    def __str__(self) -> str:
        return f"Profile of contractor {self.contractor_id}"


class ProfileReferralProgress(models.Model):
    """View: a contractor's referrals, the current cycle (the highest number) and the rewards that wait."""

    contractor = models.OneToOneField(
        Contractor, models.DO_NOTHING, related_name="referral_overview", primary_key=True, db_constraint=False
    )
    referred_total = models.BigIntegerField()
    qualified_total = models.BigIntegerField()
    current_cycle_no = models.IntegerField()
    current_cycle_done = models.IntegerField()
    current_cycle_required = models.IntegerField()
    current_cycle_state = models.CharField()
    gifts_queued = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = 'analytics"."profile_referral_progress'

    def __str__(self) -> str:
        return f"Referral progress of contractor {self.contractor_id}"
