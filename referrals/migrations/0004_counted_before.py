from django.db import migrations

from smetabot.postgres.migrations import sql_beside


class Migration(migrations.Migration):
    dependencies = [
        ("referrals", "0003_counted_and_given"),
    ]

    operations = [
        # Going back, the columns go together with what is in them.
        migrations.RunSQL(sql_beside(__file__, "0004_counted_before.sql"), migrations.RunSQL.noop),
    ]
