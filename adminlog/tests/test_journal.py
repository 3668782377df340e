import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from adminlog import journal
from adminlog.factories import AdminUserFactory
from adminlog.models import ActionDetails, AdminAction, AdminUser, Note
from adminlog.requests import origin_middleware

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(db: None) -> AdminUser:
    return AdminUserFactory(username="anna", manager=True)


def written(act: journal.Act, by: AdminUser, **told: str) -> AdminAction:
    return AdminAction.objects.get(pk=journal.record(act, by=by, **told).pk)


def test_an_act_names_who_what_and_the_row(anna):
    boris = AdminUserFactory()
    act = written(journal.Act("admin_user.changed", boris, after={"role": "owner"}, contractors=[7, 3, 7]), anna)
    assert (act.admin, act.admin_name, act.admin_role, act.action) == (anna, "anna", "manager", "admin_user.changed")
    assert (act.target_type, act.target_id, act.contractors) == ("adminlog.adminuser", boris.pk, [3, 7])
    assert act.payload == {"after": {"role": "owner"}}
    assert act.created_at


def test_an_act_may_have_neither_target_nor_values(anna):
    act = written(journal.Act("journal.read"), anna)
    assert (act.target_type, act.target_id, act.payload, act.details, act.contractors) == (None, None, None, None, [])


def test_names_telegram_ids_and_free_text_stand_beside_the_chained_row(anna):
    values = {"role": "owner", "is_active": True, "username": "Анна", "tg_user_id": 5, "no column": "?"}
    act = written(journal.Act("admin_user.changed", anna, before=values, after=values), anna)
    plain = {"role": "owner", "is_active": True}
    personal = {"username": "Анна", "tg_user_id": 5, "no column": "?"}
    assert act.payload == {"before": plain, "after": plain}
    assert act.details.personal == {"before": personal, "after": personal}


def test_facts_are_chained_and_what_is_told_as_personal_is_not(anna):
    act = written(journal.Act("gift.queued", facts={"days": 30}, personal={"note": "Ивану"}), anna)
    assert (act.payload, act.details.personal) == ({"days": 30}, {"note": "Ивану"})


def test_a_reason_is_free_text(anna):
    act = written(journal.Act("gift.queued"), anna, reason="Иван попросил")
    assert (act.payload, act.details.personal) == (None, {"reason": "Иван попросил"})


def test_who_tells_nothing_personal_leaves_no_details(anna):
    written(journal.Act("admin_user.changed", anna, after={"role": "owner"}), anna, reason="")
    assert not ActionDetails.objects.exists()


def test_an_act_on_many_is_a_head_and_a_row_for_each(anna):
    others = AdminUserFactory.create_batch(3)
    acts = [journal.Act("admin_user.changed", other, after={"username": other.username}) for other in others]

    head = journal.record_bulk(journal.Act("staff.changed", facts={"rows": 3}), acts, by=anna, reason="New names")

    parts = AdminAction.objects.filter(part_of=head).order_by("seq")
    assert [part.target_id for part in parts] == [other.pk for other in others]
    assert [part.details.personal for part in parts] == [
        {"after": {"username": other.username}, "reason": "New names"} for other in others
    ]
    assert (head.part_of, head.details.personal, AdminAction.objects.count()) == (None, {"reason": "New names"}, 4)


def test_an_erasure_of_one_of_many_reaches_the_reason_for_all(anna):
    acts = [journal.Act("x", contractors=[number], personal={"name": f"Имя {number}"}) for number in (1, 2)]
    head = journal.record_bulk(journal.Act("x"), acts, by=anna, reason="Имя 1 и другие")

    assert journal.erase(contractor=1) == 2

    head.details.refresh_from_db()
    assert head.details.personal is None
    assert ActionDetails.objects.get(personal__isnull=False).personal["name"] == "Имя 2"


def test_what_the_database_would_refuse_at_the_commit_it_refuses_before_the_journal_is_held(anna):
    with pytest.raises(IntegrityError, match="notes_author_id"), transaction.atomic():
        Note.objects.create(contractor_id=1, author_id=10**9, text="by nobody")
        journal.record(journal.Act("note.added"), by=anna)


def test_an_act_in_a_request_names_its_address_and_id(anna):
    def view(request):
        journal.record(journal.Act("gift.queued"), by=anna)
        return HttpResponse()

    answer = origin_middleware(view)(RequestFactory().get("/", REMOTE_ADDR="203.0.113.7"))

    act = AdminAction.objects.get()
    assert (act.address, act.request_id) == ("203.0.113.7", uuid.UUID(answer.headers["X-Request-ID"]))


def test_an_act_outside_of_a_request_has_no_address(anna):
    act = written(journal.Act("gift.queued"), anna)
    assert (act.address, act.request_id) == (None, None)


def test_money_moments_and_russian_are_kept(anna):
    facts = {"price": Decimal("590.00"), "at": dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC), "name": "Профи"}
    act = written(journal.Act("plan.changed", facts=facts), anna)
    assert act.payload == {"price": "590.00", "at": "9999-12-31T23:59:00Z", "name": "Профи"}


def test_what_jsonb_does_not_store_does_not_keep_an_act_from_being_told(anna):
    told = {"nul": "a\0b", "escaped": r"a\u0000b", "half": "\ud83d", "\0": [{"\0": "\\\0"}], "nan": float("nan")}
    act = written(journal.Act("login.failed", personal=told), anna)
    assert act.details.personal == {
        "nul": "a\ufffdb",
        "escaped": r"a\u0000b",
        "half": "?",
        "\ufffd": [{"\ufffd": "\\\ufffd"}],
        "nan": "NaN",
    }


def test_the_journal_goes_with_the_transaction_of_the_act(anna):
    with transaction.atomic():
        journal.record(journal.Act("gift.added", personal={"name": "Иван"}), by=anna)
        transaction.set_rollback(True)
    assert not AdminAction.objects.exists()
    assert not ActionDetails.objects.exists()
