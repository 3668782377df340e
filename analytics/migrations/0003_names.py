from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0002_profile_views"),
        ("core", "0003_names"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="channelstats",
            options={"verbose_name": "channel stats", "verbose_name_plural": "channel statistics"},
        ),
        migrations.AlterModelOptions(
            name="event",
            options={"verbose_name": "event", "verbose_name_plural": "events"},
        ),
        migrations.AlterModelOptions(
            name="profileoverview",
            options={"managed": False, "verbose_name": "profile overview", "verbose_name_plural": "profile overviews"},
        ),
        migrations.AlterModelOptions(
            name="profilereferralprogress",
            options={
                "managed": False,
                "verbose_name": "profile referral progress",
                "verbose_name_plural": "profile referral progress",
            },
        ),
        migrations.AlterModelOptions(
            name="viewsdaily",
            options={"verbose_name": "views daily", "verbose_name_plural": "daily views"},
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="blocked_total",
            field=models.IntegerField(db_default=0, verbose_name="blocked total"),
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="channel",
            field=models.OneToOneField(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                primary_key=True,
                related_name="stats",
                serialize=False,
                to="core.channel",
                verbose_name="channel",
            ),
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="clients_total",
            field=models.IntegerField(db_default=0, verbose_name="clients total"),
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="files_count",
            field=models.IntegerField(db_default=0, verbose_name="files count"),
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="last_updated",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="last updated"
            ),
        ),
        migrations.AlterField(
            model_name="channelstats",
            name="views_total",
            field=models.BigIntegerField(db_default=0, verbose_name="views total"),
        ),
        migrations.AlterField(
            model_name="event",
            name="channel",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="events",
                to="core.channel",
                verbose_name="channel",
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="client",
            field=models.ForeignKey(
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="events",
                to="core.client",
                verbose_name="client",
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="created_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="created at"),
        ),
        migrations.AlterField(
            model_name="event",
            name="details",
            field=models.JSONField(null=True, verbose_name="details"),
        ),
        migrations.AlterField(
            model_name="event",
            name="event_type",
            field=models.CharField(
                choices=[
                    ("client_join", "Client join"),
                    ("client_leave", "Client leave"),
                    ("invite_used", "Invite used"),
                    ("file_posted", "File posted"),
                    ("file_deleted", "File deleted"),
                    ("sync_run", "Sync run"),
                ],
                verbose_name="event type",
            ),
        ),
        migrations.AlterField(
            model_name="viewsdaily",
            name="collected_at",
            field=models.DateField(verbose_name="collected at"),
        ),
        migrations.AlterField(
            model_name="viewsdaily",
            name="publication",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="views_daily",
                to="core.publication",
                verbose_name="publication",
            ),
        ),
        migrations.AlterField(
            model_name="viewsdaily",
            name="views",
            field=models.IntegerField(verbose_name="views"),
        ),
    ]
