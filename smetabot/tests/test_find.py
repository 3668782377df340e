"""The search box of every page."""

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from adminlog.search import matching
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, InviteFactory
from core.models import Client, Contractor
from referrals.factories import ReferralLinkFactory
from smetabot.tests.test_backoffice import url

pytestmark = pytest.mark.django_db
FIND = reverse("admin:find")
NASTY = ["\0", str(10**30), "9" * 5000, "@", "'", '"', "%", "\\", "👍", "x y " * 2000, "²"]


def found(anna: Browser, term: str) -> str:
    response = anna.get(FIND, {"q": term})
    assert response.status_code == 302
    return response.headers["Location"]


@pytest.fixture
def ivan(db: None) -> Contractor:
    ivan = ContractorFactory(username="ivan", full_name="Иван Петров", tg_user_id=123456789)
    channel = ChannelFactory(contractor=ivan, title="Дом у реки", username="dom_u_reki", tg_chat_id=-1001234567890)
    InviteFactory(channel=channel, token="Xk9_aa-")
    ReferralLinkFactory(contractor=ivan, token="ref-Ivan")
    # Others that hold a part of what is meant, so that only the whole of it tells.
    ChannelFactory(contractor=ContractorFactory(username="ivan2"), username="dom_u_reki_2", title="ivan 123456789")
    return ivan


def test_what_support_is_given_opens_the_contractor(anna, ivan):
    for term in (
        *["@ivan", "@IVAN", "123456789", "петров", '"Иван Петров"', "Xk9_aa-", "ref-Ivan", "@dom_u_reki"],
        *["-1001234567890", "1234567890", "1001234567890", "-1234567890"],
        *["ID: 123456789", "id123456789", "123 456 789", "user:123456789"],
        *["https://t.me/ivan", " «t.me/+Xk9_aa-», ", "https://t.me/c/1234567890/55", "t.me/our_bot?start=ref-Ivan"],
    ):
        assert found(anna, term) == url(Contractor, "change", ivan.pk), term


@pytest.mark.parametrize("term", ["ivan", "дом", "https://t.me/iva"])
def test_what_may_mean_several_lists_them(anna, ivan, term):
    ChannelFactory(title="Дом 2")
    address = found(anna, term)
    assert address.startswith(url(Contractor, "changelist"))
    rows = anna.get(address).context["cl"].result_list
    assert len(rows) > 1
    assert ivan in rows


@pytest.mark.parametrize("term", ["@vasya", "t.me/vasya", "555000111", "Василий"])
def test_whoever_is_no_contractor_may_be_a_client(anna, ivan, term):
    ClientFactory(username="vasya2", full_name="Другой")
    client = ClientFactory(username="Vasya", full_name="Василий", tg_user_id=555000111)
    assert found(anna, term) == url(Client, "change", client.pk)

    ClientFactory(username="Vasya", full_name="Василий", tg_user_id=555000111)
    address = found(anna, term)
    assert address.startswith(url(Client, "changelist"))
    assert {row.username for row in anna.get(address).context["cl"].result_list} <= {"Vasya", "vasya2"}


def test_what_looks_like_an_id_may_be_a_username(anna, ivan):
    contractor = ContractorFactory(username="id777")
    assert found(anna, "id777") == url(Contractor, "change", contractor.pk)


def test_a_contractor_goes_before_a_client(anna, ivan):
    ClientFactory(username="ivan", tg_user_id=ivan.tg_user_id)
    assert found(anna, "@ivan") == found(anna, "123456789") == url(Contractor, "change", ivan.pk)


def test_what_finds_nobody_is_told_with_what_would(anna, ivan):
    response = anna.get(FIND, {"q": "nobody at all"}, follow=True)
    assert response.context["cl"].query == "nobody at all"
    assert "Nobody was found" in response.content.decode()


def test_no_search_breaks_it(anna, ivan):
    for term in (*NASTY, "", "https://[", "tg://user?id=x", f"t.me/c/{'9' * 30}", "9" * 19):
        assert found(anna, term).startswith(url(Contractor, "changelist")), term


def test_the_box_is_on_every_page(anna, ivan):
    for address in (reverse("admin:index"), reverse("admin:password_change"), url(Contractor, "change", ivan.pk)):
        assert anna.get(address).content.decode().count(f'action="{FIND}"') == 1


def test_it_reads_the_clients_once_and_only_when_no_contractor_is_meant(anna, ivan, django_assert_max_num_queries):
    with django_assert_max_num_queries(30) as captured:
        anna.get(FIND, {"q": "@ivan"})
        assert not [query for query in captured if "clients" in query["sql"] or "LIKE '%" in query["sql"]]
        anna.get(FIND, {"q": "@nobody"})
    assert len([query for query in captured if '"core"."clients"' in query["sql"]]) == 1


def test_clients_are_found_by_indexes_however_many_there_are(ivan):
    conditions = matching(Client, ["tg_user_id", "username", "full_name"], "123", whole=True)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "Seq Scan" not in Client.objects.filter(conditions).explain()
