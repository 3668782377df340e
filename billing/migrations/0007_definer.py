from django.db import migrations


class Migration(migrations.Migration):
    """The trigger looks at the contractors by the owner's right, whoever writes."""

    dependencies = [
        ("billing", "0006_names"),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER FUNCTION billing.subscription_history_append_only() SECURITY DEFINER",
            "ALTER FUNCTION billing.subscription_history_append_only() SECURITY INVOKER",
        ),
    ]
