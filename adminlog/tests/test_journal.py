import datetime as dt
from decimal import Decimal

import pytest
from django.db import transaction

from adminlog import journal
from adminlog.factories import AdminUserFactory
from adminlog.models import AdminAction

pytestmark = pytest.mark.django_db


def test_an_act_names_who_what_and_the_row():
    anna, boris = AdminUserFactory(), AdminUserFactory()

    written = journal.record(
        admin=anna, action="admin_user.changed", target=boris, payload={"after": {"role": "owner"}}
    )

    written.refresh_from_db()
    assert (written.admin, written.action) == (anna, "admin_user.changed")
    assert (written.target_type, written.target_id) == ("adminlog.adminuser", boris.pk)
    assert written.payload == {"after": {"role": "owner"}}
    assert written.created_at


def test_an_act_may_have_neither_target_nor_payload():
    written = journal.record(admin=AdminUserFactory(), action="login.failed")
    written.refresh_from_db()
    assert (written.target_type, written.target_id, written.payload) == (None, None, None)


def test_a_payload_keeps_money_moments_and_russian():
    payload = {"price": Decimal("590.00"), "at": dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC), "name": "Профи"}
    written = journal.record(admin=AdminUserFactory(), action="plan.changed", payload=payload)
    written.refresh_from_db()
    assert written.payload == {"price": "590.00", "at": "9999-12-31T23:59:00Z", "name": "Профи"}


def test_the_journal_goes_with_the_transaction_of_the_act():
    anna = AdminUserFactory()
    with transaction.atomic():
        journal.record(admin=anna, action="gift.added")
        transaction.set_rollback(True)
    assert not AdminAction.objects.exists()
