"""What the contractor's page says of the plan's limits."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.factories import SubscriptionFactory
from billing.models import Plan
from core.factories import ContractorFactory

pytestmark = pytest.mark.django_db


def page(contractor):
    return reverse("admin:core_contractor_change", args=[contractor.pk])


def shown(anna, contractor):
    """How large the team may be, and what else the plan allows and does not."""
    _channels, team, allowed = anna.get(page(contractor)).context["header"].limits
    return team.value, allowed.value, allowed.detail


def test_a_contractor_on_free_is_shown_what_free_lacks(anna):
    assert shown(anna, ContractorFactory()) == ("1 of 1", "the basics", "not: editing, sync, CRM")


def test_a_contractor_on_business_is_shown_what_it_allows(anna):
    contractor = SubscriptionFactory(business=True).contractor
    assert shown(anna, contractor) == ("1 of 4", "editing, sync, CRM", "")


def test_a_plan_that_has_ended_allows_nothing_more(anna):
    contractor = SubscriptionFactory(code="BUSINESS", expired=True).contractor
    assert shown(anna, contractor)[:2] == ("1 of 1", "the basics")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"team_size": "<b>4"}, "team_size is a whole number from 1 up, not &quot;&lt;b&gt;4&quot;"),
        ([], "features is an object such as {&quot;crm&quot;: true}, not []"),
        (None, "features is an object such as {&quot;crm&quot;: true}, not null"),
    ],
)
def test_malformed_features_are_said_on_the_page(anna, features, message):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing.plans ALTER features DROP NOT NULL")
    Plan.objects.filter(code="FREE").update(features=features)
    response = anna.get(page(ContractorFactory()))
    assert response.status_code == 200
    assert message in response.content.decode()


def test_malformed_features_do_not_break_the_list(anna):
    Plan.objects.filter(code="FREE").update(features=[])
    ContractorFactory()
    assert anna.get(reverse("admin:core_contractor_changelist")).status_code == 200


def test_the_page_costs_as_many_queries_on_any_plan(anna):
    def queries(contractor):
        with CaptureQueriesContext(connection) as captured:
            anna.get(page(contractor))
        return len(captured)

    business = SubscriptionFactory(business=True).contractor
    free = SubscriptionFactory().contractor
    queries(free)  # Django remembers content types from here on
    assert queries(business) == queries(free)
