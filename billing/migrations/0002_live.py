from django.db import migrations

from smetabot.postgres.migrations import CreateFunction


class Migration(migrations.Migration):
    """What is live is said once, for the bot's views, our commands and querysets. A plain SQL body is inlined, so an
    index on the columns still serves; never null, so that NOT is_live(…) means what it says."""

    dependencies = [
        ("billing", "0001_tables"),
    ]

    operations = [
        CreateFunction(
            "billing.is_live(status text, expires_at timestamptz, at timestamptz)",
            """
            RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN coalesce(
                status IN ('active', 'trial', 'grace', 'cancelled')
                    AND coalesce(expires_at > at, status <> 'cancelled'),
                false
            )
            """,
        ),
    ]
