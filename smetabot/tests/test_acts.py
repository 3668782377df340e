"""Once is once, whatever the act: what is confirmed is what was shown, and nobody does it a second time."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from adminlog.columns import page_of
from adminlog.models import AdminAction
from adminlog.tests.form import do, do_in_bulk, look_ahead, shown
from adminlog.tests.staff import browser
from billing.factories import SubscriptionFactory
from billing.models import Gift, Subscription
from core.factories import ContractorFactory
from core.models import Contractor
from smetabot.postgres.locks import BUSY
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

WEEK = dt.timedelta(days=7)
CONTRACTORS = reverse("admin:core_contractor_changelist")


@pytest.fixture
def ivan() -> Contractor:
    return SubscriptionFactory(pro=True).contractor


@pytest.fixture
def clara() -> Client:
    return browser("manager", username="clara")


def extending(contractor: Contractor) -> str:
    return reverse("admin:core_contractor_extend", args=[contractor.pk])


def end(contractor: Contractor) -> dt.datetime:
    ends = Subscription.objects.get(contractor=contractor).expires_at
    assert ends
    return ends


def confirm(anna: Client, address: str, form: dict[str, str], **values: object) -> HttpResponse:
    return anna.post(address, form | {"reason": "outage", "step": "confirm"} | values)


def assert_nothing_done(response: HttpResponse, why: str, *, acts: int = 0) -> None:
    assert why in response.content.decode()
    assert shown(response)["confirmation"], "there is no new preview"
    assert AdminAction.objects.count() == acts


def test_to_look_ahead_does_nothing(anna, ivan):
    before = end(ivan)
    assert look_ahead(anna, extending(ivan), days=7)["confirmation"]
    assert end(ivan) == before
    assert not AdminAction.objects.exists()


def test_a_double_click_does_it_once_and_says_that_it_is_done(anna, ivan):
    before, form = end(ivan), look_ahead(anna, extending(ivan), days=7)
    assert confirm(anna, extending(ivan), form).status_code == 302

    again = confirm(anna, extending(ivan), form)

    assert_nothing_done(again, "This was done already, by anna on", acts=1)
    assert end(ivan) == before + WEEK


def test_a_server_that_is_only_a_copy_now_refuses_nothing_and_is_no_outcome(anna, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    anna.raise_request_exception = False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        status = confirm(anna, extending(ivan), form).status_code
        transaction.set_rollback(True)

    assert status == 503


def test_a_page_gone_back_to_confirms_nothing_that_was_shown_before_another_act(anna, ivan):
    old = look_ahead(anna, extending(ivan), days=30)
    do(anna, extending(ivan), days=7)
    before = end(ivan)

    assert_nothing_done(confirm(anna, extending(ivan), old), "Somebody was faster. Nothing was done;", acts=1)
    assert end(ivan) == before


def test_a_colleague_who_was_faster_is_not_followed(anna, clara, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    do(clara, reverse("admin:core_contractor_cancel", args=[ivan.pk]))

    response = confirm(anna, extending(ivan), form)

    assert "Somebody was faster." in response.content.decode()
    # What will happen now is nothing.
    assert "This subscription is cancelled. Activate a plan instead." in response.content.decode()
    assert not shown(response)["confirmation"]
    assert [act.action for act in AdminAction.objects.all()] == ["subscription.cancelled"]


def test_a_payment_that_the_bot_booked_meanwhile_is_shown_first(anna, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    before = end(ivan)
    bot.run(
        "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source)"
        " SELECT contractor_id, plan_id, status, source FROM billing.subscriptions"
    )
    assert_nothing_done(confirm(anna, extending(ivan), form), "Somebody was faster.")
    assert end(ivan) == before


def test_a_price_or_a_subscription_written_meanwhile_is_shown_first(anna, ivan):
    address = reverse("admin:core_contractor_change_plan", args=[ivan.pk])
    for statement in (
        "UPDATE billing.plans SET price_month = 590 WHERE code = 'BUSINESS'",
        "UPDATE billing.subscriptions SET expires_at = expires_at + interval '1 day'",
    ):
        form = look_ahead(anna, address)
        bot.run(statement)
        assert_nothing_done(confirm(anna, address, form), "Somebody was faster.")


def test_a_note_is_no_reason_to_look_again(anna, clara, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    clara.post(reverse("admin:adminlog_note_add"), {"contractor": ivan.pk, "text": "rings at night"})
    assert confirm(anna, extending(ivan), form).status_code == 302


def test_who_is_shown_the_new_preview_may_confirm_it(anna, clara, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    do(clara, extending(ivan), days=7)
    before = end(ivan)

    again = shown(confirm(anna, extending(ivan), form))

    assert again["reason"] == "outage"
    assert confirm(anna, extending(ivan), again).status_code == 302
    assert end(ivan) == before + WEEK


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_the_same_moment_one_counts(anna, ivan):
    before, form = end(ivan), look_ahead(anna, extending(ivan), days=7)
    answers = at_the_same_moment(lambda: confirm(anna, extending(ivan), form))

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert end(ivan) == before + WEEK
    assert AdminAction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_colleagues_at_the_same_moment_one_counts(anna, clara, ivan):
    before = end(ivan)
    forms = [(browser, look_ahead(browser, extending(ivan), days=7)) for browser in (anna, clara)]
    answers = at_the_same_moment(*(lambda b=b, f=f: confirm(b, extending(ivan), f) for b, f in forms))

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert end(ivan) == before + WEEK
    assert AdminAction.objects.count() == 1


def at_the_same_moment(*calls: Callable[[], HttpResponse]) -> list[HttpResponse]:
    """One call alone is made twice."""
    calls = calls if len(calls) > 1 else calls * 2
    start = Barrier(len(calls))

    def work(call: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            start.wait(10)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        return list(threads.map(work, calls))


def test_what_was_changed_after_the_preview_is_shown_first(anna, ivan):
    before, form = end(ivan), look_ahead(anna, extending(ivan), days=7)

    response = confirm(anna, extending(ivan), form, days=70)

    assert_nothing_done(response, "You have changed something. This is what will happen now.")
    assert (shown(response)["days"], end(ivan)) == ("70", before)


@pytest.mark.parametrize("confirmation", ["", "x", "eyJhIjoxfQ:1abc:xyz"])
def test_without_a_confirmation_of_ours_nothing_is_done(anna, ivan, confirmation):
    form = look_ahead(anna, extending(ivan), days=7) | {"confirmation": confirmation}
    assert_nothing_done(confirm(anna, extending(ivan), form), "Look at what will happen before you confirm it.")


def test_the_confirmation_of_one_row_or_act_is_none_of_another(anna, ivan):
    petr = SubscriptionFactory(pro=True).contractor
    of_ivan = look_ahead(anna, extending(ivan), days=7)["confirmation"]
    for address in (extending(petr), reverse("admin:core_contractor_cancel", args=[ivan.pk])):
        form = look_ahead(anna, address) | {"confirmation": of_ivan}
        assert shown(confirm(anna, address, form))["confirmation"]
    assert not AdminAction.objects.exists()


def test_without_a_reason_nothing_is_done(anna, ivan):
    form = look_ahead(anna, extending(ivan), days=7)
    assert_nothing_done(confirm(anna, extending(ivan), form, reason=" "), "This field is required.")


@pytest.mark.parametrize(
    "away", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"]
)
def test_the_way_back_leads_nowhere_else(anna, ivan, away):
    form = look_ahead(anna, extending(ivan), days=7)
    assert confirm(anna, extending(ivan), form, next=away)["Location"] == page_of(ivan)


def test_the_way_back_leads_to_where_it_was_opened(anna, ivan):
    here = f"{CONTRACTORS}?q=ivan"
    form = shown(anna.get(extending(ivan), {"next": here}))
    assert confirm(anna, extending(ivan), form)["Location"] == here


@pytest.mark.django_db(transaction=True)
def test_who_waited_too_long_for_the_journal_is_told_to_try_again(anna, ivan, held_journal):
    before, form = end(ivan), look_ahead(anna, extending(ivan), days=7)
    assert_nothing_done(confirm(anna, extending(ivan), form), str(BUSY))
    assert end(ivan) == before


def test_many_at_once_are_one_act_with_a_part_for_each_and_none_for_who_was_skipped(anna, ivan):
    free, before = ContractorFactory(), end(ivan)

    do_in_bulk(anna, CONTRACTORS, [ivan, free], "extend", reason="outage", days=7)

    assert end(ivan) == before + WEEK
    [head, part] = AdminAction.objects.order_by("pk")
    assert (head.payload, head.target_id, bool(head.token)) == ({"rows": 1, "skipped": 1}, None, True)
    assert (part.part_of, part.contractors, part.token) == (head, [ivan.pk], None)


def test_a_double_click_on_many_does_it_once(anna, ivan):
    rows, before = [ivan, SubscriptionFactory(pro=True).contractor], end(ivan)
    chosen: dict[str, Any] = {"action": "extend", "_selected_action": [row.pk for row in rows]}
    form = shown(anna.post(CONTRACTORS, chosen)) | chosen
    assert "Done" in confirm(anna, CONTRACTORS, form).content.decode()

    assert "This was done already, by anna on" in confirm(anna, CONTRACTORS, form).content.decode()

    assert end(ivan) == before + WEEK
    assert AdminAction.objects.count() == 3


def test_rows_that_the_act_moves_out_of_the_filter_are_still_those_that_were_chosen(anna):
    rows = ContractorFactory.create_batch(2)
    chosen: dict[str, Any] = {"action": "block", "_selected_action": [row.pk for row in rows]}
    active = f"{CONTRACTORS}?status__exact=active"
    form = shown(anna.post(active, chosen)) | chosen
    confirm(anna, active, form)

    assert "This was done already, by anna on" in confirm(anna, active, form).content.decode()
    assert Contractor.objects.filter(status="blocked").count() == 2


def test_when_all_are_refused_nothing_is_offered_or_journaled(anna):
    free = ContractorFactory.create_batch(2)
    response = do_in_bulk(anna, CONTRACTORS, free, "extend", days=7)
    assert "This cannot be done, and why" in response.content.decode()
    assert not shown(response)["confirmation"]
    assert not AdminAction.objects.exists()


@pytest.mark.parametrize("how_many", [0, 3])
def test_too_many_or_none_are_refused(anna, monkeypatch, how_many):
    monkeypatch.setattr("adminlog.pages.MOST_ROWS", 2)
    rows = ContractorFactory.create_batch(how_many)
    chosen = {"action": "queue_gift", "_selected_action": [row.pk for row in rows] or [1], "step": "confirm"}
    response = anna.post(CONTRACTORS, chosen, follow=True)
    assert "Choose from 1 to 2 rows" in response.content.decode()
    assert not Gift.objects.exists()


def test_all_that_a_search_finds_can_be_chosen_across_pages(anna):
    ContractorFactory.create_batch(60, full_name="Ivan")
    ContractorFactory(full_name="Petr")
    chosen = {"action": "queue_gift", "_selected_action": [Contractor.objects.first().pk], "select_across": "1"}
    form = shown(anna.post(f"{CONTRACTORS}?q=Ivan", chosen))
    keys = list(Contractor.objects.filter(full_name="Ivan").values_list("pk", flat=True))

    confirm(anna, f"{CONTRACTORS}?q=Ivan", form, _selected_action=keys)

    assert Gift.objects.filter(contractor__full_name="Ivan").count() == Gift.objects.count() == 60
