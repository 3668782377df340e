import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from adminlog.tests.form import change
from billing.limits import Features
from billing.models import Plan
from billing.plans import PLANS

pytestmark = pytest.mark.django_db


def test_absent_keys_have_the_contracts_defaults():
    assert Features.read({}) == Features(can_edit_channel=False, can_sync=False, team_size=1, crm=False, others={})


def test_each_key_is_read():
    value = {"can_edit_channel": True, "can_sync": True, "team_size": 7, "crm": True}
    assert Features.read(value) == Features(can_edit_channel=True, can_sync=True, team_size=7, crm=True)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan["code"])
def test_what_a_plan_starts_with_is_read(plan):
    features = Features.read(plan["features"])
    assert {key: getattr(features, key) for key in plan["features"]} == plan["features"]


def test_unknown_keys_are_kept():
    assert Features.read({"crm": True, "tenants": {"max": [1, None]}}).others == {"tenants": {"max": [1, None]}}


def test_unknown_keys_are_kept_by_the_form_of_a_plan(anna):
    pro = Plan.objects.get(code="PRO")
    features = '{"crm": true, "tenants": 3}'
    change(anna, reverse("admin:billing_plan_change", args=[pro.pk]), features=features, reason="tenants move in")
    pro.refresh_from_db()
    assert pro.features == {"crm": True, "tenants": 3}


def test_an_unknown_key_may_have_any_name():
    assert Features.read({"others": 1, "self": 2}).others == {"others": 1, "self": 2}


@pytest.mark.parametrize("key", ["can_edit_channel", "can_sync", "crm"])
@pytest.mark.parametrize("value", [1, 0, None, "yes", [], {}])
def test_a_flag_is_true_or_false(key, value):
    with pytest.raises(ValidationError) as refused:
        Features.read({key: value})
    assert refused.value.messages == [f"{key} is true or false, not {json.dumps(value)}"]


@pytest.mark.parametrize("value", ["4", 0, -1, 1.5, 4.0, True, False, None, [4]])
def test_a_team_size_is_a_whole_number_from_1_up(value):
    with pytest.raises(ValidationError) as refused:
        Features.read({"team_size": value})
    assert refused.value.messages == [f"team_size is a whole number from 1 up, not {json.dumps(value)}"]


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_features_are_an_object(value):
    with pytest.raises(ValidationError) as refused:
        Features.read(value)
    assert refused.value.messages == [f'features is an object such as {{"crm": true}}, not {json.dumps(value)}']


def test_every_wrong_key_is_named():
    with pytest.raises(ValidationError) as refused:
        Features.read({"crm": 1, "team_size": 0, "can_sync": True})
    assert [message.partition(" ")[0] for message in refused.value.messages] == ["crm", "team_size"]


def test_the_form_of_a_plan_says_the_same(anna):
    pro = Plan.objects.get(code="PRO")
    page = reverse("admin:billing_plan_change", args=[pro.pk])
    response = change(anna, page, features='{"team_size": true}')
    assert response.context["adminform"].form.errors["features"] == ["team_size is a whole number from 1 up, not true"]
