from django.db import migrations

from smetabot.postgres.migrations import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0001_tables"),
    ]

    operations = [
        AppendOnly("AdminAction"),
    ]
