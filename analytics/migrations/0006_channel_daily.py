from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [("analytics", "0005_dirty_channels")]

    operations = [
        migrations.CreateModel(
            name="ChannelDaily",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "channel_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="daily",
                        to="core.channel",
                        verbose_name="channel",
                    ),
                ),
                ("day", models.DateField(verbose_name="day")),
                ("views_gained", models.BigIntegerField(db_default=0, verbose_name="views gained")),
                ("views_after_gap", models.BigIntegerField(db_default=0, verbose_name="views after a gap")),
                ("files", models.IntegerField(db_default=0, verbose_name="files")),
                ("joins", models.IntegerField(db_default=0, verbose_name="joins")),
                ("leaves", models.IntegerField(db_default=0, verbose_name="leaves")),
                ("view_rows", models.IntegerField(db_default=0, verbose_name="rows of daily views")),
                ("event_rows", models.IntegerField(db_default=0, verbose_name="events")),
            ],
            options={
                "verbose_name": "day of a channel",
                "verbose_name_plural": "days of channels",
                "db_table": 'analytics"."channel_daily',
                "indexes": [models.Index(fields=["day"], name="idx_channel_daily_day")],
            },
        ),
        migrations.CreateModel(
            name="DailyTotals",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False, verbose_name="day")),
                ("collected", models.BooleanField(db_default=False, verbose_name="collected")),
                ("views_gained", models.BigIntegerField(db_default=0, verbose_name="views gained")),
                ("views_after_gap", models.BigIntegerField(db_default=0, verbose_name="views after a gap")),
                ("files", models.IntegerField(db_default=0, verbose_name="files")),
                ("joins", models.IntegerField(db_default=0, verbose_name="joins")),
                ("leaves", models.IntegerField(db_default=0, verbose_name="leaves")),
                ("view_rows", models.IntegerField(db_default=0, verbose_name="rows of daily views")),
                ("event_rows", models.IntegerField(db_default=0, verbose_name="events")),
                (
                    "rolled_up_at",
                    models.DateTimeField(
                        db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="rolled up at"
                    ),
                ),
            ],
            options={
                "verbose_name": "daily totals",
                "verbose_name_plural": "daily totals",
                "db_table": 'analytics"."daily_totals',
            },
        ),
    ]
