from django.db import migrations

from smetabot.postgres.partitioning import PartitionByMonth


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("analytics", "0003_names")]

    operations = [
        PartitionByMonth("Event", "created_at"),
        PartitionByMonth("ViewsDaily", "collected_at"),
    ]
