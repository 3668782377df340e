import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from adminlog.factories import NoteFactory
from adminlog.models import AdminAction, AdminUser, Note
from adminlog.tests.form import change, shown
from adminlog.tests.staff import browser
from core.factories import ContractorFactory
from core.models import Contractor

pytestmark = pytest.mark.django_db
LIST = reverse("admin:adminlog_note_changelist")
ADD = reverse("admin:adminlog_note_add")


def page(contractor) -> str:
    return reverse("admin:core_contractor_change", args=[contractor.pk])


def test_a_note_is_added_from_the_contractors_page_and_leads_back_to_it(anna):
    contractor = ContractorFactory(full_name="Иван Петров")
    notes = anna.get(page(contractor)).context["section"]["notes"]
    assert "Иван Петров" in anna.get(notes.add_url).content.decode()

    response = change(anna, notes.add_url, text="Звонить после шести")

    assert response.headers["Location"] == page(contractor)
    note = Note.objects.get()
    assert (note.contractor_id, note.text, note.author.username) == (contractor.pk, "Звонить после шести", "anna")
    assert "Звонить после шести" in anna.get(page(contractor)).content.decode()


def test_a_note_is_journaled_with_its_text_where_an_erasure_reaches(anna):
    contractor = ContractorFactory()
    anna.post(ADD, {"contractor": contractor.pk, "text": "Иван болен"})
    act = AdminAction.objects.get()
    assert (act.action, act.contractors, act.target_id) == ("note.added", [contractor.pk], Note.objects.get().pk)
    assert "Иван" not in str(act.payload)
    assert act.details.personal == {"after": {"text": "Иван болен"}}


def test_a_note_is_written_in_ones_own_name(anna):
    other = AdminUser.objects.get(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)
    anna.post(ADD, {"contractor": ContractorFactory().pk, "text": "x", "author": other.pk, "author_id": other.pk})
    assert Note.objects.get().author.username == "anna"


@pytest.mark.parametrize("text", ["", "  \n ", "\0", "x" * 10_001])
def test_a_text_that_is_none_or_too_much_is_refused(anna, text):
    form = shown(anna.get(ADD)) | {"contractor": ContractorFactory().pk, "text": text}
    assert anna.post(ADD, form).status_code == 200
    assert not Note.objects.exists()


def test_a_long_text_is_taken(anna):
    anna.post(ADD, {"contractor": ContractorFactory().pk, "text": "я" * 10_000})
    assert len(Note.objects.get().text) == 10_000


def test_a_note_on_nobody_is_refused(anna):
    assert anna.post(ADD, {"contractor": 12345, "text": "x"}).status_code == 200
    assert not Note.objects.exists()


@pytest.mark.parametrize("role", ["support", "manager", "owner"])
def test_everybody_notes_and_nobody_changes_or_deletes(role):
    client = browser(role, username="vera")
    note = NoteFactory(contractor_id=ContractorFactory().pk)
    assert client.get(ADD).status_code == 200
    for view in ("change", "delete"):
        address = reverse(f"admin:adminlog_note_{view}", args=[note.pk])
        assert client.post(address, {"text": "x", "post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE admin.notes SET text = 'other'",
        "UPDATE admin.notes SET text = NULL, contractor_id = contractor_id + 1",
        "UPDATE admin.notes SET created_at = now() + interval '1 day'",
        "DELETE FROM admin.notes",
        "TRUNCATE admin.notes",
    ],
)
def test_a_note_stays_as_it_was_written(sql):
    NoteFactory()
    connection.check_constraints()
    refused = pytest.raises(IntegrityError, match="admin.notes is append-only")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("text", ["", " \n", "x" * 10_001])
def test_the_database_refuses_such_a_text_too(text):
    with pytest.raises(IntegrityError, match="notes_text_valid"), transaction.atomic():
        NoteFactory(text=text)


def test_an_erased_note_says_so(anna):
    contractor = ContractorFactory()
    note = NoteFactory(contractor_id=contractor.pk, text="Иван болен")
    Note.objects.filter(contractor_id=contractor.pk).update(text=None)
    for address in (LIST, page(contractor), reverse("admin:adminlog_note_change", args=[note.pk])):
        content = anna.get(address).content.decode()
        assert "erased" in content
        assert "Иван болен" not in content


def test_a_deleted_contractors_notes_stay_and_are_no_link(anna):
    contractor = ContractorFactory(full_name="Иван Петров")
    note = NoteFactory(contractor_id=contractor.pk)
    assert f'href="{page(contractor)}" class="text-link">Иван Петров' in anna.get(LIST).content.decode()
    Contractor.objects.all().delete()
    for address in (LIST, reverse("admin:adminlog_note_change", args=[note.pk])):
        content = anna.get(address).content.decode()
        assert page(contractor) not in content
        assert str(contractor.pk) in content


def test_a_contractors_page_shows_the_newest_ten_of_their_own_notes(anna):
    contractor = ContractorFactory()
    for number in range(12):
        NoteFactory(contractor_id=contractor.pk, text=f"no {number}")
    NoteFactory(contractor_id=ContractorFactory().pk)

    notes = anna.get(page(contractor)).context["section"]["notes"]

    assert [note.text for note in notes.result_list] == [f"no {number}" for number in range(11, 1, -1)]
    assert anna.get(notes.whole_url).context["cl"].result_count == 12


def test_a_note_is_found_by_text_contractor_and_author(anna):
    ivan = ContractorFactory(full_name="Иван Петров", username="ivan", tg_user_id=123456789)
    note = NoteFactory(contractor_id=ivan.pk, text="Звонить после шести", author__username="boris")
    NoteFactory(contractor_id=ContractorFactory().pk)
    for term in ("шести", "петров", "@ivan", "123456789", "boris"):
        assert list(anna.get(LIST, {"q": term}).context["cl"].result_list) == [note], term
