"""What staff do to a subscription."""

import datetime as dt
import threading
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from billing.factories import SubscriptionFactory
from billing.models import Plan, Subscription, SubscriptionHistory
from billing.subscriptions import activate, cancel, change_plan, extend, preview
from core.factories import ContractorFactory
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)
STARTED = NOW - 100 * DAY


def plan(code):
    return Plan.objects.get(code=code)


def given(code="PRO", status="active", source="paid", ends_in=10 * DAY, paid_until=None):
    """A contractor with this subscription."""
    return SubscriptionFactory(
        code=code,
        status=status,
        source=source,
        starts_at=STARTED,
        expires_at=NOW + ends_in if ends_in is not None else None,
        paid_until=paid_until,
    ).contractor_id


def in_grace(since=1 * DAY):
    return given(status="grace", ends_in=3 * DAY - since, paid_until=NOW - since)


def terms(contractor):
    row = Subscription.objects.select_related("plan").get(contractor=contractor)
    return row.plan.code, row.status, row.source, row.starts_at, row.expires_at


def ends(contractor):
    return Subscription.objects.get(contractor=contractor).expires_at


def refused(operation, **arguments):
    """The message; nothing is written."""
    rows = list(Subscription.objects.values()), SubscriptionHistory.objects.count()
    with pytest.raises(ValidationError) as error:
        operation(now=NOW, **arguments)
    assert rows == (list(Subscription.objects.values()), SubscriptionHistory.objects.count())
    (message,) = error.value.messages
    return message


# Activating


def test_who_is_on_free_starts_now():
    contractor = given("FREE", ends_in=None)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor) == ("PRO", "active", "paid", NOW, NOW + 30 * DAY)


def test_who_has_no_subscription_row_starts_now():
    contractor = ContractorFactory().pk
    activate(contractor=contractor, plan=plan("BUSINESS"), days=7, payment_reference="inv-1", now=NOW)
    assert terms(contractor) == ("BUSINESS", "active", "paid", NOW, NOW + 7 * DAY)


def test_without_a_payment_it_is_a_grant():
    contractor = given("FREE", ends_in=None)
    activate(contractor=contractor, plan=plan("PRO"), days=30, now=NOW)
    assert terms(contractor)[2] == "admin_grant"


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_is_over_starts_anew(status):
    contractor = given(status=status, ends_in=-5 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor)[3:] == (NOW, NOW + 30 * DAY)


@pytest.mark.parametrize("status", ["active", "trial", "cancelled"])
def test_a_renewal_keeps_the_start_and_eats_no_day(status):
    contractor = given(status=status, ends_in=10 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor) == ("PRO", "active", "paid", STARTED, NOW + 40 * DAY)


def test_in_grace_a_renewal_counts_from_what_was_paid_for():
    contractor = in_grace(since=1 * DAY)
    change = activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor) == ("PRO", "active", "paid", STARTED, NOW + 29 * DAY)
    assert change.after.paid_until is None


def test_an_end_that_no_run_has_seen_yet_counts_as_grace():
    contractor = given(ends_in=-1 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor)[3:] == (STARTED, NOW + 29 * DAY)
    assert [row.status for row in SubscriptionHistory.objects.all()] == ["active"]


def test_days_that_grace_has_used_up_already_are_refused():
    contractor = in_grace(since=2 * DAY)
    message = refused(activate, contractor=contractor, plan=plan("PRO"), days=2, payment_reference="inv-1")
    assert message == (
        "The days count from 29\xa0Mar\xa02026, when what was paid for ended, and would be over by now."
        " Give at least 3."
    )


def test_another_plan_takes_the_days_that_were_paid_for_over_by_price():
    contractor = given("BUSINESS", ends_in=10 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    left = dt.timedelta(seconds=2181967)  # 10 days × 1490 ÷ 590, rounded up
    assert terms(contractor) == ("PRO", "active", "paid", STARTED, NOW + left + 30 * DAY)


@pytest.mark.parametrize("source", ["gift", "trial", "admin_grant"])
def test_another_plan_takes_days_that_were_not_paid_for_over_as_they_are(source):
    contractor = given("BUSINESS", source=source, ends_in=10 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor) == ("PRO", "active", "paid", STARTED, NOW + 40 * DAY)


def test_another_plan_in_grace_counts_from_what_was_paid_for_too():
    contractor = in_grace(since=1 * DAY)
    activate(contractor=contractor, plan=plan("BUSINESS"), days=30, payment_reference="inv-1", now=NOW)
    assert terms(contractor)[4] == NOW + 29 * DAY


def test_an_endless_plan_is_not_cut_short():
    contractor = given("BUSINESS", source="admin_grant", ends_in=None)
    assert refused(activate, contractor=contractor, plan=plan("PRO"), days=30) == (
        "This contractor has Business without an end. Cancel that first."
    )


def test_free_cannot_be_activated():
    assert "cancel the one there is" in refused(activate, contractor=given(), plan=plan("FREE"), days=30)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**12, 1.5, True])
def test_days_that_nobody_means_are_refused(days):
    contractor = given()
    assert refused(activate, contractor=contractor, plan=plan("PRO"), days=days) == "Give from 1 to 3650 days."


def test_a_payment_counts_once_and_the_refusal_says_where():
    contractor = ContractorFactory(full_name="Иван Петров").pk
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference=" inv-1 ", now=NOW)
    message = refused(activate, contractor=given(), plan=plan("PRO"), days=30, payment_reference="inv-1")
    assert message == "The payment inv-1 was used on 31\xa0Mar\xa02026 already: Pro for Иван Петров."


def test_a_payment_reference_of_blanks_is_none():
    contractor = given("FREE", ends_in=None)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference=" ", now=NOW)
    assert terms(contractor)[2] == "admin_grant"


def test_a_contractor_who_is_not_there_is_refused():
    assert refused(activate, contractor=1, plan=plan("PRO"), days=30) == "There is no contractor 1."


@pytest.mark.parametrize("reference", ["inv\0", "inv\n1", "\u200b", "x" * 201])
def test_a_payment_reference_is_one_line_that_can_be_read(reference):
    assert refused(activate, contractor=given(), plan=plan("PRO"), days=30, payment_reference=reference).startswith(
        "A payment reference is one line"
    )


# Extending and shortening


@pytest.mark.parametrize("status", ["active", "trial"])
@pytest.mark.parametrize("source", ["paid", "gift", "admin_grant"])
def test_extending_moves_the_end_and_nothing_else(status, source):
    contractor = given(status=status, source=source)
    extend(contractor=contractor, days=7, now=NOW)
    assert terms(contractor) == ("PRO", status, source, STARTED, NOW + 17 * DAY)


def test_extending_in_grace_counts_from_what_was_paid_for():
    contractor = in_grace(since=1 * DAY)
    extend(contractor=contractor, days=7, now=NOW)
    assert terms(contractor) == ("PRO", "active", "paid", STARTED, NOW + 6 * DAY)


def test_extending_by_less_than_grace_has_used_up_is_refused():
    assert "Give at least 2." in refused(extend, contractor=in_grace(since=1 * DAY), days=1)


def test_shortening_moves_the_end_back():
    contractor = given(ends_in=10 * DAY)
    extend(contractor=contractor, days=-3, now=NOW)
    assert ends(contractor) == NOW + 7 * DAY


@pytest.mark.parametrize("days", [-10, -11, -3650])
def test_shortening_never_ends_before_a_moment_after_now(days):
    contractor = given(ends_in=10 * DAY)
    extend(contractor=contractor, days=days, now=NOW)
    assert ends(contractor) == NOW + SECOND


def test_shortening_never_lengthens():
    contractor = given(ends_in=SECOND / 10)
    extend(contractor=contractor, days=-1, now=NOW)
    assert ends(contractor) == NOW + SECOND / 10


def test_shortening_in_grace_shortens_grace():
    contractor = in_grace(since=1 * DAY)
    extend(contractor=contractor, days=-1, now=NOW)
    row = Subscription.objects.get(contractor=contractor)
    assert (row.status, row.expires_at, row.paid_until) == ("grace", NOW + DAY, NOW - DAY)


def test_shortening_what_has_not_started_leaves_it_a_moment():
    contractor = given(ends_in=10 * DAY)
    Subscription.objects.update(starts_at=NOW + 5 * DAY)
    extend(contractor=contractor, days=-30, now=NOW)
    assert ends(contractor) == NOW + 5 * DAY + SECOND


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ({"ends_in": None}, "Pro has no end here: there is nothing to extend."),
        ({"code": "FREE", "ends_in": None}, "Free has no end here: there is nothing to extend."),
        ({"status": "expired"}, "This subscription is expired. Activate a plan instead."),
        ({"status": "cancelled"}, "This subscription is cancelled. Activate a plan instead."),
        ({"source": "gift", "ends_in": -DAY}, "This subscription is expired. Activate a plan instead."),
        ({"ends_in": -30 * DAY}, "This subscription is expired. Activate a plan instead."),
    ],
    ids=str,
)
def test_there_is_nothing_to_extend(before, message):
    assert refused(extend, contractor=given(**before), days=7) == message


@pytest.mark.parametrize("days", [0, 3651, -3651])
def test_extending_by_what_nobody_means_is_refused(days):
    assert refused(extend, contractor=given(), days=days) == "Give from 1 to 3650 days."


def test_extending_beyond_the_calendar_is_refused():
    contractor = given()
    Subscription.objects.update(expires_at=dt.datetime(9999, 1, 1, tzinfo=dt.UTC))
    assert refused(extend, contractor=contractor, days=400).startswith("No calendar goes that far.")


# Changing the plan


def test_days_that_were_paid_for_are_converted_by_price():
    contractor = given("PRO", ends_in=10 * DAY)
    change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    left = dt.timedelta(seconds=342121)  # 864,000 s × 590 ÷ 1490 = 342,120.8…, rounded up
    assert terms(contractor) == ("BUSINESS", "active", "paid", STARTED, NOW + left)


def test_a_conversion_there_and_back_eats_no_day():
    contractor = given("PRO", ends_in=10 * DAY)
    change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    change_plan(contractor=contractor, plan=plan("PRO"), now=NOW)
    assert 10 * DAY <= ends(contractor) - NOW < 10 * DAY + 5 * SECOND


@pytest.mark.parametrize("source", ["gift", "trial", "admin_grant"])
def test_days_that_were_not_paid_for_move_over_as_they_are(source):
    contractor = given("PRO", source=source, ends_in=10 * DAY)
    change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    assert terms(contractor) == ("BUSINESS", "active", source, STARTED, NOW + 10 * DAY)


def test_a_cancelled_plan_that_lasts_stays_cancelled():
    contractor = given("PRO", status="cancelled", source="gift", ends_in=10 * DAY)
    change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    assert terms(contractor)[:2] == ("BUSINESS", "cancelled")


def test_an_endless_plan_stays_endless():
    contractor = given("PRO", ends_in=None)
    change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    assert terms(contractor) == ("BUSINESS", "active", "paid", STARTED, None)


def test_what_starts_later_converts_what_lies_after_its_start():
    contractor = given("BUSINESS", ends_in=10 * DAY)
    Subscription.objects.update(starts_at=NOW + 9 * DAY)
    Plan.objects.filter(code="PRO").update(price_month=Decimal("2980"))
    change_plan(contractor=contractor, plan=plan("PRO"), now=NOW)
    assert ends(contractor) == NOW + 9.5 * DAY


@pytest.mark.parametrize(
    ("before", "to", "message"),
    [
        ({}, "PRO", "This contractor has Pro already."),
        ({"code": "FREE", "ends_in": None}, "PRO", "There is no plan to change from. Activate one instead."),
        ({"status": "expired"}, "BUSINESS", "There is no plan to change from. Activate one instead."),
        ({"status": "cancelled", "ends_in": -DAY}, "BUSINESS", "There is no plan to change from."),
        ({}, "FREE", "Free is what a contractor has without a subscription"),
        ({"ends_in": -DAY}, "BUSINESS", "What was paid for ended on 30\xa0Mar\xa02026, so no days are left."),
    ],
    ids=str,
)
def test_there_is_no_change(before, to, message):
    assert refused(change_plan, contractor=given(**before), plan=plan(to)).startswith(message)


@pytest.mark.parametrize("price", [None, Decimal(0), Decimal("-590"), Decimal("NaN")])
@pytest.mark.parametrize("of", ["PRO", "BUSINESS"])
def test_without_a_price_paid_days_cannot_be_converted(of, price):
    bot.run("UPDATE billing.plans SET price_month = %s WHERE code = %s", price, of)
    message = refused(change_plan, contractor=given("PRO"), plan=plan("BUSINESS"))
    assert message.startswith(f"{plan(of)} has no price")


def test_a_conversion_beyond_the_calendar_is_refused():
    contractor = given("PRO", ends_in=3650 * DAY)
    Plan.objects.filter(code="BUSINESS").update(price_month=Decimal("0.01"))
    assert refused(change_plan, contractor=contractor, plan=plan("BUSINESS")).startswith("No calendar goes that far.")


# Cancelling


def test_what_was_paid_for_lasts_to_its_date():
    contractor = given()
    cancel(contractor=contractor, now=NOW)
    assert terms(contractor) == ("PRO", "cancelled", "paid", STARTED, NOW + 10 * DAY)
    assert Subscription.objects.live_paid(at=NOW + 9 * DAY).exists()


def test_what_has_no_end_ends_at_once():
    contractor = given(ends_in=None)
    cancel(contractor=contractor, now=NOW)
    assert not Subscription.objects.live(at=NOW).exists()


def test_a_plan_cancelled_in_grace_is_renewed_from_what_was_paid_for():
    contractor = in_grace(since=1 * DAY)
    cancel(contractor=contractor, now=NOW)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert ends(contractor) == NOW + 29 * DAY


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ({"code": "FREE", "ends_in": None}, "There is no plan to cancel."),
        ({"status": "expired"}, "There is no plan to cancel."),
        ({"status": "cancelled"}, "This subscription is cancelled already."),
        ({"status": "cancelled", "ends_in": -DAY}, "There is no plan to cancel."),
    ],
    ids=str,
)
def test_there_is_nothing_to_cancel(before, message):
    assert refused(cancel, contractor=given(**before)) == message


# All of them


def operations():
    contractor = given()
    return {
        "activate": lambda: activate(
            contractor=contractor, plan=plan("PRO"), days=3, payment_reference="inv-1", now=NOW
        ),
        "extend": lambda: extend(contractor=contractor, days=3, now=NOW),
        "change_plan": lambda: change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW),
        "cancel": lambda: cancel(contractor=contractor, now=NOW),
    }


OPERATIONS = ["activate", "extend", "change_plan", "cancel"]
TERMS = ("contractor", "plan", "status", "source", "starts_at", "expires_at", "paid_until")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_writes_one_history_row_that_copies_the_subscription(name):
    operations()[name]()
    assert list(SubscriptionHistory.objects.values_list(*TERMS)) == list(Subscription.objects.values_list(*TERMS))
    assert SubscriptionHistory.objects.get().created_at == NOW


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_returns_the_subscription_before_and_after(name):
    operation = operations()[name]
    before = Subscription.objects.latest("pk")
    change = operation()
    after = Subscription.objects.get(pk=before.pk)
    columns = [field.attname for field in Subscription._meta.concrete_fields]
    assert [getattr(change.before, name) for name in columns] == [getattr(before, name) for name in columns]
    assert [getattr(change.after, name) for name in columns] == [getattr(after, name) for name in columns]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_preview_gives_the_outcome_and_does_nothing(name):
    operation = operations()[name]
    before = list(Subscription.objects.values())
    previewed = preview(operation)
    assert list(Subscription.objects.values()) == before
    assert not SubscriptionHistory.objects.exists()
    done = operation()
    columns = [field.attname for field in Subscription._meta.concrete_fields]
    assert [getattr(previewed.after, name) for name in columns] == [getattr(done.after, name) for name in columns]


def test_a_preview_refuses_as_the_operation_would():
    contractor = given(status="expired")
    assert refused(lambda now: preview(cancel, contractor=contractor, now=now)) == "There is no plan to cancel."


@pytest.mark.django_db(transaction=True)
def test_two_operations_at_once_follow_one_another(while_held):
    contractor = given(ends_in=10 * DAY)
    while_held(
        lambda: extend(contractor=contractor, days=5, now=NOW), lambda: extend(contractor=contractor, days=7, now=NOW)
    )
    assert ends(contractor) == NOW + 22 * DAY
    history = SubscriptionHistory.objects.order_by("pk").values_list("expires_at", flat=True)
    assert list(history) == [NOW + 15 * DAY, NOW + 22 * DAY]


@pytest.mark.django_db(transaction=True)
def test_the_bots_first_subscription_row_is_waited_for_and_renewed(colleague, wait_for_lock):
    contractor = ContractorFactory().pk
    with colleague.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing.subscriptions (contractor_id, plan_id, status, starts_at, expires_at)"
            " SELECT %s, id, 'active', %s, %s FROM billing.plans WHERE code = 'PRO'",
            [contractor, STARTED, NOW + 30 * DAY],
        )

    def work():
        activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
        connection.close()

    mine = threading.Thread(target=work)
    mine.start()
    wait_for_lock()
    colleague.commit()
    mine.join()
    assert terms(contractor)[3:] == (STARTED, NOW + 60 * DAY)


@pytest.mark.django_db(transaction=True)
def test_one_payment_used_by_two_at_once_counts_once(while_held):
    first, second = given(), given()

    def pay(contractor):
        return lambda: activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)

    _, refusal = while_held(pay(first), pay(second))
    assert refusal.code == "payment_used"
    assert (ends(first), ends(second)) == (NOW + 40 * DAY, NOW + 10 * DAY)


@pytest.mark.django_db(transaction=True)
def test_who_holds_the_subscription_for_seconds_is_not_waited_for(colleague):
    contractor = given()
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE billing.subscriptions SET source = 'paid'")
    message = refused(extend, contractor=contractor, days=7)
    assert message == "Somebody else is changing this at the moment. Nothing was done; try again."


# Dates that Python cannot hold


@pytest.mark.parametrize("end", ["infinity", "20000-01-01T00:00Z"])
def test_an_end_that_no_calendar_has_is_none(end):
    contractor = given()
    bot.run("UPDATE billing.subscriptions SET expires_at = %s", end)
    assert refused(extend, contractor=contractor, days=7) == "Pro has no end here: there is nothing to extend."
    assert "without an end" in refused(activate, contractor=contractor, plan=plan("BUSINESS"), days=30)


@pytest.mark.parametrize("start", ["-infinity", "4714-12-01T00:00Z BC"])
@pytest.mark.parametrize("operation", ["change_plan", "cancel"])
def test_such_dates_stay_as_they_are_and_are_copied_to_the_history(start, operation):
    contractor = given()
    bot.run("UPDATE billing.subscriptions SET starts_at = %s, expires_at = 'infinity'", start)
    if operation == "cancel":
        cancel(contractor=contractor, now=NOW)
    else:
        change_plan(contractor=contractor, plan=plan("BUSINESS"), now=NOW)
    for table in ("subscriptions", "subscription_history"):
        found = bot.one(f"SELECT (starts_at, expires_at) = (%s, 'infinity') FROM billing.{table}", start)
        assert found, table


# The triggers on paid_until


@pytest.mark.parametrize(
    "terms",
    [
        {"status": "grace", "ends_in": 30 * DAY},
        {"status": "cancelled", "ends_in": 30 * DAY},
        {"status": "cancelled", "ends_in": 30 * DAY, "code": "BUSINESS", "source": "gift"},
        {"status": "grace", "ends_in": None},
    ],
    ids=str,
)
def test_new_terms_of_the_bots_leave_no_old_paid_until_behind(terms):
    contractor = in_grace()
    written = {"code": "PRO", "source": "paid"} | terms
    bot.run(
        "UPDATE billing.subscriptions SET plan_id = %s, status = %s, source = %s, starts_at = %s, expires_at = %s",
        *[plan(written["code"]).pk, written["status"], written["source"], NOW],
        NOW + written["ends_in"] if written["ends_in"] else None,
    )
    assert Subscription.objects.get(contractor=contractor).paid_until is None


def test_a_renewal_of_what_the_bot_wrote_over_grace_eats_no_day():
    contractor = in_grace()
    bot.run("UPDATE billing.subscriptions SET expires_at = %s", NOW + 30 * DAY)
    activate(contractor=contractor, plan=plan("PRO"), days=30, payment_reference="inv-1", now=NOW)
    assert ends(contractor) == NOW + 60 * DAY


@pytest.mark.parametrize(("status", "kept"), [("active", False), ("trial", False), ("grace", True), ("expired", True)])
def test_paid_until_stays_only_where_what_was_paid_for_is_over(status, kept):
    contractor = in_grace()
    bot.run("UPDATE billing.subscriptions SET status = %s WHERE contractor_id = %s", status, contractor)
    assert (Subscription.objects.get(contractor=contractor).paid_until is not None) is kept
