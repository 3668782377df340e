from django.db import migrations

FUNCTIONS = ["admin.chain_action()", "admin.keep_an_owner()"]


class Migration(migrations.Migration):
    """Triggers that look at other rows do so by the owner's right, whatever whoever writes may read."""

    dependencies = [
        ("adminlog", "0010_alerts"),
    ]

    operations = [
        migrations.RunSQL(f"ALTER FUNCTION {name} SECURITY DEFINER", f"ALTER FUNCTION {name} SECURITY INVOKER")
        for name in FUNCTIONS
    ]
