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
            name="Referral",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "referrer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="referrals_made",
                        to="core.contractor",
                    ),
                ),
                (
                    "referred_contractor",
                    models.OneToOneField(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="referred_by",
                        to="core.contractor",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
                ("qualified_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "db_table": 'referrals"."referrals',
            },
        ),
        migrations.CreateModel(
            name="ReferralCycle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "referrer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="referral_cycles",
                        to="core.contractor",
                    ),
                ),
                ("cycle_no", models.IntegerField()),
                ("qualified_refs_required", models.IntegerField(db_default=3)),
                ("qualified_refs_done", models.IntegerField(db_default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("in_progress", "In Progress"),
                            ("completed", "Completed"),
                            ("reward_queued", "Reward Queued"),
                        ],
                        db_default="in_progress",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": 'referrals"."referral_cycles',
            },
        ),
        migrations.CreateModel(
            name="ReferralLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contractor",
                    models.OneToOneField(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="referral_link",
                        to="core.contractor",
                    ),
                ),
                ("token", models.CharField(unique=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
            ],
            options={
                "db_table": 'referrals"."referral_links',
            },
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.UniqueConstraint(
                fields=("referrer", "referred_contractor"), name="referrals_pair_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(("referrer", models.F("referred_contractor")), _negated=True),
                name="referrals_not_oneself",
                violation_error_message="A contractor cannot refer themselves.",
            ),
        ),
        migrations.AddConstraint(
            model_name="referralcycle",
            constraint=models.UniqueConstraint(
                fields=("referrer", "cycle_no"), name="referral_cycles_referrer_no_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="referralcycle",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["in_progress", "completed", "reward_queued"])),
                name="referral_cycles_state_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="referralcycle",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("qualified_refs_done__gte", 0), ("qualified_refs_done__lte", models.F("qualified_refs_required"))
                ),
                name="referral_cycles_done_within_required",
            ),
        ),
        migrations.AddConstraint(
            model_name="referrallink",
            constraint=models.CheckConstraint(
                condition=models.Q(("token__regex", "^[A-Za-z0-9_-]{1,64}$")),
                name="referral_links_token_is_start_payload",
                violation_error_message="A token is 1 to 64 letters, digits, _ or -.",
            ),
        ),
    ]
