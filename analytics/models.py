from django.db import models
from django.db.models import F, Q
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog.formats import amount, time
from core.models import Channel, Client, Contractor, Publication
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import AnyJSONField, TransactionNow


class ViewsDaily(models.Model):
    """A publication's running total of views as it stood on a day. A day without a row means no change."""

    pk = models.CompositePrimaryKey("publication_id", "collected_at")
    publication = models.ForeignKey(
        Publication, DB_CASCADE, related_name="views_daily", db_index=False, verbose_name=_("publication")
    )
    collected_at = models.DateField(_("collected at"))
    views = models.IntegerField(_("views"))
    # The day's last reading, kept when aggregate_stats writes another total. Null where there was none.
    read_views = models.IntegerField(_("total read"), null=True)
    read_at = models.DateTimeField(_("read at"), null=True)

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
    details = AnyJSONField(_("details"), null=True)
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
        indexes = [
            models.Index(F("channel"), F("created_at").desc(), name="idx_events_channel_created"),
            # The list of events, narrowed to days and ordered by time; to a type, and to its days.
            models.Index(fields=["created_at"], name="idx_events_created"),
            models.Index(fields=["event_type", "created_at"], name="idx_events_type_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_event_type_display()} {self.pk}"


class ProfileQuerySet(models.QuerySet["ProfileOverview"]):
    def page(self, *, after: int = 0, size: int = 100) -> "ProfileQuerySet":
        """The next `size` in the order of the contractors. Who they are is asked first: of the view, PostgreSQL would
        read everybody's subscriptions and usage up to the page."""
        contractors = Contractor.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:size]
        return self.filter(contractor__pk__any=list(contractors)).order_by("pk")


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

    objects = ProfileQuerySet.as_manager()

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


class DailyFigures(models.Model):
    views_gained = models.BigIntegerField(_("views gained"), db_default=0)
    # Of those: what may have come on days before that were not collected.
    views_after_gap = models.BigIntegerField(_("views after a gap"), db_default=0)
    files = models.IntegerField(_("files"), db_default=0)
    joins = models.IntegerField(_("joins"), db_default=0)
    leaves = models.IntegerField(_("leaves"), db_default=0)
    # What the figures came from: they are never replaced by what fewer rows say.
    view_rows = models.IntegerField(_("rows of daily views"), db_default=0)
    event_rows = models.IntegerField(_("events"), db_default=0)

    class Meta:
        abstract = True


class ChannelDaily(DailyFigures):
    """Derived: what roll_up_days counted of a channel's day. A day without a row brought nothing."""

    pk = models.CompositePrimaryKey("channel_id", "day")
    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="daily", db_index=False, verbose_name=_("channel"))
    day = models.DateField(_("day"))

    class Meta:
        db_table = 'analytics"."channel_daily'
        verbose_name = _("day of a channel")
        verbose_name_plural = _("days of channels")
        indexes = [
            # The day that roll_up_days counts anew.
            models.Index(fields=["day"], name="idx_channel_daily_day"),
        ]

    def __str__(self) -> str:
        return gettext("Channel %(id)s on %(day)s") % {"id": self.channel_id, "day": date_format(self.day)}


class DailyTotals(DailyFigures):
    """Derived: a day that roll_up_days counted, and the figures of all channels on it. Channels deleted since then, and
    events without a channel, are in them."""

    day = models.DateField(_("day"), primary_key=True)
    collected = models.BooleanField(_("collected"), db_default=False)
    rolled_up_at = models.DateTimeField(_("rolled up at"), db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."daily_totals'
        verbose_name = _("daily totals")
        verbose_name_plural = _("daily totals")

    def __str__(self) -> str:
        return date_format(self.day)


class SuspectReading(models.Model):
    """A total that cannot be: below one read at the same time or earlier, or above a later one. It changed nothing."""

    publication = models.ForeignKey(
        Publication, DB_CASCADE, related_name="suspect_readings", db_index=False, verbose_name=_("publication")
    )
    read_at = models.DateTimeField(_("read at"))
    views = models.IntegerField(_("views"))
    against_views = models.IntegerField(_("other total"))
    against_day = models.DateField(_("day of the other"))
    # Null where that total is of an unknown time on its day.
    against_at = models.DateTimeField(_("time of the other"), null=True)
    # A file's name, or the userbot.
    source = models.CharField(_("source"))
    noticed_at = models.DateTimeField(_("noticed at"), db_default=TransactionNow())

    class Meta:
        db_table = 'analytics"."suspect_readings'
        verbose_name = _("suspect reading")
        verbose_name_plural = _("suspect readings")
        constraints = [
            # An import may be repeated.
            models.UniqueConstraint(fields=["publication", "read_at", "views"], name="suspect_readings_named_once"),
        ]

    def __str__(self) -> str:
        return gettext("%(views)s at %(time)s") % {"views": amount(self.views), "time": time(self.read_at)}
