import datetime as dt

from django.contrib.postgres.indexes import HashIndex
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Upper
from django.utils.text import Truncator
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import LongNameIndex, TransactionNow


def named(*names: str | None) -> str:
    """The first that is not blank, and no longer than a line: people write what they like into a name."""
    return Truncator(next(filter(None, ((name or "").strip() for name in names)), "")).chars(60)


def as_searched(column: str) -> Upper:
    """As adminlog.search compares it."""
    return Upper(models.Func(column, models.Value("ёЁ"), models.Value("еЕ"), function="translate"))


class Contractor(models.Model):
    """A customer of the bot. The bot makes the row together with its subscription, counters and referral link."""

    class Status(models.TextChoices):
        ACTIVE = "active", pgettext_lazy("contractor", "Active")
        BLOCKED = "blocked", _("Blocked")

    tg_user_id = models.BigIntegerField(_("Telegram id"), unique=True, null=True, blank=True)
    username = models.CharField(_("username"), null=True, blank=True)
    full_name = models.CharField(_("full name"), null=True, blank=True)
    status = models.CharField(_("status"), choices=Status, db_default=Status.ACTIVE)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)
    bonus_channels = models.IntegerField(
        _("bonus channels"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Channels granted on top of the plan's lifetime limit."),
    )

    class Meta:
        db_table = 'core"."contractors'
        verbose_name = _("contractor")
        verbose_name_plural = _("contractors")
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["active", "blocked"]), name="contractors_status_valid"),
        ]

    def __str__(self) -> str:
        username = (self.username or "").strip()
        return named(self.full_name, username and f"@{username}", gettext("Contractor %(id)s") % {"id": self.pk})

    @property
    def is_erased(self) -> bool:
        """Blocked, so that nothing starts or is counted for whom nobody can be any more."""
        is_nameless = self.tg_user_id is None and self.username is None and self.full_name is None
        return is_nameless and self.status == self.Status.BLOCKED


class Channel(models.Model):
    contractor = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="channels", db_index=False, verbose_name=_("contractor")
    )
    tg_chat_id = models.BigIntegerField(_("Telegram chat id"), unique=True)
    title = models.CharField(_("title"), null=True, blank=True)
    username = models.CharField(_("username"), null=True, blank=True)
    created_by_bot = models.BooleanField(_("created by bot"), db_default=True)
    synced = models.BooleanField(_("synced"), db_default=False)
    last_synced_at = models.DateTimeField(_("last synced at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)
    # When staff gave it to another contractor, whose usage counter does not know of it.
    moved_at = models.DateTimeField(_("moved at"), null=True, editable=False)

    class Meta:
        db_table = 'core"."channels'
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        indexes = [models.Index(fields=["contractor"], name="idx_channels_contractor")]

    def __str__(self) -> str:
        return named(self.title, str(self.tg_chat_id))


class Publication(models.Model):
    """A file posted to a channel. `views` is Telegram's running total and only grows."""

    channel = models.ForeignKey(
        Channel, DB_CASCADE, related_name="publications", db_index=False, verbose_name=_("channel")
    )
    message_id = models.BigIntegerField(_("message id"))
    file_name = models.CharField(_("file name"), null=True, blank=True)
    file_type = models.CharField(_("file type"), null=True, blank=True)
    views = models.IntegerField(_("views"), db_default=0)
    posted_at = models.DateTimeField(_("posted at"), db_default=TransactionNow())
    deleted = models.BooleanField(_("deleted"), db_default=False)

    class Meta:
        db_table = 'core"."publications'
        verbose_name = _("publication")
        verbose_name_plural = _("publications")
        constraints = [
            models.UniqueConstraint(fields=["channel", "message_id"], name="publications_channel_message_unique"),
            models.CheckConstraint(condition=Q(views__gte=0), name="publications_views_not_negative"),
        ]
        indexes = [
            LongNameIndex(F("channel"), F("posted_at").desc(), name="idx_publications_channel_posted"),
            # The list of publications: a message's number, and those deleted.
            models.Index(fields=["message_id"], name="publications_message"),
            models.Index(fields=["id"], condition=Q(deleted=True), name="publications_deleted"),
        ]

    def __str__(self) -> str:
        return named(self.file_name, gettext("Message %(id)s") % {"id": self.message_id})


class InviteQuerySet(models.QuerySet["Invite"]):
    def active(self, *, at: dt.datetime) -> "InviteQuerySet":
        """That still let somebody in."""
        in_time = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(in_time & (Q(max_uses=None) | Q(used_count__lt=F("max_uses"))))

    def with_state(self, *, at: dt.datetime) -> "InviteQuerySet":
        """With is_active, and with clients_came; for the rows of one page."""
        came = Client.objects.filter(invite=OuterRef("pk")).order_by().values("invite")
        return self.annotate(
            is_active=Exists(Invite.objects.active(at=at).filter(pk=OuterRef("pk"))),
            clients_came=Coalesce(Subquery(came.annotate(count=Count("pk")).values("count")), 0),
        )


class Invite(models.Model):
    """A limited link into a channel. The bot switches one off by setting `used_count` to `max_uses`."""

    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="invites", db_index=False, verbose_name=_("channel"))
    token = models.CharField(_("token"), unique=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    max_uses = models.IntegerField(_("max uses"), null=True, blank=True)
    used_count = models.IntegerField(_("used count"), db_default=0)
    editable = models.BooleanField(_("editable"), db_default=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow(), editable=False)

    objects = InviteQuerySet.as_manager()

    class Meta:
        db_table = 'core"."invites'
        verbose_name = _("invite")
        verbose_name_plural = _("invites")
        constraints = [
            models.CheckConstraint(condition=Q(used_count__gte=0), name="invites_used_count_not_negative"),
            models.CheckConstraint(condition=Q(max_uses__gt=0), name="invites_max_uses_positive"),
        ]
        indexes = [
            models.Index(fields=["channel"], name="idx_invites_channel"),
            # The list of invites.
            models.Index(fields=["id"], condition=Q(editable=False), name="invites_not_editable"),
        ]

    def __str__(self) -> str:
        return self.token


class Client(models.Model):
    """A person who came into a channel, mostly by an invite."""

    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="clients", db_index=False, verbose_name=_("channel"))
    invite = models.ForeignKey(
        Invite, DB_SET_NULL, related_name="clients", null=True, blank=True, db_index=False, verbose_name=_("invite")
    )
    tg_user_id = models.BigIntegerField(_("Telegram id"), null=True, blank=True)
    username = models.CharField(_("username"), null=True, blank=True)
    full_name = models.CharField(_("full name"), null=True, blank=True)
    joined_at = models.DateTimeField(_("joined at"), db_default=TransactionNow())
    blocked = models.BooleanField(_("blocked"), db_default=False)

    class Meta:
        db_table = 'core"."clients'
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        constraints = [
            models.UniqueConstraint(fields=["channel", "tg_user_id"], name="clients_channel_tg_user_unique"),
        ]
        indexes = [
            models.Index(fields=["channel"], name="idx_clients_channel"),
            models.Index(fields=["invite"], name="idx_clients_invite"),
            # The search box, and a person's export and erasure.
            models.Index(fields=["tg_user_id"], name="clients_tg_user"),
            # The search box. Hashes, because a name may be longer than a btree takes, and the bot would be refused.
            HashIndex(as_searched("username"), name="clients_username_searched"),
            HashIndex(as_searched("full_name"), name="clients_full_name_searched"),
            # The list of clients.
            models.Index(fields=["id"], condition=Q(blocked=True), name="clients_blocked"),
        ]

    def __str__(self) -> str:
        return named(self.full_name, self.username, gettext("Client %(id)s") % {"id": self.pk})


class TeamMember(models.Model):
    """A contractor who works in another contractor's channels; how many there may be is the plan's team size."""

    owner_contractor = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="team", db_index=False, verbose_name=_("owner contractor")
    )
    member_contractor = models.ForeignKey(
        Contractor, DB_CASCADE, related_name="teams", verbose_name=_("member contractor")
    )
    added_at = models.DateTimeField(_("added at"), db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = 'core"."team_members'
        verbose_name = _("team member")
        verbose_name_plural = _("team members")
        constraints = [
            models.UniqueConstraint(fields=["owner_contractor", "member_contractor"], name="team_members_pair_unique"),
            models.CheckConstraint(
                condition=~Q(owner_contractor=F("member_contractor")),
                name="team_members_not_oneself",
                violation_error_message=_("A contractor cannot be a member of their own team."),
            ),
        ]

    def __str__(self) -> str:
        names = {"member": self.member_contractor, "owner": self.owner_contractor}
        return gettext("%(member)s in the team of %(owner)s") % names
