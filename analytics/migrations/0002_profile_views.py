import django.db.models.deletion
from django.db import migrations, models

from smetabot.postgres.migrations import CreateView, sql_beside


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0001_tables"),
        ("billing", "0002_live"),
        ("referrals", "0002_progress_view"),
    ]

    operations = [
        CreateView("analytics.profile_overview", sql_beside(__file__, "0002_profile_overview.sql")),
        migrations.CreateModel(
            name="ProfileOverview",
            fields=[
                (
                    "contractor",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="overview",
                        serialize=False,
                        to="core.contractor",
                    ),
                ),
                ("tg_user_id", models.BigIntegerField(null=True)),
                ("plan_code", models.CharField(null=True)),
                ("plan_name", models.CharField(null=True)),
                ("sub_status", models.CharField(null=True)),
                ("sub_starts_at", models.DateTimeField(null=True)),
                ("sub_expires_at", models.DateTimeField(null=True)),
                ("channels_cnt", models.BigIntegerField()),
                ("files_cnt", models.BigIntegerField()),
                ("views_total", models.BigIntegerField()),
                ("clients_total", models.BigIntegerField()),
                ("blocked_total", models.BigIntegerField()),
                ("invites_active", models.BigIntegerField()),
                ("free_channels_left", models.BigIntegerField(null=True)),
                ("gifts_queued", models.BigIntegerField()),
            ],
            options={
                "db_table": 'analytics"."profile_overview',
                "managed": False,
            },
        ),
        CreateView("analytics.profile_referral_progress", sql_beside(__file__, "0002_profile_referral_progress.sql")),
        migrations.CreateModel(
            name="ProfileReferralProgress",
            fields=[
                (
                    "contractor",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="referral_overview",
                        serialize=False,
                        to="core.contractor",
                    ),
                ),
                ("referred_total", models.BigIntegerField()),
                ("qualified_total", models.BigIntegerField()),
                ("current_cycle_no", models.IntegerField()),
                ("current_cycle_done", models.IntegerField()),
                ("current_cycle_required", models.IntegerField()),
                ("current_cycle_state", models.CharField()),
                ("gifts_queued", models.BigIntegerField()),
            ],
            options={
                "db_table": 'analytics"."profile_referral_progress',
                "managed": False,
            },
        ),
    ]
