from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.text import Truncator

from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import LongNameIndex, TransactionNow


def named(*names: str | None) -> str:
    """The first that is not blank, and no longer than a line: people write what they like into a name."""
    return Truncator(next(filter(None, ((name or "").strip() for name in names)), "")).chars(60)


class Contractor(models.Model):
    """A customer of the bot. The bot makes the row together with its subscription, counters and referral link."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        BLOCKED = "blocked"

    tg_user_id = models.BigIntegerField("Telegram id", unique=True, null=True, blank=True)
    username = models.CharField(null=True, blank=True)
    full_name = models.CharField(null=True, blank=True)
    status = models.CharField(choices=Status, db_default=Status.ACTIVE)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    bonus_channels = models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Channels granted on top of the plan's lifetime limit.",
    )

    class Meta:
        db_table = 'core"."contractors'
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["active", "blocked"]), name="contractors_status_valid"),
        ]

    def __str__(self) -> str:
        username = (self.username or "").strip()
        return named(self.full_name, username and f"@{username}", f"Contractor {self.pk}")


class Channel(models.Model):
    contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="channels", db_index=False)
    tg_chat_id = models.BigIntegerField("Telegram chat id", unique=True)
    title = models.CharField(null=True, blank=True)
    username = models.CharField(null=True, blank=True)
    created_by_bot = models.BooleanField(db_default=True)
    synced = models.BooleanField(db_default=False)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    # When staff gave it to another contractor, whose usage counter does not know of it.
    moved_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = 'core"."channels'
        indexes = [models.Index(fields=["contractor"], name="idx_channels_contractor")]

    def __str__(self) -> str:
        return named(self.title, str(self.tg_chat_id))


class Publication(models.Model):
    """A file posted to a channel. `views` is Telegram's running total and only grows."""

    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="publications", db_index=False)
    message_id = models.BigIntegerField()
    file_name = models.CharField(null=True, blank=True)
    file_type = models.CharField(null=True, blank=True)
    views = models.IntegerField(db_default=0)
    posted_at = models.DateTimeField(db_default=TransactionNow())
    deleted = models.BooleanField(db_default=False)

    class Meta:
        db_table = 'core"."publications'
        constraints = [
            models.UniqueConstraint(fields=["channel", "message_id"], name="publications_channel_message_unique"),
            models.CheckConstraint(condition=Q(views__gte=0), name="publications_views_not_negative"),
        ]
        indexes = [LongNameIndex(F("channel"), F("posted_at").desc(), name="idx_publications_channel_posted")]

    def __str__(self) -> str:
        return named(self.file_name, f"Message {self.message_id}")


class Invite(models.Model):
    """A limited link into a channel. The bot switches one off by setting `used_count` to `max_uses`."""

    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="invites", db_index=False)
    token = models.CharField(unique=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    max_uses = models.IntegerField(null=True, blank=True)
    used_count = models.IntegerField(db_default=0)
    editable = models.BooleanField(db_default=True)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = 'core"."invites'
        constraints = [
            models.CheckConstraint(condition=Q(used_count__gte=0), name="invites_used_count_not_negative"),
            models.CheckConstraint(condition=Q(max_uses__gt=0), name="invites_max_uses_positive"),
        ]
        indexes = [models.Index(fields=["channel"], name="idx_invites_channel")]

    def __str__(self) -> str:
        return self.token


class Client(models.Model):
    """A person who came into a channel, mostly by an invite."""

    channel = models.ForeignKey(Channel, DB_CASCADE, related_name="clients", db_index=False)
    invite = models.ForeignKey(Invite, DB_SET_NULL, related_name="clients", null=True, blank=True, db_index=False)
    tg_user_id = models.BigIntegerField("Telegram id", null=True, blank=True)
    username = models.CharField(null=True, blank=True)
    full_name = models.CharField(null=True, blank=True)
    joined_at = models.DateTimeField(db_default=TransactionNow())
    blocked = models.BooleanField(db_default=False)

    class Meta:
        db_table = 'core"."clients'
        constraints = [
            models.UniqueConstraint(fields=["channel", "tg_user_id"], name="clients_channel_tg_user_unique"),
        ]
        indexes = [
            models.Index(fields=["channel"], name="idx_clients_channel"),
            models.Index(fields=["invite"], name="idx_clients_invite"),
        ]

    def __str__(self) -> str:
        return named(self.full_name, self.username, f"Client {self.pk}")


class TeamMember(models.Model):
    """A contractor who works in another contractor's channels; how many there may be is the plan's team size."""

    owner_contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="team", db_index=False)
    member_contractor = models.ForeignKey(Contractor, DB_CASCADE, related_name="teams")
    added_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = 'core"."team_members'
        constraints = [
            models.UniqueConstraint(fields=["owner_contractor", "member_contractor"], name="team_members_pair_unique"),
            models.CheckConstraint(
                condition=~Q(owner_contractor=F("member_contractor")),
                name="team_members_not_oneself",
                violation_error_message="A contractor cannot be a member of their own team.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member_contractor} in the team of {self.owner_contractor}"
