import datetime as dt

import pytest
from django.utils import timezone

from core.factories import ChannelFactory
from core.models import Contractor
from referrals.cycles import advance_referrals
from referrals.factories import ReferralFactory
from referrals.models import Referral
from referrals.standing import standing

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)


def stands(referral: Referral) -> str:
    return str(standing(Referral.objects.get(pk=referral.pk)))


def test_a_referral_says_what_it_lacks_and_then_which_cycle_counted_it():
    referral = ReferralFactory(channels=1)
    assert stands(referral) == "Has 1 of 2 channels"

    ChannelFactory(contractor=referral.referred_contractor)
    assert stands(referral) == "Qualifies at the next run"

    advance_referrals(now=NOW)
    assert stands(referral) == "Qualified, counted in cycle 1"


def test_who_is_blocked_does_not_qualify_and_says_so():
    referral = ReferralFactory(channels=2, referred_contractor__status=Contractor.Status.BLOCKED)
    assert stands(referral) == "Blocked, has 2 of 2 channels"
    advance_referrals(now=NOW)
    assert stands(referral) == "Blocked, has 2 of 2 channels"


def test_who_qualified_once_stays_so():
    referral = ReferralFactory()
    Referral.objects.filter(pk=referral.pk).update(qualified_at=timezone.now())
    assert stands(referral) == "Qualified, counted at the next run"
