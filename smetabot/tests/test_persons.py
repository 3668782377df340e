"""A person, whom all schemas know: handed out, erased, under another Telegram account."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from adminlog import chain
from adminlog.factories import NoteFactory
from adminlog.models import AdminAction, Note
from adminlog.tests.form import change, do, look_ahead, shown
from analytics.factories import EventFactory, ViewsDailyFactory
from billing.factories import GiftFactory, SubscriptionFactory, SubscriptionHistoryFactory, UsageCounterFactory
from billing.gifts import queue_gift
from billing.models import Gift, Plan, SubscriptionHistory
from billing.subscriptions import activate
from core.factories import (
    ChannelFactory,
    ClientFactory,
    ContractorFactory,
    InviteFactory,
    PublicationFactory,
    TeamMemberFactory,
)
from core.models import Channel, Client, Contractor
from referrals.attribution import attach
from referrals.factories import ReferralCycleFactory, ReferralFactory, ReferralLinkFactory
from smetabot.backoffice import persons
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

TG, NAMES = 987654321, ["zolotov", "Золотов", "987654321"]


def page(contractor: Contractor, name: str) -> str:
    return reverse(f"admin:core_contractor_{name}", args=[contractor.pk])


def downloaded(response: Any) -> dict[str, Any]:
    return json.loads(b"".join(response.streaming_content))


@pytest.fixture
def zolotov(anna: Browser) -> Contractor:
    """Named in every column that can name him, and in what staff wrote."""
    person = ContractorFactory(tg_user_id=TG, username="zolotov_remont", full_name="Пётр Золотов")
    mine = ChannelFactory(contractor=person, title="Смета Золотова", username="zolotov_smeta")
    file = PublicationFactory(channel=mine, file_name="Золотов.xlsx")
    ViewsDailyFactory(publication=file)
    InviteFactory(channel=mine)
    ClientFactory(channel=mine, full_name="Анна Ильина")
    elsewhere = ClientFactory(tg_user_id=TG, username="zolotov_remont", full_name="Золотов П.")
    EventFactory(channel=mine, event_type="file_posted", details={"file_name": "Золотов.xlsx"})
    EventFactory(channel=elsewhere.channel, client=elsewhere, event_type="client_join", details={"name": "Золотов"})
    SubscriptionFactory(contractor=person, pro=True)
    SubscriptionHistoryFactory(contractor=person, pro=True, source="paid", payment_reference="yk-1")
    UsageCounterFactory(contractor=person, channels_created_total=1)
    GiftFactory(contractor=person)
    ReferralLinkFactory(contractor=person, token=f"ref_{TG}")
    ReferralFactory(referrer=person)
    ReferralCycleFactory(referrer=person)
    TeamMemberFactory(owner_contractor=person)
    NoteFactory(contractor_id=person.pk, text="Золотов rings at night")
    change(anna, page(person, "change"), full_name="Золотов Пётр")
    change(anna, reverse("admin:core_channel_change", args=[mine.pk]), title="Золотов, кухня")
    do(anna, reverse("admin:core_client_block", args=[elsewhere.pk]), reason="Золотов asked for it")
    do(anna, page(person, "grant_channels"), reason="zolotov burnt one")
    return person


def where(term: str) -> set[str]:
    """The tables in whose rows it occurs, in whatever column."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT string_agg(format('SELECT %1$L FROM %1$s AS r WHERE r::text ILIKE %%1$s', oid::regclass), ' UNION ')
            FROM pg_class
            WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
        """)
        cursor.execute(cursor.fetchone()[0].replace("%1$s", "%(term)s"), {"term": f"%{term}%"})
        return {table for (table,) in cursor}


def test_who_is_erased_is_named_nowhere_and_money_stays(anna, zolotov):
    assert all(where(name) for name in NAMES)
    [paid] = SubscriptionHistory.objects.values()

    assert do(anna, page(zolotov, "erase"), reason="GDPR request 7").status_code == 302

    assert {name: where(name) for name in NAMES} == {name: set() for name in NAMES}
    left = Contractor.objects.get(pk=zolotov.pk)
    assert (left.tg_user_id, left.username, left.full_name, left.status) == (None, None, None, "blocked")
    assert [paid] == list(SubscriptionHistory.objects.values())
    assert Gift.objects.filter(contractor=left).count() == Channel.objects.filter(contractor=left).count() == 1
    assert Client.objects.filter(full_name="Анна Ильина").exists()
    act = AdminAction.objects.order_by("seq").last()
    assert (act.action, act.contractors, act.details.personal) == (
        "contractor.erased",
        [left.pk],
        {"reason": "GDPR request 7"},
    )
    assert act.payload == {
        **{"channels": 1, "files": 1, "clients": 1, "events": 2, "notes": 1, "journal_entries": 4},
        **{"before": {"status": "active"}, "after": {"status": "blocked"}},
    }
    found = chain.verify()
    assert (found.broken, found.emptied) == ([], 4)
    for name in NAMES:
        lists = [anna.get(reverse(f"admin:core_{table}_changelist"), {"q": name}) for table in ("contractor", "client")]
        assert [list(answer.context["cl"].result_list) for answer in lists] == [[], []]
    answer = anna.get(page(left, "change"))
    assert f"Contractor {left.pk}" in answer.content.decode()
    held = json.dumps(downloaded(do(anna, page(left, "export_person"))), ensure_ascii=False).lower()
    assert not [name for name in NAMES if name.lower() in held]
    assert "yk-1" in held


def test_what_came_back_after_an_erasure_is_erased_again(zolotov):
    persons.erase(contractor=zolotov.pk)
    Channel.objects.filter(contractor=zolotov).update(title="Золотов, кухня")
    persons.erase(contractor=zolotov.pk)
    assert not where("Золотов")


def test_no_name_is_put_back_on_who_was_erased(anna, zolotov):
    form = shown(anna.get(page(zolotov, "change")))
    persons.erase(contractor=zolotov.pk)
    assert anna.post(page(zolotov, "change"), form | {"full_name": "Золотов"}).status_code == 403
    assert not where("Золотов")


@pytest.mark.parametrize(
    "operation",
    [
        lambda who, now: queue_gift(contractor=who, plan=Plan.objects.get(code="PRO"), days=7, now=now),
        lambda who, now: activate(contractor=who, plan=Plan.objects.get(code="PRO"), days=7, now=now),
        lambda who, now: attach(referrer=who, referred=ContractorFactory().pk, now=now),
    ],
    ids=["gift", "plan", "referral"],
)
def test_who_was_erased_is_given_nothing(zolotov, operation):
    persons.erase(contractor=zolotov.pk)
    with pytest.raises(ValidationError, match="was erased"):
        operation(zolotov.pk, timezone.now())


def test_to_look_ahead_erases_nothing(anna, zolotov):
    look_ahead(anna, page(zolotov, "erase"))
    assert where("Золотов") > {"core.contractors", "core.channels", "admin.notes", "admin.action_details"}
    assert Note.objects.get().text


def test_everything_that_is_held_about_a_person_is_handed_out(anna, zolotov):
    answer = do(anna, page(zolotov, "export_person"), reason="asked what we hold")

    assert answer["Content-Disposition"] == f'attachment; filename="contractor-{zolotov.pk}.json"'
    assert "no-store" in answer["Cache-Control"]
    held = downloaded(answer)
    assert {table for table, rows in held.items() if not rows} == {"analytics.channel_stats"}
    assert held["core.contractors"][0]["tg_user_id"] == TG
    assert [row["full_name"] for row in held["core.clients"]] == ["Золотов П."]
    assert held["billing.subscription_history"][0]["payment_reference"] == "yk-1"
    assert held["admin.notes"][0]["text"] == "Золотов rings at night"
    assert {row["action"]: row["personal"].get("reason") for row in held["admin.admin_actions"]} == {
        "contractor.changed": None,
        "channel.changed": None,
        "contractor.channels_granted": "zolotov burnt one",
        "contractor.exported": "asked what we hold",
    }
    assert "Ильина" not in json.dumps(held, ensure_ascii=False)


@pytest.mark.parametrize(
    "pasted",
    ["555000111", " 555 000 111 ", "id555000111", "ID: 555000111", "tg://user?id=555000111", "555\u00a0000\u00a0111"],
)
def test_a_lost_account_is_replaced_however_the_new_id_was_pasted(anna, pasted):
    contractor = ContractorFactory(tg_user_id=TG)
    do(anna, page(contractor, "change_telegram_id"), tg_user_id=pasted)
    assert Contractor.objects.get().tg_user_id == 555000111
    act = AdminAction.objects.get()
    assert (act.action, act.payload) == ("contractor.telegram_id_changed", None)
    assert act.details.personal["before"] == {"tg_user_id": TG}


@pytest.mark.parametrize(
    "pasted",
    ["@ivan", "0", "-1", "12 or 13", "+7 900 123 45 67", "12.5", "1_000", "9" * 19, "9" * 30, "https://t.me/ivan"],
)
def test_what_is_no_telegram_id_is_an_error_in_the_form(anna, pasted):
    contractor = ContractorFactory(tg_user_id=TG)
    look_ahead(anna, page(contractor, "change_telegram_id"), tg_user_id=pasted)
    answer = anna.post(page(contractor, "change_telegram_id"), {"tg_user_id": pasted, "step": "preview"})
    assert answer.context["form"].errors


def test_the_empty_contractor_of_the_new_account_gives_it_up(anna):
    lost = ContractorFactory(username="old_name", full_name="Иван")
    made = Contractor.objects.get(pk=bot.meet(555))
    Contractor.objects.filter(pk=made.pk).update(username="new_name", full_name="Ваня")

    answer = do(anna, page(lost, "change_telegram_id"), tg_user_id="555")

    assert answer.status_code == 302
    rows = {row.pk: (row.tg_user_id, row.username, row.full_name, row.status) for row in Contractor.objects.all()}
    assert rows == {lost.pk: (555, "new_name", "Иван", "active"), made.pk: (None, None, None, "active")}
    act = AdminAction.objects.get()
    assert (set(act.contractors), act.payload) == ({lost.pk, made.pk}, {"left_without_account": made.pk})
    # What is told of the one is not handed out to the other.
    assert "old_name" not in "".join(persons.as_json(made))


@pytest.mark.parametrize(
    ("owns", "what"),
    [
        (lambda row: ChannelFactory(contractor=row), "channels"),
        (lambda row: UsageCounterFactory(contractor=row, channels_created_total=1), "channels made before"),
        (lambda row: SubscriptionFactory(contractor=row, pro=True), "a plan that is paid for"),
        (lambda row: SubscriptionHistoryFactory(contractor=row, pro=True, source="paid"), "payments"),
        (lambda row: SubscriptionHistoryFactory(contractor=row, payment_reference="yk-1"), "payments"),
        (lambda row: GiftFactory(contractor=row), "gifts"),
        (lambda row: ReferralFactory(referred_contractor=row), "referrals"),
        (lambda row: TeamMemberFactory(member_contractor=row), "a team"),
        (lambda row: Contractor.objects.filter(pk=row.pk).update(status="blocked"), "a block"),
        (lambda row: Contractor.objects.filter(pk=row.pk).update(bonus_channels=1), "bonus channels"),
    ],
)
def test_an_account_in_use_is_not_taken_away(owns, what):
    contractor, other = ContractorFactory(), ContractorFactory(tg_user_id=555, full_name="Другой")
    owns(other)
    with pytest.raises(ValidationError, match=f"Другой, who would lose it and has: {what}"):
        persons.change_telegram_id(contractor=contractor.pk, tg_user_id=555, now=timezone.now())
    assert Contractor.objects.get(pk=other.pk).tg_user_id == 555


def test_the_account_that_they_have_is_no_new_one():
    contractor = ContractorFactory(tg_user_id=555)
    with pytest.raises(ValidationError, match="has this Telegram id already"):
        persons.change_telegram_id(contractor=contractor.pk, tg_user_id=555, now=timezone.now())


def test_who_was_erased_comes_back_under_no_account():
    contractor = ContractorFactory(tg_user_id=None, username=None, full_name=None, blocked=True)
    with pytest.raises(ValidationError, match="was erased"):
        persons.change_telegram_id(contractor=contractor.pk, tg_user_id=555, now=timezone.now())
