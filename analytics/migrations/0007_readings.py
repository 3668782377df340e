from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    """Totals are read from outside: a day's row keeps the last one, and what cannot be so is kept aside."""

    dependencies = [("analytics", "0006_channel_daily")]

    operations = [
        # Null, so that no table is rewritten, and the bot's own INSERT goes on.
        migrations.AddField(
            model_name="viewsdaily",
            name="read_views",
            field=models.IntegerField(null=True, verbose_name="total read"),
        ),
        migrations.AddField(
            model_name="viewsdaily",
            name="read_at",
            field=models.DateTimeField(null=True, verbose_name="read at"),
        ),
        migrations.CreateModel(
            name="SuspectReading",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "publication",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="suspect_readings",
                        to="core.publication",
                        verbose_name="publication",
                    ),
                ),
                ("read_at", models.DateTimeField(verbose_name="read at")),
                ("views", models.IntegerField(verbose_name="views")),
                ("against_views", models.IntegerField(verbose_name="other total")),
                ("against_day", models.DateField(verbose_name="day of the other")),
                ("against_at", models.DateTimeField(null=True, verbose_name="time of the other")),
                ("source", models.CharField(verbose_name="source")),
                (
                    "noticed_at",
                    models.DateTimeField(
                        db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="noticed at"
                    ),
                ),
            ],
            options={
                "verbose_name": "suspect reading",
                "verbose_name_plural": "suspect readings",
                "db_table": 'analytics"."suspect_readings',
                "constraints": [
                    models.UniqueConstraint(
                        fields=("publication", "read_at", "views"), name="suspect_readings_named_once"
                    )
                ],
            },
        ),
    ]
