from django.db import migrations, models

from smetabot.postgres.indexes import AddIndexBeside


class Migration(migrations.Migration):
    """The list of events is narrowed to a type or to days at once, however many events there are."""

    atomic = False

    dependencies = [("analytics", "0008_profile_listing")]

    operations = [
        AddIndexBeside("Event", models.Index(fields=["created_at"], name="idx_events_created")),
        AddIndexBeside("Event", models.Index(fields=["event_type", "created_at"], name="idx_events_type_created")),
    ]
