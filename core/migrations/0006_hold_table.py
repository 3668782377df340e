from django.db import migrations

from smetabot.postgres.migrations import CreateFunction


class Migration(migrations.Migration):
    """Who makes partitions holds the tables that they refer to, without a right to write them: see
    smetabot.postgres.partitions.lock."""

    dependencies = [
        ("core", "0005_trigrams"),
    ]

    operations = [
        CreateFunction(
            "core.hold_table(name regclass, mode text)",
            """
            RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                IF mode NOT IN ('SHARE ROW EXCLUSIVE', 'ACCESS EXCLUSIVE') OR NOT EXISTS (
                    SELECT FROM pg_constraint
                    WHERE contype = 'f' AND confrelid = name AND connamespace = 'analytics'::regnamespace
                ) THEN
                    RAISE EXCEPTION '% is not held in the mode %', name, mode USING ERRCODE = 'insufficient_privilege';
                END IF;
                EXECUTE format('LOCK TABLE ONLY %s IN %s MODE', name, mode);
            END
            $$
            """,
        ),
        migrations.RunSQL("REVOKE EXECUTE ON FUNCTION core.hold_table FROM PUBLIC", migrations.RunSQL.noop),
    ]
