from django.db import migrations

from smetabot.postgres.migrations import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0002_live"),
    ]

    operations = [
        AppendOnly("SubscriptionHistory", goes_with="contractor"),
    ]
