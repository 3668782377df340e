import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AdminUser",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tg_user_id", models.BigIntegerField(unique=True, verbose_name="Telegram id")),
                ("username", models.CharField(blank=True, null=True)),
                (
                    "role",
                    models.CharField(choices=[("support", "Support"), ("manager", "Manager"), ("owner", "Owner")]),
                ),
                ("is_active", models.BooleanField(db_default=True)),
                (
                    "added_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
                (
                    "login",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                        related_name="admin_user",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "staff member",
                "db_table": 'admin"."admin_users',
            },
        ),
        migrations.CreateModel(
            name="AdminAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "admin",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="actions", to="adminlog.adminuser"
                    ),
                ),
                ("action", models.CharField()),
                ("target_type", models.CharField(null=True)),
                ("target_id", models.BigIntegerField(null=True)),
                ("payload", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
            ],
            options={
                "verbose_name": "journal entry",
                "verbose_name_plural": "journal",
                "db_table": 'admin"."admin_actions',
            },
        ),
        migrations.CreateModel(
            name="JobRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("command", models.CharField()),
                ("started_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                ("finished_at", models.DateTimeField(null=True)),
                ("now", models.DateTimeField(null=True, verbose_name="given --now")),
                ("outcome", models.CharField(choices=[("done", "Done"), ("failed", "Failed")], null=True)),
                ("counts", models.JSONField(null=True)),
                ("error", models.TextField(null=True)),
            ],
            options={
                "db_table": 'admin"."job_runs',
                "indexes": [models.Index(fields=["command", "-started_at"], name="job_runs_command_started")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["done", "failed"])), name="job_runs_outcome_valid"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="adminuser",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["support", "manager", "owner"])), name="admin_users_role_valid"
            ),
        ),
    ]
