from django.db import migrations


class Migration(migrations.Migration):
    """A referral that was counted stays with the referrer whose cycle counted it; Django has no key of two columns."""

    dependencies = [
        ("referrals", "0004_counted_before"),
    ]

    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE referrals.referral_cycles
                ADD CONSTRAINT referral_cycles_id_referrer_unique UNIQUE (id, referrer_id);
            ALTER TABLE referrals.referrals
                ADD CONSTRAINT referrals_counted_by_own_referrer FOREIGN KEY (cycle_id, referrer_id)
                REFERENCES referrals.referral_cycles (id, referrer_id) DEFERRABLE INITIALLY DEFERRED
            """,
            """
            ALTER TABLE referrals.referrals DROP CONSTRAINT referrals_counted_by_own_referrer;
            ALTER TABLE referrals.referral_cycles DROP CONSTRAINT referral_cycles_id_referrer_unique
            """,
        ),
    ]
