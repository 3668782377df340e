import datetime as dt
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from adminlog.models import JobRun
from billing.factories import GiftFactory, SubscriptionFactory
from billing.gifts import apply_gifts
from billing.models import Gift, Subscription, SubscriptionHistory
from core.factories import ContractorFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def subscription_of(gift):
    return Subscription.objects.get(contractor=gift.contractor_id)


def is_applied(gift):
    gift.refresh_from_db()
    return gift.applied_at is not None


def test_a_gift_becomes_the_subscription_from_now_for_its_days():
    gift = GiftFactory(code="BUSINESS", days=14)
    SubscriptionFactory(contractor=gift.contractor)
    assert apply_gifts(now=NOW).applied == 1
    gift.refresh_from_db()
    found = Subscription.objects.values_list("plan__code", "status", "source", "starts_at", "expires_at").get()
    assert found == ("BUSINESS", "active", "gift", NOW, NOW + 14 * DAY)
    assert gift.applied_at == NOW


def test_one_history_row_says_the_same_and_names_the_gift():
    gift = GiftFactory()
    apply_gifts(now=NOW)
    terms = ("contractor", "plan", "status", "source", "starts_at", "expires_at")
    assert list(SubscriptionHistory.objects.values_list(*terms)) == list(Subscription.objects.values_list(*terms))
    assert SubscriptionHistory.objects.get().gift == gift


@pytest.mark.parametrize("reason", Gift.Reason)
def test_the_source_is_gift_whatever_the_reason(reason):
    gift = GiftFactory(reason=reason)
    apply_gifts(now=NOW)
    assert subscription_of(gift).source == "gift"


def test_a_contractor_without_a_subscription_row_gets_one():
    gift = GiftFactory()
    apply_gifts(now=NOW)
    assert subscription_of(gift).plan.code == "PRO"


def test_the_oldest_gift_is_applied_and_that_one_only():
    contractor = ContractorFactory()
    newer = GiftFactory(contractor=contractor, queued_at=NOW - DAY)
    oldest = GiftFactory(contractor=contractor, queued_at=NOW - 2 * DAY)
    run = apply_gifts(now=NOW)
    assert (run.applied, run.waiting) == (1, 1)
    assert (is_applied(oldest), is_applied(newer)) == (True, False)


def test_of_two_gifts_of_one_moment_the_lower_id_goes_first():
    contractor = ContractorFactory()
    first, second = GiftFactory.create_batch(2, contractor=contractor, queued_at=NOW)
    apply_gifts(now=NOW)
    assert (is_applied(first), is_applied(second)) == (True, False)


def test_the_next_gift_follows_when_the_first_has_run_out():
    contractor = ContractorFactory()
    GiftFactory.create_batch(2, contractor=contractor, days=30)
    applied = [apply_gifts(now=NOW + n * DAY).applied for n in (0, 29, 30)]
    assert applied == [1, 0, 1]


def test_a_second_gift_waits_also_when_the_first_gave_the_free_plan():
    contractor = ContractorFactory()
    GiftFactory.create_batch(2, contractor=contractor, code="FREE")
    assert apply_gifts(now=NOW, batch_size=1).applied == 1


@pytest.mark.parametrize(
    ("status", "code", "ends_in", "applied"),
    [
        ("active", "PRO", DAY, 0),
        ("active", "PRO", None, 0),
        ("trial", "BUSINESS", DAY, 0),
        ("grace", "PRO", DAY, 0),
        ("cancelled", "PRO", DAY, 0),
        ("cancelled", "PRO", None, 1),
        ("active", "PRO", dt.timedelta(0), 1),
        ("active", "PRO", -DAY, 1),
        ("grace", "PRO", -DAY, 1),
        ("expired", "PRO", DAY, 1),
        ("active", "FREE", None, 1),
    ],
)
def test_a_gift_waits_just_as_long_as_something_paid_is_live(status, code, ends_in, applied):
    gift = GiftFactory()
    SubscriptionFactory(
        contractor=gift.contractor,
        code=code,
        status=status,
        starts_at=NOW - 30 * DAY,
        expires_at=NOW + ends_in if ends_in is not None else None,
    )
    run = apply_gifts(now=NOW)
    assert (run.applied, run.waiting) == (applied, 1 - applied)


def test_a_blocked_contractors_gift_stays():
    gift = GiftFactory(contractor=ContractorFactory(blocked=True))
    run = apply_gifts(now=NOW)
    assert (run.applied, run.blocked) == (0, 1)
    assert not is_applied(gift)


def test_a_withdrawn_gift_is_no_longer_pending():
    GiftFactory(withdrawn=True)
    assert apply_gifts(now=NOW).applied == 0


def test_a_second_run_finds_nothing_to_do():
    GiftFactory.create_batch(3)
    assert [apply_gifts(now=NOW).applied for _ in range(2)] == [3, 0]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_the_batch_size_does_not_change_the_result(batch_size):
    GiftFactory.create_batch(5)
    assert apply_gifts(now=NOW, batch_size=batch_size).applied == 5


@pytest.fixture
def picky_database():
    """A trigger that refuses contractors by name, at the statement or, deferred, at the commit."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION billing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE who text;
            BEGIN
                SELECT full_name INTO who FROM core.contractors WHERE id = NEW.contractor_id;
                IF who = TG_ARGV[0] THEN RAISE EXCEPTION '% takes no gift', who; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON billing.subscriptions
                FOR EACH ROW EXECUTE FUNCTION billing.refuse('Proud');
            CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT OR UPDATE ON billing.subscriptions
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.refuse('Late');
        """)


@pytest.mark.parametrize("name", ["Proud", "Late"])
def test_one_refused_gift_is_named_and_holds_nobody_up(picky_database, name):
    before, bad, after = [GiftFactory(contractor=ContractorFactory(full_name=who)) for who in ("Anna", name, "Boris")]
    run = apply_gifts(now=NOW)
    assert [(r.contractor_id, r.gift_id, r.reason) for r in run.refused] == [
        (bad.contractor_id, bad.pk, f"{name} takes no gift")
    ]
    assert [is_applied(gift) for gift in (before, bad, after)] == [True, False, True]


def test_nothing_of_a_refused_gift_is_written(picky_database):
    bad = GiftFactory(contractor=ContractorFactory(full_name="Late"))
    apply_gifts(now=NOW)
    assert not Subscription.objects.exists()
    assert not SubscriptionHistory.objects.exists()
    assert not is_applied(bad)


def test_the_next_run_tries_a_refused_gift_again(picky_database):
    gift = GiftFactory(contractor=ContractorFactory(full_name="Proud"))
    apply_gifts(now=NOW)
    gift.contractor.full_name = "Humble"
    gift.contractor.save(update_fields=["full_name"])
    assert apply_gifts(now=NOW).applied == 1


def test_a_gift_of_more_days_than_time_has_is_set_apart():
    endless, good = GiftFactory(days=2**31 - 1), GiftFactory()
    run = apply_gifts(now=NOW)
    assert [refusal.gift_id for refusal in run.refused] == [endless.pk]
    assert is_applied(good)


def test_the_command_counts_in_json(capsys):
    GiftFactory()
    SubscriptionFactory(pro=True, contractor=GiftFactory().contractor)
    GiftFactory(contractor=ContractorFactory(blocked=True))
    call_command("apply_gifts", "--json")
    assert json.loads(capsys.readouterr().out) == {"applied": 1, "waiting": 1, "blocked": 1, "failed": 0}


def test_the_command_names_what_failed_on_stderr_and_fails(picky_database, capsys):
    gift = GiftFactory(contractor=ContractorFactory(full_name="Proud"))
    with pytest.raises(CommandError) as failed:
        call_command("apply_gifts", "--json")
    out, err = capsys.readouterr()
    assert failed.value.returncode == 1
    assert err == f"contractor {gift.contractor_id}, gift {gift.pk}: Proud takes no gift\n"
    assert json.loads(out)["failed"] == 1
    assert JobRun.objects.get().outcome == "failed"


def test_a_dry_run_counts_the_same_and_leaves_nothing(capsys):
    gift = GiftFactory()
    call_command("apply_gifts", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out)["applied"] == 1
    assert not is_applied(gift)
    assert not Subscription.objects.exists()
    assert not JobRun.objects.exists()


def test_the_clock_is_the_one_that_was_given():
    gift = GiftFactory(days=1)
    call_command("apply_gifts", "--now", "2026-01-31T12:00:00+03:00", "--json")
    assert subscription_of(gift).expires_at == NOW + DAY
    assert JobRun.objects.get().now == NOW


def test_without_a_given_clock_it_is_now():
    before = timezone.now()
    gift = GiftFactory()
    call_command("apply_gifts", "--json")
    assert before <= subscription_of(gift).starts_at <= timezone.now()
