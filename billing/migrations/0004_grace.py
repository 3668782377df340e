from django.db import migrations, models

from smetabot.postgres.migrations import CreateFunction


class Migration(migrations.Migration):
    """The bot, which renews a subscription without knowing of paid_until, must not leave an old one on it."""

    dependencies = [
        ("billing", "0003_history_append_only"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="paid_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="subscriptionhistory",
            name="paid_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("status__in", ["active", "trial", "grace"])),
                fields=["expires_at"],
                name="subscriptions_ending",
            ),
        ),
        CreateFunction(
            "billing.subscriptions_paid_until()",
            "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.paid_until := NULL; RETURN NEW; END'",
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER paid_until_is_of_what_ended BEFORE INSERT OR UPDATE ON billing.subscriptions FOR EACH ROW
            WHEN (NEW.paid_until IS NOT NULL AND NEW.status IN ('active', 'trial'))
            EXECUTE FUNCTION billing.subscriptions_paid_until();

            CREATE TRIGGER paid_until_is_of_these_terms BEFORE UPDATE ON billing.subscriptions FOR EACH ROW
            WHEN (
                NEW.paid_until = OLD.paid_until AND (
                    (NEW.plan_id, NEW.source, NEW.starts_at) <> (OLD.plan_id, OLD.source, OLD.starts_at)
                    OR NEW.expires_at IS NULL OR NEW.expires_at > OLD.expires_at
                )
            )
            EXECUTE FUNCTION billing.subscriptions_paid_until()
            """,
            """
            DROP TRIGGER paid_until_is_of_these_terms ON billing.subscriptions;
            DROP TRIGGER paid_until_is_of_what_ended ON billing.subscriptions
            """,
        ),
    ]
