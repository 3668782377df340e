from django.db import migrations

from smetabot.postgres.migrations import CreateFunction, sql_beside


class Migration(migrations.Migration):
    """Triggers log whose publications or clients changed, whoever writes: aggregate_stats looks only at those."""

    dependencies = [("analytics", "0004_monthly_partitions")]

    operations = [
        CreateFunction("analytics.log_dirty_channels()", sql_beside(__file__, "0005_log_dirty_channels.sql")),
        migrations.RunSQL(
            sql_beside(__file__, "0005_dirty_channels.sql"), sql_beside(__file__, "0005_dirty_channels_undone.sql")
        ),
    ]
