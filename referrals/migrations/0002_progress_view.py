import django.db.models.deletion
from django.db import migrations, models

from smetabot.postgres.migrations import CreateView, sql_beside


class Migration(migrations.Migration):
    dependencies = [
        ("referrals", "0001_tables"),
    ]

    operations = [
        CreateView("referrals.referral_progress", sql_beside(__file__, "0002_referral_progress.sql")),
        migrations.CreateModel(
            name="ReferralProgress",
            fields=[
                (
                    "referral",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="progress",
                        serialize=False,
                        to="referrals.referral",
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="core.contractor",
                    ),
                ),
                (
                    "referred_contractor",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="core.contractor",
                    ),
                ),
                ("channels_created", models.BigIntegerField()),
                ("qualified", models.BooleanField()),
            ],
            options={
                "db_table": 'referrals"."referral_progress',
                "managed": False,
            },
        ),
    ]
