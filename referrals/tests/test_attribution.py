import datetime as dt
import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Barrier, Event

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from core.factories import ContractorFactory
from core.models import Contractor
from referrals.attribution import attach, detach
from referrals.cycles import advance_referrals
from referrals.factories import ReferralCycleFactory, ReferralFactory
from referrals.models import Referral, ReferralCycle

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

on_one_connection = pytest.mark.django_db
on_several_connections = pytest.mark.django_db(transaction=True)


@contextmanager
def refused(code, *words):
    with pytest.raises(ValidationError) as error:
        yield
    assert error.value.code == code
    (message,) = error.value.messages
    assert all(word in message for word in words), message


@pytest.fixture
def aside(db):
    """Starts an act in a thread, on a connection of its own: a future."""

    def on_its_own_connection(act):
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as pool:
        yield lambda act: pool.submit(on_its_own_connection, act)


@pytest.fixture
def uncommitted(aside):
    """An act in a transaction that is open as long as the block."""

    @contextmanager
    def block(act, commits=True):
        done, over = Event(), Event()

        def within_transaction():
            with transaction.atomic():
                act()
                done.set()
                over.wait(timeout=30)
                transaction.set_rollback(not commits)

        holder = aside(within_transaction)
        try:
            assert done.wait(timeout=20)
            yield
        finally:
            over.set()
            holder.result(timeout=20)

    return block


def chain(*contractors):
    for referrer, referred in itertools.pairwise(contractors):
        ReferralFactory(referrer=referrer, referred_contractor=referred)


@on_one_connection
def test_attach_records_who_brought_whom_and_when():
    anna, boris = ContractorFactory.create_batch(2)
    referral = attach(referrer=anna.pk, referred=boris.pk, now=NOW)
    assert referral == Referral.objects.get()
    assert (referral.referrer, referral.referred_contractor, referral.created_at) == (anna, boris, NOW)
    assert (referral.qualified_at, referral.cycle) == (None, None)


@on_one_connection
def test_what_was_attached_counts_as_any_other():
    referral = ReferralFactory(channels=2)
    anna = ContractorFactory()
    detach(referral=referral.pk)
    attach(referrer=anna.pk, referred=referral.referred_contractor_id, now=NOW)
    assert advance_referrals(now=NOW).qualified == 1
    assert anna.referral_cycles.get().qualified_refs_done == 1


@on_one_connection
def test_nobody_brings_themselves():
    anna = ContractorFactory()
    with refused("oneself"):
        attach(referrer=anna.pk, referred=anna.pk, now=NOW)


@on_one_connection
def test_who_has_a_referrer_gets_no_other_and_staff_are_told_who_it_is():
    referral = ReferralFactory(referrer__full_name="Anna", referred_contractor__full_name="Boris")
    with refused("already_referred", "Boris", "Anna"):
        attach(referrer=ContractorFactory().pk, referred=referral.referred_contractor_id, now=NOW)


@on_one_connection
def test_the_same_pair_is_not_attached_twice():
    referral = ReferralFactory()
    with refused("already_referred"):
        attach(referrer=referral.referrer_id, referred=referral.referred_contractor_id, now=NOW)


@on_one_connection
@pytest.mark.parametrize("length", [2, 3, 4, 30])
def test_a_circle_of_any_length_is_refused(length):
    contractors = ContractorFactory.create_batch(length)
    chain(*contractors)
    first, last = contractors[0], contractors[-1]
    with refused("circle", str(first), str(last)):
        attach(referrer=last.pk, referred=first.pk, now=NOW)
    assert Referral.objects.count() == length - 1


@on_one_connection
def test_two_branches_of_one_tree_are_no_circle():
    root, left, right, leaf = ContractorFactory.create_batch(4)
    chain(root, left)
    chain(root, right)
    attach(referrer=left.pk, referred=leaf.pk, now=NOW)
    assert Referral.objects.count() == 3


@on_one_connection
def test_the_search_ends_also_on_a_circle_that_plain_sql_has_closed():
    circle = ContractorFactory.create_batch(3)
    chain(*circle, circle[0])
    attach(referrer=circle[0].pk, referred=ContractorFactory().pk, now=NOW)
    assert Referral.objects.count() == 4


@on_one_connection
@pytest.mark.parametrize("missing", [0, -1, 2**62])
@pytest.mark.parametrize("side", ["referrer", "referred"])
def test_who_is_not_there_is_neither_side_of_it(missing, side):
    ids = {"referrer": ContractorFactory().pk, "referred": ContractorFactory().pk} | {side: missing}
    with refused("not_found", str(missing)):
        attach(**ids, now=NOW)


@on_one_connection
def test_detach_removes_the_referral_and_says_which_it_was():
    referral = ReferralFactory()
    assert detach(referral=referral.pk) == referral
    assert not Referral.objects.exists()


@on_one_connection
def test_a_qualified_referral_that_no_cycle_counted_can_be_detached():
    detach(referral=ReferralFactory(qualified_at=NOW).pk)
    assert not Referral.objects.exists()


@on_one_connection
def test_what_was_counted_stays_and_staff_are_told_where():
    cycle = ReferralCycleFactory(cycle_no=4, referrer__full_name="Anna")
    referral = ReferralFactory(referrer=cycle.referrer, referred_contractor__full_name="Boris", channels=2)
    advance_referrals(now=NOW)
    with refused("counted", "Boris", "cycle 4", "Anna"):
        detach(referral=referral.pk)
    assert Referral.objects.exists()


@on_one_connection
def test_a_referral_that_is_not_there_is_not_detached():
    with refused("not_found", "0"):
        detach(referral=0)


@on_several_connections
@pytest.mark.parametrize("commits", [True, False])
def test_of_two_attaches_that_would_close_a_circle_together_one_wins(aside, uncommitted, wait_for_lock, commits):
    """The two have no contractor in common."""
    a, b, c, d = ContractorFactory.create_batch(4)
    chain(a, b)
    chain(c, d)
    with uncommitted(lambda: attach(referrer=b.pk, referred=c.pk, now=NOW), commits):
        other = aside(lambda: attach(referrer=d.pk, referred=a.pk, now=NOW))
        wait_for_lock()
    with refused("circle", str(a), str(d)) if commits else nullcontext():
        other.result(timeout=20)
    assert Referral.objects.count() == 3


@on_several_connections
def test_of_eight_attaches_at_once_that_are_a_circle_all_but_one_win(aside):
    circle = ContractorFactory.create_batch(8)
    start = Barrier(8)

    def join(referrer, referred):
        start.wait(timeout=20)
        attach(referrer=referrer.pk, referred=referred.pk, now=NOW)

    pairs = itertools.pairwise([*circle, circle[0]])
    joined = [aside(partial(join, *pair)) for pair in pairs]
    errors = [error for future in joined if (error := future.exception(timeout=20))]
    assert [error.code for error in errors] == ["circle"]
    assert Referral.objects.count() == 7


@on_several_connections
def test_of_two_attaches_of_one_contractor_one_wins(aside, uncommitted, wait_for_lock):
    anna, boris, vera = ContractorFactory.create_batch(3)
    with uncommitted(lambda: attach(referrer=anna.pk, referred=vera.pk, now=NOW)):
        other = aside(lambda: attach(referrer=boris.pk, referred=vera.pk, now=NOW))
        wait_for_lock()
    with refused("already_referred", str(vera), str(anna)):
        other.result(timeout=20)


@on_several_connections
@pytest.mark.parametrize("commits", [True, False])
def test_the_bots_referral_is_respected_also_when_it_comes_meanwhile(aside, colleague, wait_for_lock, commits):
    anna, boris, vera = ContractorFactory.create_batch(3)
    with colleague.cursor() as cursor:
        cursor.execute(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)", [anna.pk, vera.pk]
        )
    other = aside(lambda: attach(referrer=boris.pk, referred=vera.pk, now=NOW))
    wait_for_lock()
    colleague.commit() if commits else colleague.rollback()
    with refused("already_referred", str(vera), str(anna)) if commits else nullcontext():
        other.result(timeout=20)
    assert Referral.objects.get().referrer == (anna if commits else boris)


@on_several_connections
def test_who_is_deleted_meanwhile_is_not_there(aside, colleague, wait_for_lock):
    anna, boris = ContractorFactory.create_batch(2)
    with colleague.cursor() as cursor:
        cursor.execute("DELETE FROM core.contractors WHERE id = %s", [boris.pk])
    other = aside(lambda: attach(referrer=anna.pk, referred=boris.pk, now=NOW))
    wait_for_lock()
    colleague.commit()
    with refused("not_found", str(boris.pk)):
        other.result(timeout=20)


@on_several_connections
def test_a_detach_waits_for_a_run_that_is_counting_and_is_refused_then(aside, uncommitted, wait_for_lock):
    referral = ReferralFactory(channels=2)
    with uncommitted(lambda: advance_referrals(now=NOW)):
        other = aside(lambda: detach(referral=referral.pk))
        wait_for_lock()
    with refused("counted"):
        other.result(timeout=20)


@on_several_connections
def test_a_run_waits_for_a_detach_and_counts_nothing_then(aside, uncommitted, wait_for_lock):
    referral = ReferralFactory(channels=2)
    with uncommitted(lambda: detach(referral=referral.pk)):
        run = aside(lambda: advance_referrals(now=NOW))
        wait_for_lock()
    done = run.result(timeout=20)
    assert (done.qualified, done.refused) == (0, {})
    assert not ReferralCycle.objects.exists()


@on_several_connections
@pytest.mark.parametrize("gone", ["referrer_id", "referred_contractor_id"])
def test_a_referral_that_goes_with_a_contractor_meanwhile_is_not_there(aside, colleague, wait_for_lock, gone):
    referral = ReferralFactory()
    with colleague.cursor() as cursor:
        cursor.execute("DELETE FROM core.contractors WHERE id = %s", [getattr(referral, gone)])
    other = aside(lambda: detach(referral=referral.pk))
    wait_for_lock()
    colleague.commit()
    with refused("not_found", str(referral.pk)):
        other.result(timeout=20)


def suspicion(*, apart=60 * MINUTE, names=("Anna", "Boris")):
    """Of a pair that the bot recorded, made so far apart and of such names."""
    referrer, referred = (ContractorFactory(full_name=name) for name in names)
    Contractor.objects.filter(pk=referrer.pk).update(created_at=NOW)
    Contractor.objects.filter(pk=referred.pk).update(created_at=NOW + apart)
    ReferralFactory(referrer=referrer, referred_contractor=referred)
    return Referral.objects.with_suspicion().get(referrer=referrer).suspicion


@on_one_connection
@pytest.mark.parametrize(
    ("minutes", "reason"),
    [
        (0, "made within 10 minutes"),
        (10, "made within 10 minutes"),
        (-10, "made within 10 minutes"),
        (11, None),
        (-11, None),
    ],
)
def test_two_who_were_made_within_minutes_of_each_other_are_suspicious(minutes, reason):
    assert suspicion(apart=minutes * MINUTE) == reason


@on_one_connection
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("Иван Петров", " иван ПЕТРОВ "), "same name"),
        (("Иван Петров", "Иван Петровский"), None),
        ((" ", ""), None),
        ((None, None), None),
        (("Anna", None), None),
    ],
)
def test_two_of_one_name_are_suspicious_whatever_its_case_and_blanks(names, reason):
    assert suspicion(names=names) == reason


@on_one_connection
def test_both_reasons_are_named():
    assert suspicion(apart=MINUTE, names=("Anna", "anna")) == "made within 10 minutes, same name"


@on_one_connection
def test_a_suspicious_pair_is_attached_and_flagged():
    anna, other_anna = (ContractorFactory(full_name="Anna") for _ in range(2))
    Contractor.objects.filter(pk=anna.pk).update(created_at=NOW)
    assert attach(referrer=anna.pk, referred=other_anna.pk, now=NOW).suspicion == "same name"


@on_one_connection
def test_a_suspicious_referral_counts_as_any_other():
    ReferralFactory(channels=2)
    assert Referral.objects.with_suspicion().get().suspicion is not None
    assert advance_referrals(now=NOW).qualified == 1
