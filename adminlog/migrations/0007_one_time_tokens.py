from django.db import migrations, models

from smetabot.postgres.migrations import ReplaceFunction, sql_beside


class Migration(migrations.Migration):
    """What was confirmed on one page is done once."""

    dependencies = [
        ("adminlog", "0006_last_owner"),
    ]

    operations = [
        migrations.AddField(
            model_name="adminaction",
            name="token",
            field=models.UUIDField(null=True),
        ),
        migrations.AddConstraint(
            model_name="adminaction",
            constraint=models.UniqueConstraint(fields=("token",), name="admin_actions_token_used_once"),
        ),
        ReplaceFunction(
            "admin.action_hash(previous text, act admin.admin_actions)",
            sql_beside(__file__, "0007_action_hash.sql"),
            previous=sql_beside(__file__, "0004_action_hash.sql"),
        ),
    ]
