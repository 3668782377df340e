import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_payment_reference"),
        ("core", "0003_names"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="gift",
            options={"verbose_name": "gift", "verbose_name_plural": "gifts"},
        ),
        migrations.AlterModelOptions(
            name="plan",
            options={"verbose_name": "plan", "verbose_name_plural": "plans"},
        ),
        migrations.AlterModelOptions(
            name="subscription",
            options={"verbose_name": "subscription", "verbose_name_plural": "subscriptions"},
        ),
        migrations.AlterModelOptions(
            name="subscriptionhistory",
            options={"verbose_name": "subscription history", "verbose_name_plural": "subscription history"},
        ),
        migrations.AlterModelOptions(
            name="usagecounter",
            options={"verbose_name": "usage counter", "verbose_name_plural": "usage counters"},
        ),
        migrations.AlterField(
            model_name="gift",
            name="applied_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="applied at"),
        ),
        migrations.AlterField(
            model_name="gift",
            name="contractor",
            field=models.ForeignKey(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="gifts",
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="gift",
            name="days",
            field=models.IntegerField(
                db_default=30, validators=[django.core.validators.MaxValueValidator(3650)], verbose_name="days"
            ),
        ),
        migrations.AlterField(
            model_name="gift",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan", verbose_name="plan"
            ),
        ),
        migrations.AlterField(
            model_name="gift",
            name="queued_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="queued at"
            ),
        ),
        migrations.AlterField(
            model_name="gift",
            name="reason",
            field=models.CharField(
                choices=[("referral_reward", "Referral reward"), ("admin_grant", "Admin grant")], verbose_name="reason"
            ),
        ),
        migrations.AlterField(
            model_name="gift",
            name="withdrawn_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="withdrawn at"),
        ),
        migrations.AlterField(
            model_name="plan",
            name="channels_limit_one_off",
            field=models.IntegerField(
                blank=True,
                help_text="Channels a contractor may make in a lifetime; empty: as many as they like.",
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="channels limit one off",
            ),
        ),
        migrations.AlterField(
            model_name="plan",
            name="code",
            field=models.CharField(
                choices=[("FREE", "Free"), ("PRO", "Pro"), ("BUSINESS", "Business")], unique=True, verbose_name="code"
            ),
        ),
        migrations.AlterField(
            model_name="plan",
            name="features",
            field=models.JSONField(blank=True, db_default={}, verbose_name="features"),
        ),
        migrations.AlterField(
            model_name="plan",
            name="name",
            field=models.CharField(verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="plan",
            name="price_month",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                max_digits=10,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="price month",
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="contractor",
            field=models.OneToOneField(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="subscription",
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="paid_until",
            field=models.DateTimeField(editable=False, null=True, verbose_name="paid until"),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan", verbose_name="plan"
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="source",
            field=models.CharField(
                choices=[("paid", "Paid"), ("gift", "Gift"), ("trial", "Trial"), ("admin_grant", "Admin grant")],
                db_default="paid",
                verbose_name="source",
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="starts_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="starts at"),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="status",
            field=models.CharField(
                choices=[
                    ("active", "Active"),
                    ("trial", "Trial"),
                    ("grace", "Grace"),
                    ("expired", "Expired"),
                    ("cancelled", "Cancelled"),
                ],
                verbose_name="status",
            ),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="contractor",
            field=models.ForeignKey(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="subscription_history",
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="created_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="created at"),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="gift",
            field=models.OneToOneField(
                null=True,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="history",
                to="billing.gift",
                verbose_name="gift",
            ),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="paid_until",
            field=models.DateTimeField(editable=False, null=True, verbose_name="paid until"),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="payment_reference",
            field=models.CharField(null=True, verbose_name="payment reference"),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT, related_name="+", to="billing.plan", verbose_name="plan"
            ),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="source",
            field=models.CharField(
                choices=[("paid", "Paid"), ("gift", "Gift"), ("trial", "Trial"), ("admin_grant", "Admin grant")],
                verbose_name="source",
            ),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="starts_at",
            field=models.DateTimeField(null=True, verbose_name="starts at"),
        ),
        migrations.AlterField(
            model_name="subscriptionhistory",
            name="status",
            field=models.CharField(
                choices=[
                    ("active", "Active"),
                    ("trial", "Trial"),
                    ("grace", "Grace"),
                    ("expired", "Expired"),
                    ("cancelled", "Cancelled"),
                ],
                verbose_name="status",
            ),
        ),
        migrations.AlterField(
            model_name="usagecounter",
            name="channels_created_total",
            field=models.IntegerField(db_default=0, verbose_name="channels created total"),
        ),
        migrations.AlterField(
            model_name="usagecounter",
            name="contractor",
            field=models.OneToOneField(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                primary_key=True,
                related_name="usage",
                serialize=False,
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="usagecounter",
            name="last_channel_created_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="last channel created at"),
        ),
    ]
