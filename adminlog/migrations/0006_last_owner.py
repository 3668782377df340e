from django.db import migrations

from smetabot.postgres.migrations import CreateFunction


class Migration(migrations.Migration):
    """An office without an owner could not be given one by anybody in it."""

    dependencies = [
        ("adminlog", "0005_notes"),
    ]

    operations = [
        CreateFunction(
            "admin.keep_an_owner()",
            """
            RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                -- Two owners who switch each other off at once would each see the other still there.
                PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
                IF NOT EXISTS (
                    SELECT FROM admin.admin_users
                    WHERE role = 'owner' AND is_active AND login_id IS NOT NULL AND id <> OLD.id
                ) THEN
                    RAISE EXCEPTION 'the last active owner cannot be switched off, demoted or deleted'
                        USING ERRCODE = 'restrict_violation', HINT = 'Make somebody else an owner first.';
                END IF;
                RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
            END
            $$
            """,
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER an_owner_stays BEFORE UPDATE ON admin.admin_users FOR EACH ROW
            WHEN (
                OLD.role = 'owner' AND OLD.is_active AND OLD.login_id IS NOT NULL
                AND NOT (NEW.role = 'owner' AND NEW.is_active AND NEW.login_id IS NOT NULL)
            )
            EXECUTE FUNCTION admin.keep_an_owner();

            CREATE TRIGGER an_owner_is_not_deleted BEFORE DELETE ON admin.admin_users FOR EACH ROW
            WHEN (OLD.role = 'owner' AND OLD.is_active AND OLD.login_id IS NOT NULL)
            EXECUTE FUNCTION admin.keep_an_owner()
            """,
            """
            DROP TRIGGER an_owner_is_not_deleted ON admin.admin_users;
            DROP TRIGGER an_owner_stays ON admin.admin_users
            """,
        ),
    ]
