import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adminlog.columns import page_of
from core.factories import ContractorFactory
from core.models import Contractor
from referrals.cycles import advance_referrals
from referrals.factories import ReferralFactory
from referrals.models import Referral, ReferralCycle

pytestmark = pytest.mark.django_db

REFERRALS = reverse("admin:referrals_referral_changelist")
CYCLES = reverse("admin:referrals_referralcycle_changelist")


@pytest.fixture
def suspicious():
    return ReferralFactory(referrer__full_name="Anna", referred_contractor__full_name="anna")


@pytest.fixture
def harmless():
    joined = timezone.now() - dt.timedelta(days=1)
    referrer = ContractorFactory(full_name="Vera")
    Contractor.objects.filter(pk=referrer.pk).update(created_at=joined)
    return ReferralFactory(referrer=referrer, referred_contractor__full_name="Boris")


def test_the_list_says_why_a_referral_is_suspicious(anna, suspicious):
    assert "made within 10 minutes, same name" in anna.get(REFERRALS).content.decode()


def test_nothing_is_said_of_a_harmless_one(anna, harmless):
    page = anna.get(REFERRALS).content.decode()
    assert "made within" not in page
    assert "same name" not in page


def test_the_suspicious_ones_can_be_listed_by_themselves(anna, suspicious, harmless):
    page = anna.get(REFERRALS, {"suspicious": "yes"}).context["cl"]
    assert list(page.result_list) == [suspicious]


def test_a_referrals_page_says_what_is_suspicious_and_which_cycle_counted_it(anna, suspicious):
    cycle = counted(suspicious).cycle
    page = anna.get(page_of(suspicious)).content.decode()
    assert "made within 10 minutes, same name" in page
    assert page_of(cycle) in page


def test_the_list_links_to_the_cycle_that_counted_a_referral(anna, suspicious):
    cycle = counted(suspicious).cycle
    assert page_of(cycle) in anna.get(REFERRALS).content.decode()


def test_a_cycles_list_and_page_link_to_its_gift(anna):
    cycle = full_cycle()
    for address in (CYCLES, page_of(cycle)):
        assert page_of(cycle.gift) in anna.get(address).content.decode()


def test_a_cycles_page_shows_the_referrals_that_it_counted(anna, harmless):
    cycle = full_cycle()
    page = anna.get(page_of(cycle)).content.decode()
    assert all(page_of(referral.referred_contractor) in page for referral in cycle.counted.all())
    assert page_of(harmless.referred_contractor) not in page


@pytest.mark.parametrize("address", [REFERRALS, CYCLES])
def test_cycles_and_gifts_cost_a_list_no_queries_of_their_own(anna, address):
    full_cycle()
    with CaptureQueriesContext(connection) as one:
        anna.get(address)
    for _ in range(5):
        full_cycle()
    with CaptureQueriesContext(connection) as six:
        anna.get(address)
    assert len(six) == len(one)


def full_cycle():
    referrer = ContractorFactory()
    for referral in ReferralFactory.create_batch(3, referrer=referrer, channels=2):
        counted(referral)
    return ReferralCycle.objects.get(referrer=referrer)


def counted(referral):
    Referral.objects.filter(pk=referral.pk).update(qualified_at=timezone.now())
    advance_referrals(now=timezone.now())
    return Referral.objects.get(pk=referral.pk)
