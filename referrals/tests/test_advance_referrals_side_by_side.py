"""Runs beside each other, beside the bot and under faults: real processes on a real database."""

import datetime as dt
import json
import time
from collections import Counter

import pytest
from django.db import connection
from django.db.models import Count, F

from adminlog.models import JobRun
from billing.models import Gift
from core.models import Channel, Contractor
from referrals.factories import ReferralCycleFactory, ReferralFactory
from referrals.models import Referral, ReferralCycle

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def counts(process):
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


def results(qualified=0, cycles_completed=0, rewards_queued=0):
    return {"qualified": qualified, "cycles_completed": cycles_completed, "rewards_queued": rewards_queued}


def execute(database, sql, *params):
    with database.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.fixture
def at_once(manage, colleague):
    """So many runs that begin their work at one moment."""

    def start(count, *args):
        execute(colleague, "LOCK TABLE referrals.referrals")
        runs = [manage("advance_referrals", *args) for _ in range(count)]
        deadline = time.monotonic() + 30
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'referrals.referrals'::regclass AND NOT granted"
                )
                if cursor.fetchone() == (count,):
                    colleague.rollback()
                    return runs
                time.sleep(0.02)
        raise AssertionError("not all of them came so far")

    return start


def seven_each(referrers):
    """So many referrers, each of whom has brought seven contractors with two channels. Every other one has a first
    cycle, and what the second half brought has qualified long ago."""
    everyone = Contractor.objects.bulk_create([Contractor(tg_user_id=n) for n in range(8 * referrers)])
    made, brought = everyone[:referrers], everyone[referrers:]
    Channel.objects.bulk_create(
        [Channel(contractor=who, tg_chat_id=-2 * who.pk - n) for who in brought for n in (0, 1)]
    )
    Referral.objects.bulk_create(
        [
            Referral(
                referrer=made[n // 7],
                referred_contractor=who,
                qualified_at=LONG_AGO if n // 7 >= referrers / 2 else None,
            )
            for n, who in enumerate(brought)
        ]
    )
    ReferralCycle.objects.bulk_create([ReferralCycle(referrer=who, cycle_no=1) for who in made[::2]])
    return made


def assert_each_has_two_gifts_and_a_third_cycle(referrers):
    cycles = ReferralCycle.objects.annotate(counts=Count("counted")).order_by("referrer", "cycle_no")
    assert list(cycles.values_list("referrer", "cycle_no", "qualified_refs_done", "counts", "state")) == [
        (referrer.pk, *cycle)
        for referrer in referrers
        for cycle in [(1, 3, 3, "reward_queued"), (2, 3, 3, "reward_queued"), (3, 1, 1, "in_progress")]
    ]
    gifts = Gift.objects.filter(referral_cycle__referrer=F("contractor")).values_list("contractor", flat=True)
    assert Counter(gifts) == {referrer.pk: 2 for referrer in referrers}
    assert Gift.objects.count() == 2 * len(referrers)


def test_six_runs_at_once_count_each_referral_once(at_once):
    referrers = seven_each(120)
    runs = at_once(6, "--json", "--batch-size", "7")
    total = sum((Counter(counts(run)) for run in runs), Counter())
    assert total == results(qualified=420, cycles_completed=240, rewards_queued=240)
    assert_each_has_two_gifts_and_a_third_cycle(referrers)


def test_six_runs_at_once_count_it_once_also_where_no_constraint_would_refuse_a_second_time(at_once):
    """Into a cycle that is there and has room for two more."""
    for cycle in ReferralCycleFactory.create_batch(150):
        ReferralFactory(referrer=cycle.referrer, qualified_at=LONG_AGO)
    assert [counts(run) for run in at_once(6, "--json")] == [results()] * 6
    cycles = ReferralCycle.objects.annotate(counts=Count("counted")).values_list("qualified_refs_done", "counts")
    assert list(cycles) == [(1, 1)] * 150


def test_runs_killed_at_any_moment_lose_nothing_and_count_nothing_twice(manage):
    referrers = seven_each(120)
    for share in range(1, 5):
        run = manage("advance_referrals", "--batch-size", "2")
        while Gift.objects.count() < share * 40:
            assert run.poll() is None, run.communicate()
        run.kill()
        run.wait()
        assert Referral.objects.filter(cycle=None).exists()
    counts(manage("advance_referrals", "--json"))
    assert_each_has_two_gifts_and_a_third_cycle(referrers)
    assert counts(manage("advance_referrals", "--json")) == results()


def test_a_referral_that_goes_together_with_its_contractor_leaves_no_gap(manage, colleague, wait_for_lock):
    referrer = ReferralCycleFactory().referrer
    gone, *_ = ReferralFactory.create_batch(4, referrer=referrer, channels=2)
    execute(colleague, "DELETE FROM core.contractors WHERE id = %s", gone.referred_contractor_id)
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == results(3, 1, 1)
    assert ReferralCycle.objects.get().counted.count() == 3


def test_a_qualified_referral_that_goes_meanwhile_leaves_no_gap_either(manage, colleague, wait_for_lock):
    referrer = ReferralCycleFactory().referrer
    gone, *_ = ReferralFactory.create_batch(4, referrer=referrer, qualified_at=LONG_AGO)
    execute(colleague, "DELETE FROM referrals.referrals WHERE id = %s", gone.pk)
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == results(0, 1, 1)
    assert ReferralCycle.objects.get().counted.count() == 3


def test_a_deletion_that_is_rolled_back_leaves_the_referral_counted(manage, colleague, wait_for_lock):
    referral = ReferralFactory(channels=2)
    execute(colleague, "DELETE FROM core.contractors WHERE id = %s", referral.referred_contractor_id)
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.rollback()
    assert counts(run) == results(qualified=1)
    assert ReferralCycle.objects.get().qualified_refs_done == 1


def test_a_referrer_who_is_deleted_meanwhile_takes_all_of_it_along(manage, colleague, wait_for_lock):
    referrer = ReferralCycleFactory().referrer
    ReferralFactory.create_batch(3, referrer=referrer, channels=2)
    execute(colleague, "DELETE FROM core.contractors WHERE id = %s", referrer.pk)
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.commit()
    assert counts(run) == results()
    assert not ReferralCycle.objects.exists()
    assert not Gift.objects.exists()


@pytest.mark.parametrize("commits", [True, False])
def test_the_first_cycle_that_somebody_else_makes_meanwhile_is_the_one(manage, colleague, wait_for_lock, commits):
    referral = ReferralFactory(channels=2)
    execute(
        colleague,
        "INSERT INTO referrals.referral_cycles (referrer_id, cycle_no, qualified_refs_required) VALUES (%s, 1, 1)",
        referral.referrer_id,
    )
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.commit() if commits else colleague.rollback()
    assert counts(run) == (results(1, 1, 1) if commits else results(1))
    assert ReferralCycle.objects.get().counted.get() == referral


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("qualified_refs_required = 5", [(1, 4, 5, "in_progress")]),
        ("qualified_refs_required = 2", [(1, 2, 2, "reward_queued"), (2, 2, 3, "in_progress")]),
        ("state = 'reward_queued'", [(1, 0, 3, "reward_queued"), (2, 3, 3, "reward_queued"), (3, 1, 3, "in_progress")]),
    ],
)
def test_a_cycle_that_an_operator_changes_meanwhile_is_taken_as_changed(
    manage, colleague, wait_for_lock, change, expected
):
    referrer = ReferralCycleFactory().referrer
    ReferralFactory.create_batch(4, referrer=referrer, channels=2)
    execute(colleague, f"UPDATE referrals.referral_cycles SET {change}")
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    colleague.commit()
    counts(run)
    cycles = ReferralCycle.objects.order_by("cycle_no")
    columns = ("cycle_no", "qualified_refs_done", "qualified_refs_required", "state")
    assert list(cycles.values_list(*columns)) == expected


def test_a_referral_that_arrives_during_a_run_is_counted_once(manage, colleague, wait_for_lock):
    referrer = ReferralCycleFactory().referrer
    ReferralFactory.create_batch(2, referrer=referrer, channels=2)
    execute(colleague, "UPDATE referrals.referral_cycles SET state = state")
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    ReferralFactory(referrer=referrer, channels=2)
    colleague.rollback()
    total = Counter(counts(run)) + Counter(counts(manage("advance_referrals", "--json")))
    assert total == results(3, 1, 1)
    assert ReferralCycle.objects.get().counted.count() == 3


def test_a_run_waits_at_its_end_for_a_referrer_that_a_colleague_holds(manage, colleague, wait_for_lock):
    held, other = ReferralFactory.create_batch(2, channels=2)
    execute(colleague, "UPDATE core.contractors SET status = 'blocked' WHERE id = %s", held.referrer_id)
    run = manage("advance_referrals", "--json")
    wait_for_lock()
    assert not Referral.objects.filter(pk=other.pk, cycle=None).exists()
    colleague.commit()
    assert counts(run) == results(qualified=2)


def test_a_transaction_that_hangs_holds_up_its_own_referrer_only(manage, colleague):
    held, *_ = ReferralFactory.create_batch(4, channels=2)
    execute(colleague, "DELETE FROM core.contractors WHERE id = %s", held.referred_contractor_id)
    out, err = (run := manage("advance_referrals", "--json")).communicate(timeout=60)
    assert (run.returncode, json.loads(out)) == (1, results(qualified=3))
    assert f"contractor {held.referrer_id}: canceling statement due to lock timeout\n" in err
    colleague.rollback()
    assert counts(manage("advance_referrals", "--json")) == results(qualified=1)


def test_a_colleague_who_hangs_holds_up_the_run_for_seconds_and_not_for_each_referrer(manage, colleague):
    held, free = ReferralFactory.create_batch(20, channels=2), ReferralFactory(channels=2)
    execute(
        colleague,
        "SELECT FROM core.contractors WHERE id = ANY(%s) FOR UPDATE",
        [referral.referrer_id for referral in held],
    )
    out, err = (run := manage("advance_referrals", "--json")).communicate(timeout=30)
    assert (run.returncode, json.loads(out)) == (1, results(qualified=1))
    assert err.count("canceling statement due to lock timeout") == 20
    assert Referral.objects.exclude(cycle=None).get() == free


def test_a_lost_connection_is_made_again(manage, colleague, wait_for_lock):
    referrers = seven_each(20)
    held = ReferralFactory(channels=2, referrer__tg_user_id=-1, referred_contractor__tg_user_id=-2)
    execute(colleague, "DELETE FROM core.contractors WHERE id = %s", held.referred_contractor_id)
    run = manage("advance_referrals", "--json")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [wait_for_lock()])
    wait_for_lock()
    time.sleep(0.5)  # longer than one referrer alone would be waited for: the whole set is tried again
    colleague.commit()
    assert counts(run) == results(70, 40, 40)
    assert_each_has_two_gifts_and_a_third_cycle(referrers)
    assert JobRun.objects.get().outcome == "done"


def test_a_deadlock_with_plain_sql_is_tried_again(manage, colleague, wait_for_lock):
    first, second = (ReferralCycleFactory().referrer for _ in range(2))
    for referrer in (first, second):
        ReferralFactory.create_batch(3, referrer=referrer, channels=2)
    execute(colleague, "UPDATE referrals.referral_cycles SET state = state WHERE referrer_id = %s", second.pk)
    # The run looks for a deadlock first, and not before the circle is closed, on a busy machine too.
    execute(colleague, "SET deadlock_timeout = '30s'")
    run = manage("advance_referrals", "--json", PGOPTIONS="-c deadlock_timeout=1700")
    wait_for_lock()
    # The run holds it, and is sent back by PostgreSQL.
    execute(colleague, "UPDATE core.contractors SET full_name = 'x' WHERE id = %s", first.pk)
    time.sleep(0.5)  # as above
    colleague.rollback()
    assert counts(run) == results(6, 2, 2)


def test_runs_at_once_set_apart_only_the_referrer_who_is_refused(at_once, manage):
    referrers = seven_each(60)
    bad = referrers[20]
    execute(
        connection, f"ALTER TABLE billing.gifts_queue ADD CONSTRAINT not_for_them CHECK (contractor_id <> {bad.pk})"
    )
    try:
        runs = at_once(4, "--json", "--batch-size", "20")
        ended = [run.communicate(timeout=60) for run in runs]
    finally:
        execute(connection, "ALTER TABLE billing.gifts_queue DROP CONSTRAINT not_for_them")
    assert {line for _, err in ended for line in err.splitlines() if line.startswith("contractor")} == {
        f'contractor {bad.pk}: new row for relation "gifts_queue" violates check constraint "not_for_them"'
    }
    assert sum((Counter(json.loads(out)) for out, _ in ended), Counter()) == results(29 * 7, 59 * 2, 59 * 2)
    assert not Referral.objects.filter(referrer=bad).exclude(cycle=None).exists()
    assert counts(manage("advance_referrals", "--json")) == results(7, 2, 2)
    assert_each_has_two_gifts_and_a_third_cycle(referrers)
