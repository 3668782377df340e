from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0009_names"),
    ]

    operations = [
        migrations.CreateModel(
            name="AdminAlert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(verbose_name="fingerprint")),
                ("command", models.CharField(verbose_name="command")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("failed", "Failed"),
                            ("late", "Late"),
                            ("killed", "Killed or hanging"),
                            ("untold", "The chat was not told"),
                        ],
                        verbose_name="kind",
                    ),
                ),
                ("text", models.TextField(verbose_name="text")),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                        related_name="alerts",
                        to="adminlog.jobrun",
                        verbose_name="job run",
                    ),
                ),
                ("count", models.IntegerField(db_default=1, verbose_name="times seen")),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("acknowledged", "Acknowledged"), ("resolved", "Resolved")],
                        db_default="open",
                        verbose_name="state",
                    ),
                ),
                (
                    "first_seen_at",
                    models.DateTimeField(
                        db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="first seen"
                    ),
                ),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="last seen"
                    ),
                ),
                ("resolved_at", models.DateTimeField(null=True, verbose_name="resolved at")),
                (
                    "told_state",
                    models.CharField(
                        choices=[("open", "Open"), ("acknowledged", "Acknowledged"), ("resolved", "Resolved")],
                        null=True,
                        verbose_name="told state",
                    ),
                ),
                ("told_at", models.DateTimeField(null=True, verbose_name="told at")),
            ],
            options={
                "verbose_name": "alert",
                "verbose_name_plural": "alerts",
                "db_table": 'admin"."admin_alerts',
                "permissions": [
                    ("acknowledge_adminalert", "Can acknowledge alerts"),
                    ("resolve_adminalert", "Can resolve alerts"),
                ],
                "indexes": [models.Index(fields=["command"], name="admin_alerts_command")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["failed", "late", "killed", "untold"])),
                        name="admin_alerts_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resolved_at__isnull", False), ("state", "resolved")),
                            models.Q(("resolved_at__isnull", True), ("state__in", ["open", "acknowledged"])),
                            _connector="OR",
                        ),
                        name="admin_alerts_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("told_at__isnull", True), ("told_state__isnull", True)),
                            models.Q(("told_at__isnull", False), ("told_state__in", ["open", "resolved"])),
                            _connector="OR",
                        ),
                        name="admin_alerts_told_valid",
                    ),
                    models.CheckConstraint(condition=models.Q(("count__gte", 1)), name="admin_alerts_count_positive"),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["open", "acknowledged"])),
                        fields=("fingerprint",),
                        name="admin_alerts_one_unresolved",
                    ),
                ],
            },
        ),
    ]
