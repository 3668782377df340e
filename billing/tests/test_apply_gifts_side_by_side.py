"""Runs beside each other, beside the bot and under faults: real processes on a real database."""

import json
import time
from collections import Counter

import pytest
from django.db import connection

from adminlog.models import JobRun
from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Gift, Plan, Subscription, SubscriptionHistory
from core.factories import ContractorFactory
from core.models import Contractor

pytestmark = pytest.mark.django_db(transaction=True)

TERMS = ("contractor", "plan", "status", "source", "starts_at", "expires_at")


def counts(process):
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


def two_gifts_each(contractors):
    plan = Plan.objects.get(code="PRO")
    made = Contractor.objects.bulk_create([Contractor(tg_user_id=n) for n in range(contractors)])
    Gift.objects.bulk_create([Gift(contractor=who, plan=plan, reason="admin_grant") for who in made for _ in range(2)])
    return made


def assert_each_has_exactly_one(contractors):
    applied = Gift.objects.exclude(applied_at=None).values_list("contractor", flat=True)
    assert Counter(applied) == {contractor.pk: 1 for contractor in contractors}
    assert set(Gift.objects.exclude(applied_at=None).values_list("pk", flat=True)) == set(
        SubscriptionHistory.objects.values_list("gift", flat=True)
    )
    assert sorted(SubscriptionHistory.objects.values_list(*TERMS)) == sorted(Subscription.objects.values_list(*TERMS))


def pay(database, contractor):
    """The paid webhook's upsert: BUSINESS for a year."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO billing.subscriptions (contractor_id, plan_id, status, source, starts_at, expires_at)
            SELECT %s, id, 'active', 'paid', now(), now() + interval '1 year' FROM billing.plans WHERE code = 'BUSINESS'
            ON CONFLICT (contractor_id) DO UPDATE SET plan_id = excluded.plan_id, status = excluded.status,
                source = excluded.source, starts_at = excluded.starts_at, expires_at = excluded.expires_at
            """,
            [contractor.pk],
        )


def test_six_runs_at_once_give_each_contractor_one_gift(manage):
    contractors = two_gifts_each(300)
    runs = [manage("apply_gifts", "--json", "--batch-size", "7") for _ in range(6)]
    results = [counts(run) for run in runs]
    assert sum(result["applied"] for result in results) == 300
    assert all(result["waiting"] == 300 for result in results)
    assert_each_has_exactly_one(contractors)


def test_runs_killed_at_any_moment_lose_nothing_and_give_nothing_twice(manage):
    contractors = two_gifts_each(200)
    for share in range(1, 5):
        run = manage("apply_gifts", "--batch-size", "3")
        while Gift.objects.exclude(applied_at=None).count() < share * 30:
            assert run.poll() is None, run.communicate()
        run.kill()
        run.wait()
        assert Gift.objects.pending().count() > 200
    assert counts(manage("apply_gifts", "--json"))["waiting"] == 200
    assert_each_has_exactly_one(contractors)


def test_runs_at_once_set_apart_only_the_gift_that_is_refused(manage):
    contractors = two_gifts_each(300)
    bad = contractors[150]
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE billing.subscriptions ADD CONSTRAINT not_for_them CHECK (contractor_id <> {bad.pk})"
        )
    try:
        runs = [manage("apply_gifts", "--json", "--batch-size", "100") for _ in range(6)]
        results = [run.communicate(timeout=60) for run in runs]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE billing.subscriptions DROP CONSTRAINT not_for_them")
    assert {line for _, err in results for line in err.splitlines() if line.startswith("contractor")} == {
        f"contractor {bad.pk}, gift {Gift.objects.filter(contractor=bad).earliest('pk').pk}: "
        'new row for relation "subscriptions" violates check constraint "not_for_them"'
    }
    assert sum(json.loads(out)["applied"] for out, _ in results) == 299
    assert_each_has_exactly_one([contractor for contractor in contractors if contractor != bad])


def test_a_killed_run_shows_as_unfinished(manage, colleague, wait_for_lock):
    contractor = GiftFactory().contractor
    pay(colleague, contractor)
    run = manage("apply_gifts")
    wait_for_lock()
    run.kill()
    run.wait()
    assert list(JobRun.objects.values_list("command", "finished_at", "outcome")) == [("apply_gifts", None, None)]


@pytest.mark.parametrize("has_row", [True, False], ids=["over a free row", "over no row"])
def test_a_webhook_that_commits_during_the_run_keeps_what_was_paid(manage, colleague, has_row, wait_for_lock):
    gift = GiftFactory()
    if has_row:
        SubscriptionFactory(contractor=gift.contractor)
    other = GiftFactory()
    pay(colleague, gift.contractor)
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == {"applied": 1, "waiting": 1, "blocked": 0, "failed": 0}
    paid = Subscription.objects.get(contractor=gift.contractor)
    assert (paid.plan.code, paid.source) == ("BUSINESS", "paid")
    assert list(Gift.objects.pending()) == [gift]
    assert SubscriptionHistory.objects.get().contractor == other.contractor


def test_a_webhook_that_rolls_back_during_the_run_leaves_the_gift_due(manage, colleague, wait_for_lock):
    gift = GiftFactory()
    pay(colleague, gift.contractor)
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    colleague.rollback()
    assert counts(run)["applied"] == 1


def test_a_transaction_that_hangs_holds_up_its_own_contractor_only(manage, colleague):
    held, *others = GiftFactory.create_batch(4)
    pay(colleague, held.contractor)
    out, err = (run := manage("apply_gifts", "--json")).communicate(timeout=60)
    assert run.returncode == 1
    assert json.loads(out) == {"applied": 3, "waiting": 0, "blocked": 0, "failed": 1}
    assert f"contractor {held.contractor_id}, gift {held.pk}: canceling statement due to lock timeout" in err
    colleague.rollback()
    assert counts(manage("apply_gifts", "--json"))["applied"] == 1


def test_a_colleague_who_hangs_holds_up_the_run_for_seconds_and_not_for_each_contractor(manage, colleague):
    held, free = GiftFactory.create_batch(20), GiftFactory()
    with colleague.cursor() as cursor:
        cursor.execute(
            "SELECT FROM core.contractors WHERE id = ANY(%s) FOR UPDATE", [[gift.contractor_id for gift in held]]
        )
    out, err = (run := manage("apply_gifts", "--json")).communicate(timeout=30)
    assert (run.returncode, json.loads(out)["applied"], json.loads(out)["failed"]) == (1, 1, 20)
    assert err.count("canceling statement due to lock timeout") == 20
    assert Gift.objects.exclude(applied_at=None).get() == free


@pytest.mark.parametrize(
    "change", ["DELETE FROM billing.gifts_queue", "UPDATE billing.gifts_queue SET withdrawn_at = now()"]
)
def test_a_gift_that_plain_sql_takes_away_meanwhile_leaves_no_trace(manage, colleague, wait_for_lock, change):
    gift = GiftFactory()
    with colleague.cursor() as cursor:
        cursor.execute(change)
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run)["applied"] == 0
    assert not Subscription.objects.filter(contractor=gift.contractor_id).exists()
    assert not SubscriptionHistory.objects.exists()


def test_the_next_gift_is_applied_when_plain_sql_takes_the_oldest_away(manage, colleague, wait_for_lock):
    oldest = GiftFactory()
    next_one = GiftFactory(contractor=oldest.contractor)
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE billing.gifts_queue SET withdrawn_at = now() WHERE id = %s", [oldest.pk])
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run)["applied"] == 1
    assert SubscriptionHistory.objects.get().gift == next_one


def test_a_run_waits_at_its_end_for_a_contractor_that_a_colleague_holds(manage, colleague, wait_for_lock):
    held, other = GiftFactory.create_batch(2)
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE core.contractors SET full_name = 'x' WHERE id = %s", [held.contractor_id])
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    assert not Gift.objects.pending().filter(pk=other.pk).exists()
    colleague.commit()
    assert counts(run)["applied"] == 2


def test_a_contractor_blocked_meanwhile_keeps_the_gift_in_the_queue(manage, colleague, wait_for_lock):
    gift = GiftFactory()
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE core.contractors SET status = 'blocked' WHERE id = %s", [gift.contractor_id])
    run = manage("apply_gifts", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == {"applied": 0, "waiting": 0, "blocked": 1, "failed": 0}


def test_a_lost_connection_is_made_again(manage, colleague, wait_for_lock):
    contractors = two_gifts_each(20)
    pay(colleague, ContractorFactory(tg_user_id=10_000))
    pay(colleague, contractors[0])
    run = manage("apply_gifts", "--json")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [wait_for_lock()])
    wait_for_lock()
    time.sleep(0.5)  # longer than one contractor alone would be waited for: the whole set is tried again
    colleague.rollback()
    assert counts(run)["applied"] == 20
    assert_each_has_exactly_one(contractors)
    assert JobRun.objects.get().outcome == "done"


def test_a_deadlock_with_the_bot_is_tried_again(manage, colleague, wait_for_lock):
    first, second = GiftFactory.create_batch(2)
    pay(colleague, second.contractor)
    # The run looks for a deadlock first, and not before the circle is closed, on a busy machine too.
    colleague.cursor().execute("SET deadlock_timeout = '30s'")
    run = manage("apply_gifts", "--json", PGOPTIONS="-c deadlock_timeout=1700")
    wait_for_lock()
    pay(colleague, first.contractor)  # the run holds it, and is sent back by PostgreSQL
    time.sleep(0.5)  # as above
    colleague.rollback()
    assert counts(run)["applied"] == 2


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_batch_size_that_is_no_number_of_contractors_is_refused(manage, size):
    out, err = (run := manage("apply_gifts", "--batch-size", size)).communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert f"'{size}' is not a whole number from 1" in err
