"""How staff read the journal: its list, an entry's page and the export."""

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from adminlog import journal, story
from adminlog.factories import ActionDetailsFactory, AdminActionFactory, AdminUserFactory
from adminlog.models import AdminAction, AdminUser

pytestmark = pytest.mark.django_db
LIST = reverse("admin:adminlog_adminaction_changelist")


@pytest.fixture
def boris(db: None) -> AdminUser:
    return AdminUserFactory(username="boris")


def page(act: AdminAction) -> str:
    return reverse("admin:adminlog_adminaction_change", args=[act.pk])


def acts(anna: Client, **query: Any) -> list[str]:
    response = anna.get(LIST, query)
    assert response.status_code == 200
    return [act.action for act in response.context["cl"].result_list]


def test_the_list_tells_who_in_which_role_did_what_and_why(anna, boris):
    change = journal.Act("admin_user.changed", boris, before={"role": "support"}, after={"role": "manager"})
    journal.record(change, by=boris, reason="Новая работа")
    AdminUser.objects.filter(pk=boris.pk).update(username="renamed", role="owner")

    content = anna.get(LIST).content.decode()

    staff = reverse("admin:adminlog_adminuser_change", args=[boris.pk])
    assert f'<a href="{staff}" class="text-link">boris</a> (support)' in content
    assert "role: Support → Manager" in content
    assert "Новая работа" in content


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"action": "b"}, ["b"]),
        ({"target_type": "core.channel"}, ["b"]),
        ({"target_type": "core.contractor", "target_id": 1}, ["a"]),
        ({"contractor": 7}, ["c"]),
        ({"q": "boris"}, ["c"]),
        (
            {"action": "", "admin": "", "target_type": "", "created_at_from_0": "", "created_at_to_1": ""},
            ["c", "b", "a"],
        ),
        ({"created_at_from_0": "2020-01-01"}, ["c", "b", "a"]),
        ({"created_at_to_0": "2020-01-01"}, []),
        ({"created_at_from_0": "9999-12-31", "created_at_from_1": "23:59:59"}, []),
        ({"created_at_from_0": "2020-01-01", "created_at_to_0": "9999-12-31", "action": "a"}, ["a"]),
    ],
)
def test_it_is_filtered(anna, boris, query, found):
    AdminActionFactory(action="a", target_type="core.contractor", target_id=1)
    AdminActionFactory(action="b", target_type="core.channel", target_id=1)
    AdminActionFactory(action="c", target_type="core.contractor", target_id=2, contractors=[7, 8], admin=boris)
    assert acts(anna, **query) == found


def test_it_is_filtered_by_person(anna, boris):
    AdminActionFactory(action="a")
    AdminActionFactory(action="b", admin=boris)
    assert acts(anna, admin=boris.pk) == ["b"]


def test_a_day_is_meant_from_its_first_moment_to_its_last(anna):
    made = AdminActionFactory(action="a").created_at
    today = made.date()
    assert acts(anna, created_at_from_0=today, created_at_to_0=today) == ["a"]
    assert acts(anna, created_at_from_0=today, created_at_to_0=today, created_at_to_1="00:00") == []
    assert acts(anna, created_at_to_0=today, created_at_to_1=f"{made:%H:%M}") == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        {"contractor": "x"},
        {"contractor": 10**30},
        {"admin": "x"},
        {"admin": "9" * 5000},
        {"created_at_from_0": "yesterday"},
        {"created_at_to_0": "2026-01-01", "created_at_to_1": "late"},
    ],
)
def test_a_filter_without_sense_leads_back_to_the_list(anna, query):
    assert anna.get(LIST, query).status_code == 302


def test_the_acts_and_targets_that_occur_are_offered_once_each(anna):
    for action, target_type in (("b", None), ("a", "core.channel"), ("b", "of old"), ("c", "of old")):
        AdminActionFactory(action=action, target_type=target_type)

    _, by_act, by_target, *_ = anna.get(LIST).context["cl"].filter_specs

    assert by_act.lookup_choices == [("a", "a"), ("b", "b"), ("c", "c")]
    assert by_target.lookup_choices == [("core.channel", "channel"), ("of old", "of old")]


def test_the_filter_by_contractor_shows_only_when_it_is_used(anna):
    assert "contractor" not in [spec.title for spec in anna.get(LIST).context["cl"].filter_specs]
    assert "contractor" in [spec.title for spec in anna.get(LIST, {"contractor": 7}).context["cl"].filter_specs]


def test_a_page_shows_each_column_before_and_after_personal_ones_among_them(anna, boris):
    act = journal.record(
        journal.Act(
            "admin_user.changed",
            boris,
            before={"role": "support", "username": "boris", "is_active": True},
            after={"role": "manager", "username": "Борис", "is_active": True},
        ),
        by=boris,
        reason="Новая работа",
    )
    assert story.changes(act) == [
        ("username", "boris", "Борис"),
        ("role", "Support", "Manager"),
        ("is active", "yes", "yes"),
    ]
    content = anna.get(page(act)).content.decode()
    for text in ("Новая работа", " UTC", AdminAction.objects.get().hash):
        assert text in content
    assert '<span class="text-green-700 dark:text-green-400">Борис</span>' in content
    assert '<span class="text-green-700 dark:text-green-400">yes</span>' not in content


def test_a_moment_is_shown_as_everywhere(anna, boris):
    act = journal.record(journal.Act("x", boris, after={"added_at": boris.added_at.replace(year=2025)}), by=boris)
    assert story.changes(AdminAction.objects.get(pk=act.pk))[0].after.startswith(
        f"{boris.added_at:%-d\xa0%b\xa02025}, "
    )


def test_what_was_emptied_is_said_to_be(anna, boris):
    act = journal.record(journal.Act("x", boris, after={"username": "b"}, contractors=[1]), by=boris, reason="secret")
    journal.erase(contractor=1)
    assert "emptied by an erasure" in anna.get(LIST).content.decode()
    content = anna.get(page(act)).content.decode()
    assert "emptied by an erasure" in content
    assert "secret" not in content


def test_the_head_of_many_lists_its_parts_and_a_part_links_to_it(anna, boris):
    head = journal.record_bulk(journal.Act("staff.changed"), [journal.Act("admin_user.changed", boris)] * 12, by=boris)
    [parts] = anna.get(page(head)).context["sections"]
    assert (parts.heading, len(parts.result_list), parts.result_count) == ("parts", 10, 12)
    assert len(anna.get(parts.whole_url).context["cl"].result_list) == 12
    part = parts.result_list[0]
    assert f'href="{page(head)}"' in anna.get(page(part)).content.decode()
    assert anna.get(page(part)).context["sections"] == []


@pytest.mark.parametrize(
    "payload",
    [
        *[5, "text", [1, {"a": 2}], True, {}, {"before": 5}, {"after": [1], "before": None}, {"before": {"role": {}}}],
        *[{"reason": 5}, {"before": {"x": None}, "after": 5}, {"after": {"added_at": "no time"}}, "<script>1"],
    ],
)
def test_whatever_plain_sql_wrote_is_shown(anna, payload):
    for target in ("adminlog.adminuser", "nothing", "a.b.c", None):
        act = AdminActionFactory(payload=payload, target_type=target, details=ActionDetailsFactory(personal=payload))
        assert "<script>1" not in anna.get(page(act)).content.decode()
    content = anna.get(LIST).content.decode()
    assert "<script>1" not in content


@pytest.mark.parametrize("payload", ["1e5000", "[" * 3000 + "]" * 3000], ids=["a long number", "a deep list"])
def test_what_python_cannot_read_takes_no_list_away(anna, payload):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO admin.admin_actions (admin_id, action, payload) SELECT id, 'x', %s FROM admin.admin_users"
            " WHERE username = 'anna' RETURNING id",
            [payload],
        )
        [pk] = cursor.fetchone()
    assert anna.get(LIST).status_code == 200
    assert anna.get(page(AdminAction(pk=pk))).status_code == 200
    assert len(rows(export(anna, pk))) == 1


def test_a_year_that_no_calendar_has_leads_back_to_the_list(anna):
    assert anna.get(LIST, {"created_at__year": "9" * 19}).status_code == 302


# --- Export


def export(anna: Client, *chosen: int, **query: str) -> Any:
    return anna.post(f"{LIST}export/?{urlencode(query)}", {"format": "csv", "_selected_action": chosen})


def rows(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    assert text[0] == "\ufeff"
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_the_export_has_a_row_for_each_entry_with_what_is_personal(anna, boris):
    act = journal.record(
        journal.Act(
            "admin_user.changed", boris, before={"role": "support"}, after={"username": "Борис"}, contractors=[1, 2]
        ),
        by=boris,
        reason="Новая работа",
    )
    [row] = rows(export(anna, act.pk))
    assert (row["seq"], row["name"], row["role"], row["act"]) == ("1", "boris", "support", "admin_user.changed")
    assert (json.loads(row["before"]), json.loads(row["after"])) == ({"role": "support"}, {"username": "Борис"})
    assert (row["reason"], row["contractors"], row["time"][-6:]) == ("Новая работа", "1 2", "+00:00")
    assert row["hash"] == AdminAction.objects.get(pk=act.pk).hash


def test_an_export_of_all_that_is_filtered_goes_past_the_page(anna):
    AdminActionFactory.create_batch(60, action="a")
    AdminActionFactory(action="b")
    assert len(rows(export(anna, action="a"))) == 60


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_no_formula_leaves_the_house(anna, start):
    details = ActionDetailsFactory(personal={"reason": f"{start}cmd|' /C calc'!A0"})
    act = AdminActionFactory(action=f"{start}1+1", details=details)
    [row] = rows(export(anna, act.pk))
    assert (row["act"][:2], row["reason"][:2]) == (f"'{start}", f"'{start}")


@pytest.mark.parametrize("blank", ["\t", "\r", "\n", " ", "\u00a0"])
def test_nothing_blank_hides_a_formula(anna, blank):
    details = ActionDetailsFactory(personal={"reason": f"{blank}=1+1"})
    [row] = rows(export(anna, AdminActionFactory(details=details).pk))
    assert row["reason"] == "'=1+1"


def test_an_export_is_an_act_that_is_not_in_it(anna):
    AdminActionFactory.create_batch(3, action="a")
    exported = rows(export(anna, action="a", q="boris", contractor="5"))
    act = AdminAction.objects.get(action="list.exported")
    told = {"list": "adminlog.adminaction", "format": "csv", "chosen": False}
    assert (act.payload, act.contractors) == ({**told, "rows": 0, "searched": True}, [5])
    assert act.details.personal == {"filters": {"action": "a", "contractor": "5"}}
    assert exported == []

    assert len(rows(export(anna))) == 4
    assert AdminAction.objects.latest("pk").payload == {**told, "rows": 4, "searched": False}


def test_what_is_written_while_an_export_streams_is_not_in_it(anna):
    AdminActionFactory.create_batch(3)
    response = export(anna)
    AdminActionFactory()
    assert len(rows(response)) == 3
