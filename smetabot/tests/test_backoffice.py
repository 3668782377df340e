"""What holds for every page of the admin, generated from the registry: a new page is covered as it is registered."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from factory.django import DjangoModelFactory

from adminlog.models import AdminAction, AdminUser, Note
from adminlog.tests.form import change, shown
from analytics.models import Event
from billing.models import Gift, Plan, SubscriptionHistory
from core.factories import ClientFactory, ContractorFactory, InviteFactory
from core.models import Channel, Client, Contractor, TeamMember

SCHEMAS = ["core", "billing", "analytics", "referrals", "adminlog"]
FACTORIES = {
    made._meta.model: made
    for schema in SCHEMAS
    for made in vars(import_module(f"{schema}.factories")).values()
    if isinstance(made, type) and issubclass(made, DjangoModelFactory) and made._meta.model
}
MAY = {
    AdminUser: {"add", "change"},
    Channel: {"change"},
    Contractor: {"change"},
    Note: {"add"},
    Plan: {"change"},
    TeamMember: {"add", "delete"},
}

pytestmark = pytest.mark.django_db
every_page = pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)


def row_of(model: type[Model]) -> Model:
    """A row with every parent that it can have."""
    if model is Plan:
        return Plan.objects.first()  # there are three, made by migrate
    parents: dict[Any, Any] = {
        AdminAction: lambda: {
            "told": True,
            "contractors": [1],
            "part_of": FACTORIES[AdminAction](told=True, action=f"act no {AdminAction.objects.count()}"),
        },
        AdminUser: lambda: {"login": User.objects.create(username=f"login {User.objects.count()}")},
        Client: lambda: {"invite": InviteFactory()},
        Event: lambda: {"client": ClientFactory()},
        Note: lambda: {"contractor_id": ContractorFactory().pk},
        SubscriptionHistory: lambda: {"gift": FACTORIES[Gift]()},
    }
    return FACTORIES[model](**parents.get(model, dict)())


def url(model: type[Model], view: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def queries(client: Browser, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def test_every_table_has_its_page_under_its_schemas_name(anna):
    tables = {model for schema in SCHEMAS for model in apps.get_app_config(schema).get_models() if model._meta.managed}
    with_page = set(admin.site._registry)

    # Inside their publication, inside their act, and what charts are drawn from.
    inside = {"ViewsDaily", "ActionDetails", "ChannelDaily", "DailyTotals"}
    assert {model.__name__ for model in tables - with_page} == inside
    assert {model._meta.app_label for model in with_page} == set(SCHEMAS)
    menu = anna.get(reverse("admin:index")).context["sidebar_navigation"]
    assert [group["title"] for group in menu] == ["Core", "Billing", "Analytics", "Referrals", "Admin"]
    assert menu[0]["items"][0]["title"] == "Contractors"


@every_page
def test_a_list_costs_as_many_queries_for_thirty_rows_as_for_one(anna, model):
    row_of(model)
    address = url(model, "changelist")
    one = queries(anna, address)
    for _ in range(30):
        row_of(model)

    assert queries(anna, address) == one
    # The journal asks for the people, acts and targets to choose from.
    assert one <= (9 if model is AdminAction else 7)


@every_page
def test_a_row_opens_and_nothing_is_allowed_that_is_not_named_here(anna, model):
    row = row_of(model)
    may = MAY.get(model, set())

    assert anna.get(url(model, "change", row.pk)).status_code == 200
    assert anna.get(url(model, "history", row.pk), follow=True).status_code == 200
    assert anna.get(url(model, "add")).status_code == (200 if "add" in may else 403)
    assert anna.get(url(model, "delete", row.pk)).status_code == (200 if "delete" in may else 403)
    if "change" not in may:
        assert anna.post(url(model, "change", row.pk), {}).status_code == 403
    if "delete" not in may:
        bulk = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
        anna.post(url(model, "changelist"), bulk)
        assert model.objects.filter(pk=row.pk).exists()


@every_page
def test_a_form_sent_back_as_it_came_changes_nothing(anna, model):
    row = row_of(model)
    before = model.objects.filter(pk=row.pk).values()[0]
    if "change" in MAY.get(model, set()):
        assert change(anna, url(model, "change", row.pk), reason="none").status_code == 302
    assert model.objects.filter(pk=row.pk).values()[0] == before
    assert not AdminAction.objects.filter(target_type=model._meta.label_lower).exists()


@pytest.mark.parametrize("lookup", ["views_daily", "views_daily__in", "views_daily__gt"])
def test_a_filter_by_what_has_two_keys_leads_back_to_the_list(anna, lookup):
    assert anna.get(reverse("admin:core_publication_changelist"), {lookup: 1}).status_code == 302


@pytest.mark.parametrize("lookup", ["username__range", "id__range", "full_name__regex"])
@pytest.mark.parametrize("value", ["(ab", "("])
def test_a_lookup_that_takes_other_values_leads_back_to_the_list(anna, lookup, value):
    assert anna.get(reverse("admin:core_contractor_changelist"), {lookup: value}).status_code == 302


def test_a_form_that_names_an_empty_key_is_one_that_names_none(anna):
    page = url(Contractor, "change", ContractorFactory().pk)
    assert anna.post(page, shown(anna.get(page)) | {"_to_field": ""}).status_code in (200, 302)


def test_a_search_that_finds_nothing_is_told_from_a_table_that_holds_nothing(anna):
    address = reverse("admin:adminlog_adminalert_changelist")
    for asked, says in [({}, "Nothing is here yet"), ({"q": "apply_gifts"}, "No results found")]:
        page = anna.get(address, asked).content.decode()
        assert (says in page, "Reset filters" in page) == (True, bool(asked))


@every_page
def test_each_filter_works(anna, model):
    row_of(model)
    page = anna.get(url(model, "changelist")).context["cl"]
    for spec in page.filter_specs:
        for choice in spec.choices(page):
            if "query_string" in choice:  # a form has none
                assert anna.get(url(model, "changelist") + choice["query_string"]).status_code == 200


@every_page
def test_a_list_is_not_ordered_by_what_no_index_carries(model):
    assert list(admin.site._registry[model].ordering) in (["-pk"], ["pk"])


@every_page
def test_a_filter_reads_no_table_for_its_choices(anna, model):
    with CaptureQueriesContext(connection) as captured:
        anna.get(url(model, "changelist"))
    assert not [query["sql"] for query in captured if "DISTINCT" in query["sql"]]


@every_page
def test_the_end_of_time_breaks_no_page(anna, model):
    row = row_of(model)
    moments = [field.column for field in model._meta.concrete_fields if field.get_internal_type() == "DateTimeField"]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # append-only tables refuse the change
        for column in set(moments) - {"starts_at", "resolved_at", "told_at"}:
            cursor.execute(
                f'UPDATE "{model._meta.db_table}" SET {column} = %s WHERE {model._meta.pk.column} = %s',
                ["9999-12-31 23:59:59Z", row.pk],
            )
    assert anna.get(url(model, "changelist")).status_code == 200
    assert anna.get(url(model, "change", row.pk)).status_code == 200
