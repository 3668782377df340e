"""What staff do to referrals, as they do it: on the page of each act."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.urls import reverse

from adminlog.columns import page_of
from adminlog.models import AdminAction
from adminlog.tests.form import do, look_ahead
from core.factories import ChannelFactory, ContractorFactory
from core.models import Contractor
from referrals.factories import ReferralCycleFactory, ReferralFactory
from referrals.models import Referral

pytestmark = pytest.mark.django_db


def attaching(contractor: Contractor) -> str:
    return reverse("admin:core_contractor_attach", args=[contractor.pk])


def detaching(referral: Referral) -> str:
    return reverse("admin:referrals_referral_detach", args=[referral.pk])


def test_a_missing_referral_is_attached_with_what_it_lacks_and_what_is_suspicious(anna):
    referrer, brought = ContractorFactory(full_name="Ivan"), ContractorFactory(full_name="Petr")
    ChannelFactory(contractor=brought)

    response = do(anna, attaching(referrer), referred=brought.pk)

    referral = Referral.objects.get()
    assert (referral.referrer, referral.referred_contractor) == (referrer, brought)
    assert [str(message) for message in get_messages(response.wsgi_request)] == [
        "Petr, brought by Ivan. Has 1 of 2 channels. Suspicious, look at both: made within 10 minutes."
    ]
    act = AdminAction.objects.get()
    assert (act.action, act.target_id) == ("referral.attached", referral.pk)
    assert act.contractors == sorted([referrer.pk, brought.pk])
    assert act.token and act.details.personal["reason"] == "asked for it"


def test_who_was_brought_already_is_refused_with_links_to_both(anna):
    referral = ReferralFactory()
    address = attaching(ContractorFactory())

    response = anna.post(address, {"referred": referral.referred_contractor_id, "step": "preview"})

    for contractor in (referral.referred_contractor, referral.referrer):
        assert f'href="{page_of(contractor)}"' in response.content.decode()
    assert look_ahead(anna, address, referred=referral.referred_contractor_id)["confirmation"] == ""


def test_a_circle_is_refused(anna):
    referral = ReferralFactory()
    response = anna.post(attaching(referral.referred_contractor), {"referred": referral.referrer_id, "step": "preview"})
    assert "it would be a circle" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_who_close_a_circle_at_the_same_moment_do_not_hang_each_other(anna):
    ivan, petr = ContractorFactory.create_batch(2)
    pairs = [(ivan, petr), (petr, ivan)]
    forms = [look_ahead(anna, attaching(referrer), referred=brought.pk) for referrer, brought in pairs]
    start = Barrier(2)

    def confirm(number: int) -> int:
        try:
            start.wait(10)
            form = forms[number] | {"reason": "at once", "step": "confirm"}
            return anna.post(attaching(pairs[number][0]), form).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        assert sorted(threads.map(confirm, range(2))) == [200, 302]
    assert Referral.objects.count() == AdminAction.objects.count() == 1


def test_a_detached_referral_is_gone_and_leads_to_the_list(anna):
    referral = ReferralFactory()
    contractors = sorted([referral.referrer_id, referral.referred_contractor_id])

    response = do(anna, detaching(referral) + f"?next={page_of(referral)}")

    assert response["Location"] == reverse("admin:referrals_referral_changelist")
    assert not Referral.objects.exists()
    act = AdminAction.objects.get()
    assert (act.action, act.target_id, act.contractors) == ("referral.detached", referral.pk, contractors)
    assert act.payload["before"]["referrer_id"] == referral.referrer_id


def test_what_a_cycle_counted_is_not_detached(anna):
    referral = ReferralFactory()
    cycle = ReferralCycleFactory(referrer=referral.referrer, qualified_refs_done=1)
    Referral.objects.update(cycle=cycle, qualified_at=cycle.created_at)

    assert detaching(referral) not in anna.get(page_of(referral)).content.decode()
    assert "What was counted stays." in do(anna, detaching(referral)).content.decode()
    assert Referral.objects.exists()
