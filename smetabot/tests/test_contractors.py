import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adminlog.models import AdminAction
from adminlog.tests.form import change
from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Subscription
from core.factories import ChannelFactory, ContractorFactory, InviteFactory
from core.models import Contractor
from referrals.factories import ReferralLinkFactory

pytestmark = pytest.mark.django_db
LIST = reverse("admin:core_contractor_changelist")
Status = Subscription.Status


def page(contractor: Contractor) -> str:
    return reverse("admin:core_contractor_change", args=[contractor.pk])


def listed(anna: Browser, **query: Any) -> list[Any]:
    return list(anna.get(LIST, query).context["cl"].result_list)


@pytest.mark.parametrize(
    ("status", "days_left", "plan", "state"),
    [
        (Status.ACTIVE, 5, "PRO", "Active"),
        (Status.ACTIVE, None, "PRO", "Active"),
        (Status.CANCELLED, 5, "PRO", "Cancelled, still on"),
        (Status.ACTIVE, -5, "FREE", "Ended, not expired yet"),
        (Status.CANCELLED, -5, "FREE", "Cancelled, over"),
        (Status.EXPIRED, 5, "FREE", "Expired"),
    ],
)
def test_the_plan_shown_is_the_effective_one_beside_the_subscriptions_state(anna, status, days_left, plan, state):
    now = timezone.now()
    contractor = SubscriptionFactory(
        code="PRO",
        status=status,
        starts_at=now - dt.timedelta(days=30),
        expires_at=days_left and now + dt.timedelta(days=days_left),
    ).contractor

    cells = labels(anna.get(LIST).content.decode().partition('id="result_list"')[2])
    assert cells == ["Active", plan, state]  # the first is the contractor's own
    assert anna.get(page(contractor)).context["header"].plan.code == plan


def labels(content: str) -> list[str]:
    """The texts of the coloured labels, in their order."""
    return re.findall(r"<span[^>]*whitespace-nowrap[^>]*>\s*([^<]*?)\s*</span>", content)


def test_contractors_are_listed_by_their_effective_plan(anna):
    over = {"status": Status.ACTIVE, "starts_at": timezone.now() - dt.timedelta(days=60), "days": 30}
    pro, business = SubscriptionFactory(pro=True).contractor, SubscriptionFactory(business=True).contractor
    free = {
        ContractorFactory(),
        SubscriptionFactory().contractor,
        SubscriptionFactory(code="PRO", **over).contractor,
        SubscriptionFactory(code="BUSINESS", expired=True).contractor,
    }

    assert listed(anna, plan="PRO") == [pro]
    assert listed(anna, plan="BUSINESS") == [business]
    assert set(listed(anna, plan="FREE")) == free


def test_a_filter_that_there_is_not_filters_nothing(anna):
    contractor = ContractorFactory()
    assert listed(anna, gifts="zzz") == listed(anna, plan="zzz") == [contractor]


def test_a_contractor_without_a_subscription_is_on_free(anna):
    contractor = ContractorFactory()
    assert [row.plan_code for row in listed(anna)] == ["FREE"]
    assert anna.get(page(contractor)).status_code == 200


def test_channels_and_waiting_gifts_are_counted_each_once(anna):
    contractor = ContractorFactory()
    ChannelFactory.create_batch(3, contractor=contractor)
    GiftFactory.create_batch(2, contractor=contractor)
    GiftFactory(contractor=contractor, applied_at=timezone.now())
    GiftFactory(contractor=contractor, withdrawn=True)

    [row] = listed(anna)

    assert (row.channels_count, row.gifts_waiting) == (3, 2)
    assert listed(anna, gifts="waiting") == [contractor]


def test_a_contractor_is_found_by_whatever_support_is_given(anna):
    ivan = ContractorFactory(username="ivan", full_name="Иван Петров", tg_user_id=123456789)
    channel = ChannelFactory(contractor=ivan, title="Дом у реки", username="dom_u_reki", tg_chat_id=-1001234567890)
    InviteFactory(channel=channel, token="Xk9_aa")
    ReferralLinkFactory(contractor=ivan, token="ref-Ivan")
    ReferralLinkFactory()
    InviteFactory()

    for term in (
        "@ivan",
        "ivan",
        "петров",
        "Иван Петров",
        "123456789",
        "-1001234567890",
        "у реки",
        "@dom_u_reki",
        "Xk9_aa",
        "ref-Ivan",
        str(ivan.pk),
    ):
        assert ivan in listed(anna, q=term), term
    assert listed(anna, q="123456789") == [ivan]
    assert listed(anna, q="12345678") == []
    assert listed(anna, q="xk9_AA") == []


def test_a_contractor_with_many_channels_is_found_once(anna):
    ivan = ContractorFactory()
    ChannelFactory.create_batch(3, contractor=ivan, title="Дом")
    assert listed(anna, q="дом") == [ivan]


def test_namesakes_are_told_apart_where_one_is_chosen(anna):
    ContractorFactory(full_name="Иван Петров", username="ivan", tg_user_id=123456789)
    ContractorFactory(full_name="Иван Петров", username=None, tg_user_id=None)
    choice = {"app_label": "billing", "model_name": "gift", "field_name": "contractor", "term": "Иван"}

    answer = anna.get(reverse("admin:autocomplete"), choice).json()["results"]

    assert [found["text"] for found in answer] == ["Иван Петров", "Иван Петров, @ivan, 123456789"]


def test_what_people_call_themselves_is_text_and_not_markup(anna):
    contractor = ContractorFactory(full_name="<script>1</script>", username="<b>2</b>")
    ChannelFactory(contractor=contractor, title="<i>3</i>")
    channels = reverse("admin:core_channel_changelist")
    for address in (LIST, page(contractor), channels, page(contractor) + "?q=<u>4</u>"):
        content = anna.get(address).content.decode()
        assert not [markup for markup in ("<script>1", "<b>2", "<i>3", "<u>4") if markup in content]


def test_correcting_a_name_is_journaled(anna):
    contractor = ContractorFactory(full_name="Иван", username="ivan")

    change(anna, page(contractor), full_name="Пётр", status="blocked", bonus_channels=7)

    contractor.refresh_from_db()
    assert (contractor.full_name, contractor.username) == ("Пётр", "ivan")
    assert (contractor.status, contractor.bonus_channels) == (Contractor.Status.ACTIVE, None)
    action = AdminAction.objects.get()
    assert (action.action, action.target_id) == ("contractor.changed", contractor.pk)
    assert action.details.personal == {"before": {"full_name": "Иван"}, "after": {"full_name": "Пётр"}}


@pytest.mark.parametrize("query", [{"p": 2}, {"plan": "FREE"}, {"plan": "PRO"}])
def test_a_list_page_reads_only_its_own_rows(anna, query):
    """The page's keys first: what is annotated and joined is computed for them alone, also on the last page."""
    ContractorFactory.create_batch(60)
    SubscriptionFactory(pro=True)
    with CaptureQueriesContext(connection) as captured:
        anna.get(LIST, query)
    [rows] = [query["sql"] for query in captured if "COALESCE" in query["sql"]]
    assert "OFFSET" not in rows
    assert " IN (" in rows
