import django.core.validators
import django.db.models.deletion
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
            name="Plan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.CharField(choices=[("FREE", "Free"), ("PRO", "Pro"), ("BUSINESS", "Business")], unique=True),
                ),
                ("name", models.CharField()),
                (
                    "price_month",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=10,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
                ("features", models.JSONField(blank=True, db_default={})),
                (
                    "channels_limit_one_off",
                    models.IntegerField(
                        blank=True,
                        help_text="Channels a contractor may make in a lifetime; empty: as many as they like.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
            ],
            options={
                "db_table": 'billing"."plans',
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("code__in", ["FREE", "PRO", "BUSINESS"])), name="plans_code_valid"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Gift",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contractor",
                    models.ForeignKey(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE, related_name="gifts", to="core.contractor"
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan"
                    ),
                ),
                (
                    "days",
                    models.IntegerField(db_default=30, validators=[django.core.validators.MaxValueValidator(3650)]),
                ),
                (
                    "reason",
                    models.CharField(choices=[("referral_reward", "Referral Reward"), ("admin_grant", "Admin Grant")]),
                ),
                (
                    "queued_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
                ("applied_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("withdrawn_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "db_table": 'billing"."gifts_queue',
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contractor",
                    models.OneToOneField(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="subscription",
                        to="core.contractor",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("trial", "Trial"),
                            ("grace", "Grace"),
                            ("expired", "Expired"),
                            ("cancelled", "Cancelled"),
                        ]
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("paid", "Paid"),
                            ("gift", "Gift"),
                            ("trial", "Trial"),
                            ("admin_grant", "Admin Grant"),
                        ],
                        db_default="paid",
                    ),
                ),
                ("starts_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": 'billing"."subscriptions',
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SubscriptionHistory",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contractor",
                    models.ForeignKey(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="subscription_history",
                        to="core.contractor",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("trial", "Trial"),
                            ("grace", "Grace"),
                            ("expired", "Expired"),
                            ("cancelled", "Cancelled"),
                        ]
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("paid", "Paid"), ("gift", "Gift"), ("trial", "Trial"), ("admin_grant", "Admin Grant")]
                    ),
                ),
                ("starts_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                (
                    "gift",
                    models.OneToOneField(
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="history",
                        to="billing.gift",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "subscription history",
                "db_table": 'billing"."subscription_history',
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="UsageCounter",
            fields=[
                (
                    "contractor",
                    models.OneToOneField(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        primary_key=True,
                        related_name="usage",
                        serialize=False,
                        to="core.contractor",
                    ),
                ),
                ("channels_created_total", models.IntegerField(db_default=0)),
                ("last_channel_created_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": 'billing"."usage_counters',
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("channels_created_total__gte", 0)),
                        name="usage_counters_channels_not_negative",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="gift",
            index=models.Index(
                condition=models.Q(("applied_at", None), ("withdrawn_at", None)),
                fields=["contractor", "queued_at", "id"],
                name="gifts_queue_pending",
            ),
        ),
        migrations.AddConstraint(
            model_name="gift",
            constraint=models.CheckConstraint(
                condition=models.Q(("days__gt", 0)),
                name="gifts_queue_days_positive",
                violation_error_message="A gift is at least one day long.",
            ),
        ),
        migrations.AddConstraint(
            model_name="gift",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason__in", ["referral_reward", "admin_grant"])), name="gifts_queue_reason_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "trial", "grace", "expired", "cancelled"])),
                name="subscription_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["paid", "gift", "trial", "admin_grant"])),
                name="subscription_source_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("starts_at"))),
                name="subscription_ends_after_start",
                violation_error_message="A subscription ends after it starts.",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptionhistory",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "trial", "grace", "expired", "cancelled"])),
                name="subscriptionhistory_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptionhistory",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["paid", "gift", "trial", "admin_grant"])),
                name="subscriptionhistory_source_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptionhistory",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("starts_at"))),
                name="subscriptionhistory_ends_after_start",
                violation_error_message="A subscription ends after it starts.",
            ),
        ),
    ]
