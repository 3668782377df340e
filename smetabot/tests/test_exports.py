"""Every list as a file; that of the journal in adminlog's own tests, who may in test_access."""

import csv
import io
import struct
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode

from adminlog.models import AdminAction, AdminUser
from billing.factories import SubscriptionFactory
from core.factories import ChannelFactory, ClientFactory
from core.models import Channel, Client, Contractor
from smetabot.tests.test_backoffice import every_page, row_of, url

pytestmark = pytest.mark.django_db


def ask(anna: Browser, model: Any, *chosen: Any, query: Any = (), **form: str) -> Any:
    return anna.post(f"{url(model, 'export')}?{urlencode(query)}", {"_selected_action": chosen, **form})


def in_csv(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def in_xlsx(response: Any) -> list[dict[str, Any]]:
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(response.streaming_content))).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "d", "b"}
    header, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


@every_page
def test_a_list_goes_out_whole_in_both_formats_and_no_row_costs_a_query_of_its_own(anna, model):
    costs = []
    for format, read in (("csv", in_csv), ("xlsx", in_xlsx)):
        row_of(model)
        there = model.objects.count()
        with CaptureQueriesContext(connection) as captured:
            rows = read(ask(anna, model, format=format))
        assert len(rows) == there
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_the_filters_the_search_and_the_order_of_the_list_are_in_force(anna):
    for username, blocked in (("ivan_1", True), ("ivan_3", True), ("ivan_2", True), ("ivan_4", False), ("anna", True)):
        ClientFactory(username=username, blocked=blocked)
    query = {"q": "ivan", "blocked__exact": 1, "o": 3}

    assert [row["username"] for row in in_csv(ask(anna, Client, query=query, format="csv"))] == [
        *["ivan_1", "ivan_2", "ivan_3"]
    ]
    act = AdminAction.objects.get(action="list.exported")
    assert act.payload == {"list": "core.client", "rows": 3, "format": "csv", "searched": True, "chosen": False}
    assert act.details.personal == {"filters": {"blocked__exact": "1", "o": "3"}}


def test_rows_that_were_chosen_go_out_and_no_others(anna):
    chosen, *_ = ClientFactory.create_batch(3)
    page = anna.post(url(Client, "changelist"), {"action": "export", "_selected_action": [chosen.pk]})
    assert (page.context["number"], page.context["chosen"]) == (1, [str(chosen.pk)])

    [row] = in_csv(ask(anna, Client, chosen.pk, format="csv"))
    assert row["id"] == str(chosen.pk)


@pytest.mark.parametrize("key", ["x", "", "9" * 30, "1 OR 1"])
def test_rows_that_there_are_not_are_not_all_rows(anna, key):
    ClientFactory()
    assert ask(anna, Client, key, format="csv").status_code == 302
    assert not AdminAction.objects.exists()


def test_a_filter_without_sense_leads_back_to_the_list(anna):
    assert ask(anna, Client, query={"blocked__exact": "x"}, format="csv").status_code == 302


def test_ids_are_numbers_moments_are_in_ones_own_zone_and_parents_have_their_names(anna):
    AdminUser.objects.filter(username="anna").update(time_zone="Europe/Moscow")
    channel = ChannelFactory(tg_chat_id=-1001234567890, title="=Дом")

    [row] = in_csv(ask(anna, Channel, format="csv"))
    assert (row["tg_chat_id"], row["title"]) == ("-1001234567890", "'=Дом")
    assert (row["contractor_id"], row["contractor"]) == (str(channel.contractor_id), str(channel.contractor))
    assert row["created_at"][-6:] == "+03:00"

    [row] = in_xlsx(ask(anna, Channel, format="xlsx"))
    assert (row["tg_chat_id"], row["title"], row["contractor_id"]) == (-1001234567890, "=Дом", channel.contractor_id)
    late = row["created_at"] - channel.created_at.replace(tzinfo=None)
    assert round(late.total_seconds()) == 3 * 3600


def test_what_a_list_reckons_goes_out_with_it(anna):
    ChannelFactory(contractor=SubscriptionFactory(pro=True).contractor)
    [row] = in_csv(ask(anna, Contractor, format="csv"))
    assert (row["plan"], row["subscription_status"], row["channels"]) == ("PRO", "active", "1")


def test_the_browser_is_told_how_far_it_is_and_that_the_file_is_whole(anna):
    ClientFactory.create_batch(3)
    response = ask(anna, Client, format="csv", progress="1")
    stream = b"".join(response.streaming_content)

    (done, length), file = struct.unpack(">II", stream[:8]), stream[8:-8]
    assert (done, length, response.headers["X-Export-Rows"]) == (3, len(file), "3")
    assert struct.unpack(">II", stream[-8:]) == (3, 0)
    assert len(file.decode().splitlines()) == 4
