"""What staff do to gifts."""

import datetime as dt

import pytest
from django.core.exceptions import ValidationError

from billing.factories import GiftFactory
from billing.gifts import apply_gifts, queue_gift, withdraw_gift
from billing.models import Gift, Plan
from core.factories import ContractorFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)


def plan(code):
    return Plan.objects.get(code=code)


def test_a_queued_gift_is_pending_and_staffs():
    contractor = ContractorFactory()
    queue_gift(contractor=contractor.pk, plan=plan("BUSINESS"), days=14, now=NOW)
    gift = Gift.objects.pending().get()
    assert (gift.contractor, gift.plan.code, gift.days, gift.reason) == (contractor, "BUSINESS", 14, "admin_grant")
    assert gift.queued_at == NOW


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_gift_of_days_that_nobody_means_is_refused(days):
    with pytest.raises(ValidationError, match="at least one day long|less than or equal to 3650"):
        queue_gift(contractor=ContractorFactory().pk, plan=plan("PRO"), days=days, now=NOW)
    assert not Gift.objects.exists()


def test_a_gift_of_free_is_refused():
    with pytest.raises(ValidationError, match="everybody has FREE"):
        queue_gift(contractor=ContractorFactory().pk, plan=plan("FREE"), days=30, now=NOW)


def test_a_gift_for_nobody_is_refused():
    with pytest.raises(ValidationError, match="There is no contractor 1"):
        queue_gift(contractor=1, plan=plan("PRO"), days=30, now=NOW)


def test_a_withdrawn_gift_never_starts():
    gift = GiftFactory()
    withdraw_gift(gift=gift.pk, now=NOW)
    assert apply_gifts(now=NOW).applied == 0
    gift.refresh_from_db()
    assert (gift.withdrawn_at, gift.applied_at) == (NOW, None)


def test_a_gift_that_started_is_not_withdrawn():
    gift = GiftFactory()
    apply_gifts(now=NOW)
    with pytest.raises(ValidationError, match="Shorten the subscription instead"):
        withdraw_gift(gift=gift.pk, now=NOW)


def test_a_gift_is_withdrawn_once():
    gift = GiftFactory()
    withdraw_gift(gift=gift.pk, now=NOW)
    with pytest.raises(ValidationError, match="withdrawn already"):
        withdraw_gift(gift=gift.pk, now=NOW + dt.timedelta(days=1))
    gift.refresh_from_db()
    assert gift.withdrawn_at == NOW


def test_a_gift_that_is_not_there_is_refused():
    with pytest.raises(ValidationError, match="There is no gift 1"):
        withdraw_gift(gift=1, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_waits_for_a_run_that_is_starting_the_gift_and_is_refused(while_held):
    gift = GiftFactory()
    _, refusal = while_held(lambda: apply_gifts(now=NOW), lambda: withdraw_gift(gift=gift.pk, now=NOW))
    assert refusal.code == "applied"
    gift.refresh_from_db()
    assert (gift.applied_at, gift.withdrawn_at) == (NOW, None)
