import json

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adminlog.columns import page_of
from adminlog.models import AdminAction
from adminlog.tests.form import change
from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Plan

pytestmark = pytest.mark.django_db


def plan(code: str) -> Plan:
    return Plan.objects.get(code=code)


def edit(anna: Client, row: Plan, *, reason: str = "for a test", **values: object) -> HttpResponse:
    return change(anna, page_of(row), reason=reason, **values)


def test_gifts_are_listed_by_whether_they_wait(anna):
    gifts = {
        "waiting": GiftFactory(),
        "applied": GiftFactory(applied_at=timezone.now()),
        "withdrawn": GiftFactory(withdrawn=True),
    }
    for state, gift in gifts.items():
        page = anna.get(reverse("admin:billing_gift_changelist"), {"state": state})
        assert [row.pk for row in page.context["cl"].result_list] == [gift.pk]
        assert state in page.content.decode()


def test_a_plans_price_is_changed_and_its_code_is_not(anna):
    pro = plan("PRO")

    edit(anna, pro, price_month="690.00", code="FREE", reason="inflation")

    changed = Plan.objects.get(pk=pro.pk)
    assert (changed.code, str(changed.price_month)) == ("PRO", "690.00")
    action = AdminAction.objects.get()
    assert action.payload == {"before": {"price_month": "590.00"}, "after": {"price_month": "690.00"}}
    assert action.details.personal == {"reason": "inflation"}


def test_a_plan_is_not_changed_without_a_reason(anna):
    edit(anna, plan("PRO"), price_month="690.00", reason="")
    assert str(plan("PRO").price_month) == "590.00"


@pytest.mark.parametrize("column", ["price_month", "channels_limit_one_off"])
@pytest.mark.parametrize("value", ["-1", "NaN", "sNaN", "1e999", "\0"])
def test_prices_and_limits_are_numbers_from_0_up(anna, column, value):
    pro = plan("PRO")
    assert edit(anna, pro, **{column: value}).context["errors"]
    assert edit(anna, pro, **{column: "0"}).status_code == 302


@pytest.mark.parametrize(
    "features",
    [
        "",
        "[]",
        "null",
        "1",
        "{",
        '"x"',
        '{"crm": 1}',
        '{"can_sync": "yes"}',
        '{"can_edit_channel": null}',
        '{"team_size": 0}',
        '{"team_size": 1.5}',
        '{"team_size": true}',
    ],
)
def test_features_are_an_object_of_known_types(anna, features):
    assert edit(anna, plan("PRO"), features=features).context["errors"]


def test_features_not_known_yet_are_kept(anna):
    features = {"crm": True, "team_size": 9, "tenants": {"from": r"\u0000"}}
    edit(anna, plan("PRO"), features=json.dumps(features))
    assert plan("PRO").features == features


@pytest.mark.parametrize(
    "value",
    ["NaN", "-Infinity", "1e999", r'"\u0000"', r'"\ud800"', "9" * 5000, "[" * 200 + "]" * 200, "[" * 5000 + "]" * 5000],
)
def test_features_that_python_reads_and_postgresql_does_not_are_an_error_in_the_form(anna, value):
    response = edit(anna, plan("PRO"), features=f'{{"crm": false, "x": {value}}}')
    assert "Write JSON, without NaN" in response.content.decode()


def test_a_subscription_is_found_by_its_contractor(anna):
    subscription = SubscriptionFactory(contractor__username="ivan")
    SubscriptionFactory()
    for term in ("@ivan", str(subscription.contractor.tg_user_id)):
        page = anna.get(reverse("admin:billing_subscription_changelist"), {"q": term}).context["cl"]
        assert [row.pk for row in page.result_list] == [subscription.pk]


@pytest.mark.parametrize("features", ["[" * 500 + "]" * 500, '{"team_size": 1e5000}', f'{{"crm": {"9" * 400}.5}}'])
def test_features_that_python_cannot_read_break_no_page_and_can_be_mended(anna, features):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing.plans SET features = %s::jsonb", [features])
    contractor = SubscriptionFactory(plan=plan("PRO")).contractor
    for name, *args in (("billing_plan_changelist",), ("core_contractor_change", contractor.pk), ("index",)):
        assert anna.get(reverse(f"admin:{name}", args=args)).status_code == 200
    export = anna.post(reverse("admin:billing_plan_export"), {"format": "csv"})
    assert b"PRO" in b"".join(export.streaming_content)
    assert edit(anna, plan("PRO"), features='{"crm": true}').status_code == 302
    assert plan("PRO").features == {"crm": True}
