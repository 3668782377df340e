"""What BaseAdmin gives every page, seen on the page of the staff."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import F
from django.urls import reverse

from adminlog.factories import AdminActionFactory, AdminUserFactory, JobRunFactory
from adminlog.lists import BoundedPaginator
from adminlog.models import AdminAction, AdminUser
from adminlog.tests.form import change, shown
from smetabot.postgres.locks import BUSY

pytestmark = pytest.mark.django_db


@pytest.fixture
def boris() -> AdminUser:
    return AdminUserFactory(username="boris")


def page(row: AdminUser, view: str = "change") -> str:
    return reverse(f"admin:adminlog_adminuser_{view}", args=[row.pk])


def refuse_managers(*, deferred: bool) -> None:
    """A rule that only the database knows."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no more managers' USING ERRCODE = '23514'; END $$
        """)
        cursor.execute(f"""
            CREATE CONSTRAINT TRIGGER refuse_managers AFTER UPDATE ON admin.admin_users
            {"DEFERRABLE INITIALLY DEFERRED" if deferred else ""}
            FOR EACH ROW WHEN (new.role = 'manager') EXECUTE FUNCTION pg_temp.refuse()
        """)


def test_a_change_is_journaled_with_before_and_after(anna, boris):
    response = change(anna, page(boris), reason="promoted", role="manager")

    assert response.status_code == 302
    boris.refresh_from_db()
    assert boris.role == "manager"
    action = AdminAction.objects.get()
    assert (action.admin.username, action.action) == ("anna", "admin_user.changed")
    assert (action.target_type, action.target_id) == ("adminlog.adminuser", boris.pk)
    assert action.payload == {"before": {"role": "support"}, "after": {"role": "manager"}}


def test_a_save_that_changes_nothing_is_no_act(anna, boris):
    change(anna, page(boris))
    assert not AdminAction.objects.exists()


def test_djangos_own_log_is_not_written(anna, boris):
    change(anna, page(boris), reason="promoted", role="manager")
    assert not LogEntry.objects.exists()


def test_what_others_wrote_while_a_form_was_open_stays(anna, boris):
    form = shown(anna.get(page(boris)))
    AdminUser.objects.filter(pk=boris.pk).update(username="renamed", tg_user_id=F("tg_user_id") + 1)

    anna.post(page(boris), form | {"role": "manager", "reason": "promoted"})

    saved = AdminUser.objects.get(pk=boris.pk)
    assert (saved.role, saved.username, saved.tg_user_id) == ("manager", "renamed", boris.tg_user_id + 1)
    assert AdminAction.objects.get().payload == {"before": {"role": "support"}, "after": {"role": "manager"}}


def test_a_value_that_others_changed_meanwhile_is_not_overwritten(anna, boris):
    form = shown(anna.get(page(boris)))
    AdminUser.objects.filter(pk=boris.pk).update(username="renamed")

    response = anna.post(page(boris), form | {"username": "Борис"})

    assert "Username was changed meanwhile to renamed; look again." in response.content.decode()
    assert shown(response)["username"] == "Борис"
    assert AdminUser.objects.get(pk=boris.pk).username == "renamed"
    assert not AdminAction.objects.exists()


def test_who_was_told_of_the_change_may_save_all_the_same(anna, boris):
    form = shown(anna.get(page(boris)))
    AdminUser.objects.filter(pk=boris.pk).update(username="renamed")
    told = anna.post(page(boris), form | {"username": "Борис", "reason": "mistyped"})

    anna.post(page(boris), shown(told))

    assert AdminAction.objects.get().details.personal == {
        "before": {"username": "renamed"},
        "after": {"username": "Борис"},
        "reason": "mistyped",
    }


def test_who_was_told_of_another_error_first_is_told_of_the_change_next(anna, boris):
    form = shown(anna.get(page(boris)))
    AdminUser.objects.filter(pk=boris.pk).update(role="manager")
    told = anna.post(page(boris), form | {"role": "no such role"})

    response = anna.post(page(boris), shown(told) | {"role": "owner"})

    assert "Role was changed meanwhile to manager" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_save_waits_for_a_write_that_is_under_way_and_does_not_undo_it(anna, boris, colleague, wait_for_lock):
    form = shown(anna.get(page(boris)))
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE admin.admin_users SET username = 'renamed' WHERE id = %s", [boris.pk])

    def save() -> str:
        try:
            return anna.post(page(boris), form | {"username": "Борис"}).content.decode()
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        answer = threads.submit(save)
        wait_for_lock()
        colleague.commit()

    assert "was changed meanwhile to renamed" in answer.result()


def test_what_a_trigger_refuses_is_a_message_and_leaves_no_trace(anna, boris):
    refuse_managers(deferred=False)

    change(anna, page(boris), reason="promoted", role="manager")

    response = anna.get(page(boris))
    assert "Nothing was saved. The database says: no more managers" in response.content.decode()
    assert not AdminAction.objects.exists()
    boris.refresh_from_db()
    assert boris.role == "support"


@pytest.mark.django_db(transaction=True)
def test_what_a_deferred_constraint_refuses_at_the_commit_is_a_message_too(anna, boris):
    refuse_managers(deferred=True)
    try:
        change(anna, page(boris), reason="promoted", role="manager")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse_managers ON admin.admin_users")

    response = anna.get(page(boris))
    assert "Nothing was saved. The database says: no more managers" in response.content.decode()
    assert not AdminAction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_waited_too_long_for_the_journal_is_told_to_try_again(anna, boris, held_journal):
    change(anna, page(boris), reason="promoted", role="manager")
    assert str(BUSY) in anna.get(page(boris)).content.decode()
    boris.refresh_from_db()
    assert boris.role == "support"


def test_the_history_of_a_row_is_the_journal_about_it(anna, boris):
    change(anna, page(boris), reason="promoted", role="manager")
    AdminActionFactory(action="gift.added", target_type="adminlog.adminuser", target_id=boris.pk + 1)

    response = anna.get(page(boris, "history"), follow=True)

    assert response.status_code == 200
    assert [action.action for action in response.context["cl"].result_list] == ["admin_user.changed"]


def test_columns_that_are_not_editable_cannot_be_posted(anna, boris):
    change(anna, page(boris), tg_user_id=5, role="manager")
    assert AdminUser.objects.get(pk=boris.pk).tg_user_id == boris.tg_user_id


def test_nobody_changes_the_system_actor(anna):
    system = AdminUser.objects.get(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)
    assert anna.get(page(system)).status_code == 200
    assert anna.post(page(system), {"role": "owner"}).status_code == 403


def test_nobody_shuts_themselves_out(anna):
    oneself = AdminUser.objects.get(username="anna")
    assert anna.get(page(oneself)).status_code == 200
    assert anna.post(page(oneself), {"username": "anna", "role": "support"}).status_code == 403


def test_staff_are_not_deleted(anna, boris):
    assert anna.post(page(boris, "delete"), {"post": "yes"}).status_code == 403


def test_a_value_that_a_column_cannot_hold_leads_back_to_the_list(anna):
    response = anna.get(reverse("admin:adminlog_adminuser_changelist"), {"username": "\0"})
    assert response.status_code == 302


def test_rows_that_cannot_be_are_chosen_in_vain(anna):
    chosen = {"action": "delete_selected", "_selected_action": ["abc", "\0", "9" * 5000, str(10**30)], "post": "yes"}
    assert anna.post(reverse("admin:core_teammember_changelist"), chosen, follow=True).status_code == 200


def test_the_journal_links_to_the_row_and_bears_with_targets_it_does_not_know(anna, boris):
    AdminActionFactory(target_type="adminlog.adminuser", target_id=boris.pk)
    AdminActionFactory(target_type="a thing of the past", target_id=1)
    AdminActionFactory(target_type=None)

    content = anna.get(reverse("admin:adminlog_adminaction_changelist")).content.decode()

    assert f'href="{page(boris)}"' in content
    assert "a thing of the past 1" in content


def test_a_run_without_an_end_shows_as_unfinished(anna):
    JobRunFactory()
    assert "Unfinished" in anna.get(reverse("admin:adminlog_jobrun_changelist")).content.decode()


def test_a_count_ends_where_nobody_pages(boris):
    class Three(BoundedPaginator):
        limit = 3

    AdminUserFactory.create_batch(5)
    paginator = Three(AdminUser.objects.order_by("pk"), 2)

    assert str(paginator.count) == "3+"
    assert paginator.num_pages == 2
