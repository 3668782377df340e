from django.db import migrations

from smetabot.postgres.migrations import CreateView, sql_beside


class Migration(migrations.Migration):
    dependencies = [("analytics", "0007_readings")]

    operations = [CreateView("analytics.profile_listing", sql_beside(__file__, "0008_profile_listing.sql"))]
