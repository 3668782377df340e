import django.db.models.deletion
from django.db import migrations, models

import smetabot.postgres.deletion


class Migration(migrations.Migration):
    """Which cycle counted a referral and which gift a cycle gave: with these, neither can happen twice."""

    dependencies = [
        ("billing", "0005_payment_reference"),
        ("referrals", "0002_progress_view"),
    ]

    operations = [
        migrations.AddField(
            model_name="referral",
            name="cycle",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="counted",
                to="referrals.referralcycle",
                verbose_name="counted in",
            ),
        ),
        migrations.AddField(
            model_name="referralcycle",
            name="gift",
            field=models.OneToOneField(
                editable=False,
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="referral_cycle",
                to="billing.gift",
            ),
        ),
    ]
