from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0004_grace"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriptionhistory",
            name="payment_reference",
            field=models.CharField(null=True),
        ),
        migrations.AddConstraint(
            model_name="subscriptionhistory",
            constraint=models.UniqueConstraint(
                fields=("payment_reference",), name="subscription_history_payment_counts_once"
            ),
        ),
    ]
