from django.conf import settings
from django.db import models
from django.db.models import Q

from smetabot.postgres.deletion import DB_SET_NULL
from smetabot.postgres.fields import TransactionNow


class AdminUser(models.Model):
    """A member of staff, by Telegram id and by Django login. Without an active row a login may do nothing."""

    class Role(models.TextChoices):
        SUPPORT = "support"
        MANAGER = "manager"
        OWNER = "owner"

    # The actor of what no member of staff did, made by migrate: see adminlog.apps.
    SYSTEM_TG_USER_ID = 0

    tg_user_id = models.BigIntegerField("Telegram id", unique=True)
    username = models.CharField(null=True, blank=True)
    role = models.CharField(choices=Role)
    is_active = models.BooleanField(db_default=True)
    added_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    login = models.OneToOneField(
        settings.AUTH_USER_MODEL, DB_SET_NULL, related_name="admin_user", null=True, blank=True
    )

    class Meta:
        db_table = 'admin"."admin_users'
        verbose_name = "staff member"
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["support", "manager", "owner"]), name="admin_users_role_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.username or str(self.tg_user_id)


class AdminAction(models.Model):
    """The journal of what staff did. Append-only: PostgreSQL refuses UPDATE, DELETE and TRUNCATE."""

    admin = models.ForeignKey(AdminUser, models.RESTRICT, related_name="actions")
    action = models.CharField()
    target_type = models.CharField(null=True)
    target_id = models.BigIntegerField(null=True)
    payload = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        db_table = 'admin"."admin_actions'
        verbose_name = "journal entry"
        verbose_name_plural = "journal"

    def __str__(self) -> str:
        return f"{self.action} by {self.admin}"


class JobRun(models.Model):
    """One run of a cron command that was not dry. A run without an end is under way or was killed."""

    class Outcome(models.TextChoices):
        DONE = "done"
        FAILED = "failed"

    command = models.CharField()
    started_at = models.DateTimeField(db_default=TransactionNow())
    finished_at = models.DateTimeField(null=True)
    now = models.DateTimeField("given --now", null=True)
    outcome = models.CharField(choices=Outcome, null=True)
    counts = models.JSONField(null=True)
    error = models.TextField(null=True)

    class Meta:
        db_table = 'admin"."job_runs'
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=["done", "failed"]), name="job_runs_outcome_valid"),
        ]
        indexes = [
            # The latest run of each command: the admin's list and its job health.
            models.Index(fields=["command", "-started_at"], name="job_runs_command_started"),
        ]

    def __str__(self) -> str:
        return f"{self.command} {self.started_at:%Y-%m-%d %H:%M}"
