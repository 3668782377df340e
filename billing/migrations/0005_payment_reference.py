from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0004_grace"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriptionhistory",
            name="payment_reference",
            field=models.CharField(null=True, unique=True),
        ),
    ]
