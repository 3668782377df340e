from django.db import migrations

from smetabot.postgres.migrations import sql_beside
from smetabot.postgres.partitioning import Holding


class Migration(migrations.Migration):
    """Triggers log whose publications or clients changed, whoever writes: aggregate_stats looks only at those.

    Killed between its end and the note that it was applied, it can be applied again.
    """

    atomic = False

    dependencies = [("analytics", "0004_monthly_partitions")]

    operations = [
        Holding(
            ["core.publications", "core.clients"],
            migrations.RunSQL(
                "CREATE OR REPLACE FUNCTION analytics.log_dirty_channels() "
                + sql_beside(__file__, "0005_log_dirty_channels.sql"),
                "DROP FUNCTION IF EXISTS analytics.log_dirty_channels()",
            ),
            migrations.RunSQL(
                sql_beside(__file__, "0005_dirty_channels.sql"), sql_beside(__file__, "0005_dirty_channels_undone.sql")
            ),
        ),
    ]
