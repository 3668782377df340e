"""Runs beside each other, beside the bot and under faults: real processes on a real database."""

import datetime as dt
import json
from collections import Counter

import pytest
from django.utils import timezone

from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Plan, Subscription, SubscriptionHistory
from core.models import Contractor

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


def counts(process):
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


def ended_for(contractors):
    plan, now = Plan.objects.get(code="PRO"), timezone.now()
    made = Contractor.objects.bulk_create([Contractor(tg_user_id=n) for n in range(contractors)])
    Subscription.objects.bulk_create(
        Subscription(contractor=who, plan=plan, status="active", starts_at=now - 30 * DAY, expires_at=now - DAY)
        for who in made
    )
    return made


def assert_each_ended_once(contractors):
    assert set(Subscription.objects.values_list("status", flat=True)) == {"grace"}
    rows = SubscriptionHistory.objects.values_list("contractor", "status")
    assert Counter(rows) == {(contractor.pk, "grace"): 1 for contractor in contractors}


def test_six_runs_at_once_end_each_subscription_once(manage):
    contractors = ended_for(300)
    runs = [manage("expire_subscriptions", "--json", "--batch-size", "7") for _ in range(6)]
    assert sum(counts(run)["grace"] for run in runs) == 300
    assert_each_ended_once(contractors)


def test_runs_killed_at_any_moment_lose_nothing_and_end_nothing_twice(manage):
    contractors = ended_for(200)
    for share in range(1, 5):
        run = manage("expire_subscriptions", "--batch-size", "3")
        while SubscriptionHistory.objects.count() < share * 30:
            assert run.poll() is None, run.communicate()
        run.kill()
        run.wait()
        assert Subscription.objects.filter(status="active").exists()
    counts(manage("expire_subscriptions", "--json"))
    assert_each_ended_once(contractors)


def test_a_renewal_that_commits_during_the_run_is_not_ended(manage, colleague, wait_for_lock):
    renewed, other = (contractor.pk for contractor in ended_for(2))
    with colleague.cursor() as cursor:
        cursor.execute(
            "UPDATE billing.subscriptions SET expires_at = now() + interval '30 days' WHERE contractor_id = %s",
            [renewed],
        )
    run = manage("expire_subscriptions", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == {"grace": 1, "expired": 0}
    assert Subscription.objects.get(contractor=renewed).status == "active"
    assert SubscriptionHistory.objects.get().contractor_id == other


def test_a_webhook_that_hangs_holds_up_its_own_contractor_only(manage, colleague):
    held, *others = ended_for(4)
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE billing.subscriptions SET source = 'paid' WHERE contractor_id = %s", [held.pk])
    out, err = (run := manage("expire_subscriptions", "--json")).communicate(timeout=60)
    assert (run.returncode, json.loads(out)) == (1, {"grace": 3, "expired": 0})
    assert f"contractor {held.pk}: canceling statement due to lock timeout" in err
    colleague.rollback()
    assert counts(manage("expire_subscriptions", "--json"))["grace"] == 1


def test_gifts_and_endings_at_once_agree_on_every_contractor(manage):
    contractors = ended_for(100)
    for contractor in contractors:
        GiftFactory(contractor=contractor)
    free = SubscriptionFactory()
    runs = [manage(job, "--batch-size", "3") for job in ("apply_gifts", "expire_subscriptions") * 2]
    for run in runs:
        assert run.wait(timeout=60) == 0
    for contractor in contractors:
        subscription = Subscription.objects.get(contractor=contractor)
        history = SubscriptionHistory.objects.filter(contractor=contractor).get()
        assert subscription.status == ("active" if subscription.source == "gift" else "grace")
        assert (history.status, history.source) == (subscription.status, subscription.source)
    free.refresh_from_db()
    assert free.status == "active"
