from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChannelStats",
            fields=[
                (
                    "channel",
                    models.OneToOneField(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        primary_key=True,
                        related_name="stats",
                        serialize=False,
                        to="core.channel",
                    ),
                ),
                ("files_count", models.IntegerField(db_default=0)),
                ("views_total", models.BigIntegerField(db_default=0)),
                ("clients_total", models.IntegerField(db_default=0)),
                ("blocked_total", models.IntegerField(db_default=0)),
                ("last_updated", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
            ],
            options={
                "verbose_name_plural": "channel statistics",
                "db_table": 'analytics"."channel_stats',
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("blocked_total__gte", 0),
                            ("clients_total__gte", 0),
                            ("files_count__gte", 0),
                            ("views_total__gte", 0),
                        ),
                        name="channel_stats_not_negative",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                        related_name="events",
                        to="core.channel",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                        related_name="events",
                        to="core.client",
                    ),
                ),
                (
                    "event_type",
                    models.CharField(
                        choices=[
                            ("client_join", "Client Join"),
                            ("client_leave", "Client Leave"),
                            ("invite_used", "Invite Used"),
                            ("file_posted", "File Posted"),
                            ("file_deleted", "File Deleted"),
                            ("sync_run", "Sync Run"),
                        ]
                    ),
                ),
                ("details", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
            ],
            options={
                "db_table": 'analytics"."events',
                "indexes": [
                    models.Index(
                        models.F("channel"),
                        models.OrderBy(models.F("created_at"), descending=True),
                        name="idx_events_channel_created",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "event_type__in",
                                [
                                    "client_join",
                                    "client_leave",
                                    "invite_used",
                                    "file_posted",
                                    "file_deleted",
                                    "sync_run",
                                ],
                            )
                        ),
                        name="events_event_type_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ViewsDaily",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "publication_id", "collected_at", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "publication",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="views_daily",
                        to="core.publication",
                    ),
                ),
                ("collected_at", models.DateField()),
                ("views", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "daily views",
                "db_table": 'analytics"."views_daily',
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("views__gte", 0)), name="views_daily_views_not_negative")
                ],
            },
        ),
    ]
