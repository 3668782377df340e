from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from adminlog.formats import amount, time
from smetabot.postgres.deletion import DB_SET_NULL
from smetabot.postgres.fields import AnyJSON, AnyJSONField, TransactionNow


class AdminUser(models.Model):
    """A member of staff, by Telegram id and by Django login. Without an active row a login may do nothing."""

    class Role(models.TextChoices):
        SUPPORT = "support", _("Support")
        MANAGER = "manager", _("Manager")
        OWNER = "owner", _("Owner")

    class Language(models.TextChoices):
        EN = "en", "English"
        RU = "ru", "Русский"

    # The actor of what no member of staff did, made by migrate: see adminlog.apps.
    SYSTEM_TG_USER_ID = 0

    tg_user_id = models.BigIntegerField(_("Telegram id"), unique=True)
    username = models.CharField(_("username"), null=True, blank=True)
    role = models.CharField(_("role"), choices=Role)
    is_active = models.BooleanField(_("is active"), db_default=True)
    added_at = models.DateTimeField(_("added at"), db_default=TransactionNow(), editable=False)
    login = models.OneToOneField(
        settings.AUTH_USER_MODEL, DB_SET_NULL, related_name="admin_user", null=True, blank=True, verbose_name=_("login")
    )
    # Of the pages they see; what the office has set where they chose none.
    language = models.CharField(_("language"), null=True, blank=True, choices=Language)
    time_zone = models.CharField(_("time zone"), null=True, blank=True)

    class Meta:
        db_table = 'admin"."admin_users'
        verbose_name = _("staff member")
        verbose_name_plural = _("staff members")
        permissions = [("reset_adminuser", "Can reset password, second factor and lock-out")]
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["support", "manager", "owner"]), name="admin_users_role_valid"
            ),
            models.CheckConstraint(condition=Q(language__in=["en", "ru"]), name="admin_users_language_valid"),
        ]

    def __str__(self) -> str:
        return self.username or str(self.tg_user_id)


class ActionDetails(models.Model):
    """What of an act is about persons: names, Telegram ids, free text. An erasure empties it; nothing else changes it.

    `personal` holds "before", "after" and "reason", and what else was told; see adminlog.journal.
    """

    # Without it a hash would tell which of some names it was made of.
    salt = models.UUIDField(_("salt"), null=True, db_default=RandomUUID())
    personal = models.JSONField(_("personal"), null=True, decoder=AnyJSON)

    class Meta:
        db_table = 'admin"."action_details'
        verbose_name = _("action details")
        verbose_name_plural = _("action details")
        constraints = [
            models.CheckConstraint(
                condition=Q(salt__isnull=True, personal__isnull=True) | Q(salt__isnull=False, personal__isnull=False),
                name="action_details_whole_or_empty",
            ),
        ]

    def __str__(self) -> str:
        return gettext("Details %(id)s") % {"id": self.pk}


class AdminAction(models.Model):
    """The journal of what staff did. Append-only: PostgreSQL refuses UPDATE, DELETE and TRUNCATE.

    A trigger fills seq, hash, created_at, admin_name, admin_role and details_hash, whatever an INSERT says of them.
    """

    seq = models.BigIntegerField(_("seq"), unique=True, editable=False, db_default=0)
    created_at = models.DateTimeField(_("time"), db_default=TransactionNow())
    admin = models.ForeignKey(AdminUser, models.RESTRICT, related_name="actions", verbose_name=_("admin"))
    admin_name = models.CharField(_("admin name"), null=True)
    admin_role = models.CharField(_("admin role"), db_default="")
    action = models.CharField(_("action"))
    target_type = models.CharField(_("target type"), null=True)
    target_id = models.BigIntegerField(_("target id"), null=True)
    # Whose timeline it belongs to. No foreign key: who is deleted keeps their story.
    contractors = ArrayField(models.BigIntegerField(), verbose_name=_("contractors"), db_default=[])
    payload = models.JSONField(_("payload"), null=True, decoder=AnyJSON)
    details = models.OneToOneField(ActionDetails, models.RESTRICT, null=True, verbose_name=_("details"))
    details_hash = models.CharField(_("details hash"), null=True)
    part_of = models.ForeignKey("self", models.RESTRICT, related_name="parts", null=True, verbose_name=_("part of"))
    address = models.GenericIPAddressField(_("address"), null=True)
    request_id = models.UUIDField(_("request id"), null=True)
    # Of the page that it was confirmed on: a second click, or a page gone back to, does nothing twice.
    token = models.UUIDField(_("token"), null=True)
    hash = models.CharField(_("hash"), editable=False, db_default="")

    class Meta:
        db_table = 'admin"."admin_actions'
        verbose_name = _("journal entry")
        verbose_name_plural = _("journal entries")
        permissions = [("export_adminaction", "Can export the journal")]
        constraints = [models.UniqueConstraint(fields=["token"], name="admin_actions_token_used_once")]
        indexes = [
            # The history of a row, and the filter by kind of target.
            models.Index(fields=["target_type", "target_id"], name="admin_actions_target"),
            # The filter by act, and the acts that it offers.
            models.Index(fields=["action"], name="admin_actions_action"),
            # The filter by time.
            models.Index(fields=["created_at"], name="admin_actions_created"),
            # A contractor's timeline, and their erasure.
            GinIndex(fields=["contractors"], name="admin_actions_contractors"),
        ]

    def __str__(self) -> str:
        return gettext("%(act)s by %(name)s") % {"act": self.action, "name": self.admin_name}


class Note(models.Model):
    """What staff want to remember of a contractor. Append-only, but that an erasure empties its text."""

    # No foreign key: it stands beside the journal, below the contractors.
    contractor_id = models.BigIntegerField(_("contractor id"))
    author = models.ForeignKey(AdminUser, models.RESTRICT, related_name="notes", verbose_name=_("author"))
    text = models.TextField(_("text"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=TransactionNow())

    class Meta:
        db_table = 'admin"."notes'
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        constraints = [
            models.CheckConstraint(
                condition=Q(text__isnull=True) | Q(text__regex=r"\S") & Q(LessThanOrEqual(Length("text"), 10_000)),
                name="notes_text_valid",
            ),
        ]
        indexes = [
            # The notes on a contractor's page.
            models.Index(fields=["contractor_id"], name="notes_contractor"),
        ]

    def __str__(self) -> str:
        return gettext("Note %(id)s") % {"id": self.pk}


# What the jobs count. Their own output has these words as they are.
COUNTED = {
    "grace": pgettext_lazy("counted by a job", "grace"),
    "expired": pgettext_lazy("counted by a job", "expired"),
    "qualified": pgettext_lazy("counted by a job", "qualified"),
    "cycles_completed": pgettext_lazy("counted by a job", "cycles completed"),
    "rewards_queued": pgettext_lazy("counted by a job", "rewards queued"),
    "applied": pgettext_lazy("counted by a job", "applied"),
    "waiting": pgettext_lazy("counted by a job", "waiting"),
    "blocked": pgettext_lazy("counted by a job", "blocked"),
    "failed": pgettext_lazy("counted by a job", "failed"),
    "snapshots": pgettext_lazy("counted by a job", "daily views"),
    "channels": pgettext_lazy("counted by a job", "channels"),
    "looked_at": pgettext_lazy("counted by a job", "channels looked at"),
    "days": pgettext_lazy("counted by a job", "days"),
    "written": pgettext_lazy("counted by a job", "rows written"),
    "removed": pgettext_lazy("counted by a job", "rows removed"),
    "kept": pgettext_lazy("counted by a job", "rows kept"),
    "months_made": pgettext_lazy("counted by a job", "months made"),
    "rows_moved": pgettext_lazy("counted by a job", "rows moved"),
    "rows_left": pgettext_lazy("counted by a job", "rows of no month"),
    "months_detached": pgettext_lazy("counted by a job", "months archived"),
    "tables_dropped": pgettext_lazy("counted by a job", "tables dropped"),
    "findings": pgettext_lazy("counted by a job", "findings"),
    "notices": pgettext_lazy("counted by a job", "notices"),
    "fixed": pgettext_lazy("counted by a job", "fixed"),
    "entries": pgettext_lazy("counted by a job", "entries"),
    "emptied": pgettext_lazy("counted by a job", "emptied"),
    "seq": pgettext_lazy("counted by a job", "last number"),
    "broken": pgettext_lazy("counted by a job", "broken"),
    "readings": pgettext_lazy("counted by a job", "readings"),
    "suspects": pgettext_lazy("counted by a job", "suspect"),
    "bad_lines": pgettext_lazy("counted by a job", "bad lines"),
    "answered": pgettext_lazy("counted by a job", "publications asked for"),
    "channels_failed": pgettext_lazy("counted by a job", "channels without an answer"),
    "publications": pgettext_lazy("counted by a job", "publications"),
    "daily_views": pgettext_lazy("counted by a job", "daily views"),
    "late": pgettext_lazy("counted by a job", "late"),
    "killed": pgettext_lazy("counted by a job", "killed"),
    "opened": pgettext_lazy("counted by a job", "alerts opened"),
    "closed": pgettext_lazy("counted by a job", "alerts closed"),
    "told": pgettext_lazy("counted by a job", "alerts told"),
    "sessions": pgettext_lazy("counted by a job", "sessions"),
    "attempts": pgettext_lazy("counted by a job", "failed logins"),
    "runs": pgettext_lazy("counted by a job", "job runs"),
}


class JobRun(models.Model):
    """One run of a cron command that was not dry. A run without an end is under way or was killed."""

    class Outcome(models.TextChoices):
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    command = models.CharField(_("command"))
    started_at = models.DateTimeField(_("started at"), db_default=TransactionNow())
    finished_at = models.DateTimeField(_("finished at"), null=True)
    now = models.DateTimeField(_("given --now"), null=True)
    outcome = models.CharField(_("outcome"), choices=Outcome, null=True)
    counts = AnyJSONField(_("counts"), null=True)
    error = models.TextField(_("error"), null=True)

    class Meta:
        db_table = 'admin"."job_runs'
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=["done", "failed"]), name="job_runs_outcome_valid"),
        ]
        indexes = [
            # The latest run of each command: the admin's list and its job health.
            models.Index(fields=["command", "-started_at"], name="job_runs_command_started"),
        ]

    def __str__(self) -> str:
        return f"{self.command}, {time(self.started_at)}"

    @property
    def first_problem(self) -> str:
        return (self.error or "").partition("\n")[0][:200]

    @property
    def counted(self) -> str:
        words = gettext("%(what)s %(count)s")
        known = self.counts if isinstance(self.counts, dict) else {}
        counts = {name: n for name, n in known.items() if isinstance(n, int)}
        return ", ".join(words % {"what": COUNTED.get(name, name), "count": amount(n)} for name, n in counts.items())


class AdminAlertQuerySet(models.QuerySet["AdminAlert"]):
    def unresolved(self) -> "AdminAlertQuerySet":
        return self.filter(state__in=AdminAlert.UNRESOLVED)


class AdminAlert(models.Model):
    """Something that is wrong with the jobs, from when it was first seen until it was over; see adminlog.alerts."""

    class Kind(models.TextChoices):
        FAILED = "failed", _("Failed")
        LATE = "late", _("Late")
        KILLED = "killed", _("Killed or hanging")
        UNTOLD = "untold", _("The chat was not told")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")

    UNRESOLVED = (State.OPEN, State.ACKNOWLEDGED)

    fingerprint = models.CharField(_("fingerprint"))
    command = models.CharField(_("command"))
    kind = models.CharField(_("kind"), choices=Kind)
    text = models.TextField(_("text"))
    # The latest that it was seen of; of a late job the last one that came to an end.
    run = models.ForeignKey(JobRun, DB_SET_NULL, related_name="alerts", null=True, verbose_name=_("job run"))
    count = models.IntegerField(_("times seen"), db_default=1)
    state = models.CharField(_("state"), choices=State, db_default=State.OPEN)
    first_seen_at = models.DateTimeField(_("first seen"), db_default=TransactionNow())
    last_seen_at = models.DateTimeField(_("last seen"), db_default=TransactionNow())
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    # What the chat knows.
    told_state = models.CharField(_("told state"), choices=State, null=True)
    told_at = models.DateTimeField(_("told at"), null=True)

    objects = AdminAlertQuerySet.as_manager()

    class Meta:
        db_table = 'admin"."admin_alerts'
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        permissions = [
            ("acknowledge_adminalert", "Can acknowledge alerts"),
            ("resolve_adminalert", "Can resolve alerts"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["failed", "late", "killed", "untold"]), name="admin_alerts_kind_valid"
            ),
            models.CheckConstraint(
                condition=Q(state="resolved", resolved_at__isnull=False)
                | Q(state__in=["open", "acknowledged"], resolved_at__isnull=True),
                name="admin_alerts_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(told_state__isnull=True, told_at__isnull=True)
                | Q(told_state__in=["open", "resolved"], told_at__isnull=False),
                name="admin_alerts_told_valid",
            ),
            models.CheckConstraint(condition=Q(count__gte=1), name="admin_alerts_count_positive"),
            # What is seen again is counted in the row that there is.
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=Q(state__in=["open", "acknowledged"]),
                name="admin_alerts_one_unresolved",
            ),
        ]
        indexes = [
            # The filter by command, and the commands that it offers.
            models.Index(fields=["command"], name="admin_alerts_command"),
        ]

    def __str__(self) -> str:
        return gettext("Alert %(id)s") % {"id": self.pk}
