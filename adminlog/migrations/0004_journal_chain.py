from django.db import migrations, models

from smetabot.postgres.migrations import CreateFunction, sql_beside


class Migration(migrations.Migration):
    """Each row of the journal is chained to the row before, those that stand already in the order of their ids."""

    dependencies = [
        ("adminlog", "0003_journal_columns"),
    ]

    operations = [
        CreateFunction("admin.details_hash(salt uuid, personal jsonb)", sql_beside(__file__, "0004_details_hash.sql")),
        CreateFunction(
            "admin.action_hash(previous text, act admin.admin_actions)", sql_beside(__file__, "0004_action_hash.sql")
        ),
        CreateFunction("admin.chain_action()", sql_beside(__file__, "0004_chain_action.sql")),
        migrations.RunSQL(
            sql_beside(__file__, "0004_standing_rows.sql"), sql_beside(__file__, "0004_standing_rows_undone.sql")
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="seq",
            field=models.BigIntegerField(db_default=0, editable=False, unique=True),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="hash",
            field=models.CharField(db_default="", editable=False),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="admin_role",
            field=models.CharField(db_default=""),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER chained BEFORE INSERT ON admin.admin_actions "
            "FOR EACH ROW EXECUTE FUNCTION admin.chain_action()",
            "DROP TRIGGER chained ON admin.admin_actions",
        ),
    ]
