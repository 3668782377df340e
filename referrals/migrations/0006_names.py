from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_names"),
        ("core", "0003_names"),
        ("referrals", "0005_counted_by_own_referrer"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="referral",
            options={"verbose_name": "referral", "verbose_name_plural": "referrals"},
        ),
        migrations.AlterModelOptions(
            name="referralcycle",
            options={"verbose_name": "referral cycle", "verbose_name_plural": "referral cycles"},
        ),
        migrations.AlterModelOptions(
            name="referrallink",
            options={"verbose_name": "referral link", "verbose_name_plural": "referral links"},
        ),
        migrations.AlterModelOptions(
            name="referralprogress",
            options={"managed": False, "verbose_name": "referral progress", "verbose_name_plural": "referral progress"},
        ),
        migrations.AlterField(
            model_name="referral",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="referral",
            name="qualified_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="qualified at"),
        ),
        migrations.AlterField(
            model_name="referral",
            name="referred_contractor",
            field=models.OneToOneField(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="referred_by",
                to="core.contractor",
                verbose_name="referred contractor",
            ),
        ),
        migrations.AlterField(
            model_name="referral",
            name="referrer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="referrals_made",
                to="core.contractor",
                verbose_name="referrer",
            ),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="completed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="completed at"),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="cycle_no",
            field=models.IntegerField(verbose_name="cycle no"),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="gift",
            field=models.OneToOneField(
                editable=False,
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="referral_cycle",
                to="billing.gift",
                verbose_name="gift",
            ),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="qualified_refs_done",
            field=models.IntegerField(db_default=0, verbose_name="qualified refs done"),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="qualified_refs_required",
            field=models.IntegerField(db_default=3, verbose_name="qualified refs required"),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="referrer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="referral_cycles",
                to="core.contractor",
                verbose_name="referrer",
            ),
        ),
        migrations.AlterField(
            model_name="referralcycle",
            name="state",
            field=models.CharField(
                choices=[
                    ("in_progress", "In progress"),
                    ("completed", "Completed"),
                    ("reward_queued", "Reward queued"),
                ],
                db_default="in_progress",
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="referrallink",
            name="contractor",
            field=models.OneToOneField(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="referral_link",
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="referrallink",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="referrallink",
            name="token",
            field=models.CharField(unique=True, verbose_name="token"),
        ),
    ]
