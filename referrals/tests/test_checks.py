import pytest
from django.db import connection

from adminlog.checks import Finding
from billing.factories import GiftFactory
from core.factories import ContractorFactory
from referrals.checks import CHECKS
from referrals.factories import ReferralCycleFactory, ReferralFactory
from referrals.models import Referral, ReferralCycle

pytestmark = pytest.mark.django_db
State = ReferralCycle.State
CYCLES = "referrals.referral_cycles"


def findings():
    return [finding for check in CHECKS for finding in check.find()]


def cycle(*, done, counted, **columns):
    """With `counted` referrals that name it."""
    made = ReferralCycleFactory(qualified_refs_done=done, **columns)
    ReferralFactory.create_batch(counted, referrer=made.referrer, cycle=made)
    return made


def rewarded(**columns):
    made = cycle(done=3, counted=3, state=State.REWARD_QUEUED)
    made.gift = GiftFactory(**{"contractor": made.referrer, "reason": "referral_reward"} | columns)
    made.save()
    return made


# Counts


def test_a_cycle_that_counted_its_referrals_agrees():
    cycle(done=2, counted=2)
    assert findings() == []


def test_the_bots_first_cycle_agrees():
    ReferralCycleFactory()
    assert findings() == []


def test_a_cycle_below_its_counted_referrals_is_named_with_their_number():
    wrong = cycle(done=1, counted=2)
    cycle(done=2, counted=2)
    assert findings() == [Finding("cycle_count", CYCLES, wrong.pk, 2, 1)]


def test_a_cycle_stays_above_when_a_counted_contractor_is_deleted():
    made = cycle(done=2, counted=2)
    made.counted.first().referred_contractor.delete()
    assert Referral.objects.count() == 1
    assert findings() == []


def test_a_referral_that_no_cycle_counted_is_no_fault():
    ReferralFactory(referrer=ReferralCycleFactory().referrer)
    assert findings() == []


def test_a_full_cycle_in_progress_is_only_due():
    cycle(done=3, counted=3)
    assert findings() == []


def test_a_cycle_that_counted_more_than_it_requires_is_named_with_its_requirement():
    wrong = cycle(done=3, counted=4)
    assert Finding("cycle_requirement", CYCLES, wrong.pk, 3, 4) in findings()


def test_a_cycle_done_beyond_a_requirement_that_was_lowered_past_the_constraint_is_named():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE referrals.referral_cycles DROP CONSTRAINT referral_cycles_done_within_required")
    wrong = cycle(done=3, counted=0, qualified_refs_required=2)
    assert findings() == [Finding("cycle_requirement", CYCLES, wrong.pk, 2, 3)]


def test_a_requirement_of_its_own_is_what_a_cycle_is_held_to():
    cycle(done=5, counted=5, qualified_refs_required=5)
    assert findings() == []


# Gifts


def expected(made):
    return {"state": "reward_queued", "done": 3, "gift_of": made.referrer_id, "reason": "referral_reward"}


@pytest.mark.parametrize("state", [{}, {"withdrawn": True}, {"code": "BUSINESS"}])
def test_a_cycle_and_the_gift_that_it_gave_agree(state):
    rewarded(**state)
    assert findings() == []


@pytest.mark.parametrize("state", [State.COMPLETED, State.REWARD_QUEUED])
def test_a_finished_cycle_that_gave_nothing_is_named(state):
    wrong = cycle(done=3, counted=3, state=state)
    found = {"state": state.value, "done": 3, "gift_of": None, "reason": None}
    assert findings() == [Finding("cycle_gift", CYCLES, wrong.pk, expected(wrong), found)]


@pytest.mark.parametrize("state", [State.COMPLETED, State.IN_PROGRESS])
def test_a_cycle_that_gave_a_gift_has_it_queued(state):
    wrong = rewarded()
    ReferralCycle.objects.update(state=state)
    assert findings() == [
        Finding("cycle_gift", CYCLES, wrong.pk, expected(wrong), expected(wrong) | {"state": state.value})
    ]


def test_a_gift_that_no_referrals_earned_is_named():
    wrong = rewarded()
    ReferralCycle.objects.update(qualified_refs_done=0)
    wrong.counted.update(cycle=None)
    assert findings() == [Finding("cycle_gift", CYCLES, wrong.pk, expected(wrong), expected(wrong) | {"done": 0})]


def test_a_gift_to_somebody_else_is_named_at_its_cycle():
    other = ContractorFactory()
    wrong = rewarded(contractor=other)
    assert findings() == [
        Finding("cycle_gift", CYCLES, wrong.pk, expected(wrong), expected(wrong) | {"gift_of": other.pk})
    ]


def test_a_cycle_that_gave_a_gift_of_another_reason_is_named():
    wrong = rewarded(reason="admin_grant")
    assert findings() == [
        Finding("cycle_gift", CYCLES, wrong.pk, expected(wrong), expected(wrong) | {"reason": "admin_grant"})
    ]


def test_a_reward_that_no_cycle_gave_is_named():
    rewarded()
    gift = GiftFactory(reason="referral_reward")
    assert findings() == [Finding("gift_cycle", "billing.gifts_queue", gift.pk, {"cycle_of": gift.contractor_id}, None)]


def test_what_staff_granted_needs_no_cycle():
    GiftFactory(reason="admin_grant")
    assert findings() == []


def test_a_deleted_referrer_leaves_nothing_to_find():
    made = rewarded()
    made.counted.all().delete()
    made.referrer.delete()
    assert not ReferralCycle.objects.exists()
    assert findings() == []
