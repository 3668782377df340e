"""Lists of tables with millions of rows: what an index finds, and what is told of a search that takes too long."""

import datetime as dt

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adminlog import lists, search
from adminlog.days import day_of
from adminlog.models import AdminAction
from analytics.factories import EventFactory
from analytics.models import Event
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, InviteFactory, PublicationFactory
from core.models import Channel, Client, Contractor, Invite, Publication
from smetabot.postgres.indexes import AddTrigramIndex, is_valid, schema_of_trigrams
from smetabot.postgres.locks import Deadline, at_most
from smetabot.tests import bot
from smetabot.tests.test_backoffice import url

pytestmark = pytest.mark.django_db
EVENTS, PUBLICATIONS = url(Event, "changelist"), url(Publication, "changelist")


def plan(model, word: str) -> str:
    """Of a search. A test's few rows would be read in the order of the key, or all of them."""
    found = model.objects.filter(admin.site.get_model_admin(model).found_by(word))
    for way in ("enable_seqscan", "enable_indexscan"):
        bot.run(f"SET LOCAL {way} = off")
    return found.order_by().explain()


@pytest.fixture
def reki(db):
    """Somebody who is found by the same word everywhere."""
    contractor = ContractorFactory(full_name="Фёдор Рекин", username=None)
    channel = ChannelFactory(contractor=contractor, title="Дом у Реки")
    PublicationFactory(channel=channel, file_name="смета реки.pdf")
    InviteFactory(channel=channel)
    client = ClientFactory(channel=channel, username="reka_реки")
    EventFactory(channel=channel, client=client)


@pytest.fixture
def held(colleague, monkeypatch):
    """Somebody keeps the database from answering, and nobody waits long."""
    monkeypatch.setattr(lists, "PATIENCE", 0.05)
    for module in ("find", "site"):
        monkeypatch.setattr(f"smetabot.backoffice.{module}.PATIENCE", 0.05)

    def hold(table: str) -> None:
        with colleague.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    yield hold
    colleague.rollback()


@pytest.mark.parametrize("model", [Contractor, Channel, Publication, Client, Event], ids=lambda model: model.__name__)
def test_a_part_of_a_name_is_found_by_indexes(reki, model):
    if not schema_of_trigrams():
        pytest.skip("the server has no pg_trgm")
    found = plan(model, "реки")
    assert "Seq Scan" not in found and "Bitmap Index Scan" in found, found


@pytest.mark.parametrize("word", ["реки", "РЕКИ", "Федор", "777"])
@pytest.mark.parametrize("model", [Contractor, Channel, Publication, Client, Invite, Event])
def test_it_is_all_the_same_how_many_parents_hold_the_word(reki, monkeypatch, model, word):
    PublicationFactory(message_id=777)
    by = admin.site.get_model_admin(model).found_by
    one_by_one = set(model.objects.filter(by(word)))
    monkeypatch.setattr(search, "MOST_PARENTS", 0)
    assert set(model.objects.filter(by(word))) == one_by_one
    assert one_by_one or word in ("Федор", "777")


def test_without_trigrams_a_search_finds_the_same(anna, reki):
    bot.run("DROP EXTENSION IF EXISTS pg_trgm CASCADE")
    for model in (Contractor, Channel, Publication, Client, Event):
        assert anna.get(url(model, "changelist"), {"q": "реки"}).context["cl"].result_count == 1


@pytest.mark.django_db(transaction=True)
def test_trigrams_that_are_refused_at_first_are_made_use_of_later():
    if not schema_of_trigrams():
        pytest.skip("the server has no pg_trgm")
    indexes = [f"core.{table}_trigrams" for table in ("contractors", "channels", "publications", "invites", "clients")]
    bot.run("DROP EXTENSION pg_trgm CASCADE")
    bot.run("SET ROLE pg_monitor")  # one that may create nothing here
    try:
        with connection.schema_editor(atomic=False) as editor:
            AddTrigramIndex("Client", ["username"], name="x").database_forwards("core", editor, None, None)
        with pytest.raises(CommandError, match="CREATE EXTENSION pg_trgm"):
            call_command("index_search")
    finally:
        bot.run("RESET ROLE")
    assert set(map(is_valid, indexes)) == {None}

    call_command("index_search", verbosity=0)
    assert set(map(is_valid, indexes)) == {True}
    # As a build leaves it that was killed.
    bot.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'core.clients_trigrams'::regclass")
    call_command("index_search", verbosity=0)
    assert set(map(is_valid, indexes)) == {True}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"q": "реки"}, lists.TOO_LONG),
        ({"q": "реки петров", "deleted__exact": "0"}, lists.TOO_LONG),
        ({"p": "3", "q": "р"}, lists.TOO_LONG),
        ({"o": "1"}, lists.TOO_LONG_TO_SORT),
    ],
)
def test_a_list_that_takes_too_long_shows_nothing_and_says_so(anna, held, query, told):
    held("core.publications")
    response = anna.get(PUBLICATIONS, query)
    assert response.status_code == 200
    assert list(response.context["cl"].result_list) == []
    assert [str(message) for message in response.context["messages"]] == [str(told)]
    page = response.content.decode()
    assert "That took too long" in page and "Nothing is here yet" not in page


def test_parents_that_take_too_long_to_find_are_no_error(anna, held):
    held("core.channels")
    assert str(lists.TOO_LONG) in anna.get(EVENTS, {"q": "реки"}).content.decode()


def test_what_took_too_long_is_not_exported_as_nothing(anna, held):
    held("core.publications")
    address = url(Publication, "export") + "?q=реки"
    response = anna.post(address, {"format": "csv"}, follow=True)
    assert response.redirect_chain and not AdminAction.objects.exists()
    assert [str(message) for message in response.context["messages"]] == [str(lists.TOO_LONG)]


def test_the_search_box_and_the_choice_of_a_parent_wait_no_longer(anna, held):
    held("core.channels")
    response = anna.get(reverse("admin:find"), {"q": "реки"}, follow=True)
    assert str(lists.TOO_LONG) in response.content.decode()
    choice = {"app_label": "billing", "model_name": "gift", "field_name": "contractor", "term": "реки"}
    [told] = anna.get(reverse("admin:autocomplete"), choice).json()["results"]
    assert told == {"id": "", "text": str(lists.TOO_LONG), "disabled": True}


def test_patience_ends_with_what_it_was_for(db):
    with at_most(Deadline(0.05)):
        bot.run("SELECT 1")
    assert bot.one("SHOW statement_timeout") == "0"


def test_all_statements_together_have_the_time(db):
    with pytest.raises(OperationalError, match="statement timeout"), at_most(Deadline(0.1)):
        for _ in range(10):
            bot.run("SELECT pg_sleep(0.02)")


def test_a_search_counts_less_far_than_a_list(anna, monkeypatch):
    monkeypatch.setattr("adminlog.pages.SEARCHED", 1)
    ContractorFactory.create_batch(3, full_name="Рекин")
    assert str(anna.get(url(Contractor, "changelist"), {"q": "рекин"}).context["cl"].result_count) == "1+"
    assert str(anna.get(url(Contractor, "changelist")).context["cl"].result_count) == "3"


@pytest.mark.parametrize("query", ["", "event_type__exact=client_join", "happened={0}..{0}"])
def test_a_page_of_events_is_read_from_the_partitions_that_it_is_in(anna, query):
    now = timezone.now()
    events = [EventFactory(event_type="client_join", created_at=now - dt.timedelta(seconds=age)) for age in (3, 1, 2)]
    address = f"{EVENTS}?{query.format(day_of(events[0].created_at))}"
    with CaptureQueriesContext(connection) as captured:
        shown = list(anna.get(address).context["cl"].result_list)

    assert shown == ([events[1], events[2], events[0]] if query else events[::-1])
    assert len(captured) <= 6
    [rows] = [each["sql"] for each in captured if " IN (" in each["sql"] and "JOIN" in each["sql"]]
    assert '"created_at" BETWEEN' in rows


def test_an_event_beyond_all_calendars_is_on_the_page(anna):
    event = EventFactory()
    for moment in ("infinity", "-infinity", "9999-12-31 23:59:59Z"):
        bot.run("UPDATE analytics.events SET created_at = %s WHERE id = %s", moment, event.pk)
        assert list(anna.get(EVENTS).context["cl"].result_list) == [event]
