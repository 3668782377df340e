"""What BaseAdmin gives every page, seen on the page of the staff."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import F
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse

from adminlog.factories import AdminActionFactory, AdminUserFactory, JobRunFactory
from adminlog.lists import BoundedPaginator
from adminlog.models import AdminAction, AdminUser
from adminlog.tests.staff import browser

pytestmark = pytest.mark.django_db
FORM = {"username": "boris", "role": "support", "is_active": "on"}


@pytest.fixture
def boris() -> AdminUser:
    return AdminUserFactory(username="boris")


@pytest.fixture
def anna() -> Client:
    return browser()


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
    response = anna.post(page(boris), FORM | {"role": "manager"})

    assert response.status_code == 302
    boris.refresh_from_db()
    assert boris.role == "manager"
    action = AdminAction.objects.get()
    assert (action.admin.username, action.action) == ("anna", "admin_user.changed")
    assert (action.target_type, action.target_id) == ("adminlog.adminuser", boris.pk)
    assert action.payload == {"before": {"role": "support"}, "after": {"role": "manager"}}


def test_a_save_that_changes_nothing_is_no_act(anna, boris):
    anna.post(page(boris), FORM)
    assert not AdminAction.objects.exists()


def test_djangos_own_log_is_not_written(anna, boris):
    anna.post(page(boris), FORM | {"role": "manager"})
    assert not LogEntry.objects.exists()


def test_only_changed_columns_are_written(anna, boris):
    def the_bot_writes_meanwhile(instance, **kwargs):
        AdminUser.objects.filter(pk=instance.pk).update(username="renamed", tg_user_id=F("tg_user_id") + 1)

    pre_save.connect(the_bot_writes_meanwhile, sender=AdminUser)
    try:
        anna.post(page(boris), FORM | {"role": "manager"})
    finally:
        pre_save.disconnect(the_bot_writes_meanwhile, sender=AdminUser)

    saved = AdminUser.objects.get(pk=boris.pk)
    assert (saved.role, saved.username, saved.tg_user_id) == ("manager", "renamed", boris.tg_user_id + 1)


def test_what_a_trigger_refuses_is_a_message_and_leaves_no_trace(anna, boris):
    refuse_managers(deferred=False)

    response = anna.post(page(boris), FORM | {"role": "manager"}, follow=True)

    assert "Nothing was saved. The database says: no more managers" in response.content.decode()
    assert not AdminAction.objects.exists()
    boris.refresh_from_db()
    assert boris.role == "support"


@pytest.mark.django_db(transaction=True)
def test_what_a_deferred_constraint_refuses_at_the_commit_is_a_message_too(anna, boris):
    refuse_managers(deferred=True)
    try:
        response = anna.post(page(boris), FORM | {"role": "manager"}, follow=True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse_managers ON admin.admin_users")

    assert "Nothing was saved. The database says: no more managers" in response.content.decode()
    assert not AdminAction.objects.exists()


def test_the_history_of_a_row_is_the_journal_about_it(anna, boris):
    anna.post(page(boris), FORM | {"role": "manager"})
    AdminActionFactory(action="gift.added", target_type="adminlog.adminuser", target_id=boris.pk + 1)

    response = anna.get(page(boris, "history"), follow=True)

    assert response.status_code == 200
    assert [action.action for action in response.context["cl"].result_list] == ["admin_user.changed"]


def test_columns_that_are_not_editable_cannot_be_posted(anna, boris):
    anna.post(page(boris), FORM | {"tg_user_id": 5, "role": "manager"})
    assert AdminUser.objects.get(pk=boris.pk).tg_user_id == boris.tg_user_id


def test_nobody_changes_the_system_actor(anna):
    system = AdminUser.objects.get(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)
    assert anna.get(page(system)).status_code == 200
    assert anna.post(page(system), FORM).status_code == 403


def test_staff_are_neither_added_nor_deleted_here(anna, boris):
    assert anna.get(reverse("admin:adminlog_adminuser_add")).status_code == 403
    assert anna.post(page(boris, "delete"), {"post": "yes"}).status_code == 403


def test_a_value_that_a_column_cannot_hold_leads_back_to_the_list(anna):
    response = anna.get(reverse("admin:adminlog_adminuser_changelist"), {"username": "\0"})
    assert response.status_code == 302


def test_the_journal_links_to_the_row_and_bears_with_targets_it_does_not_know(anna, boris):
    AdminActionFactory(target_type="adminlog.adminuser", target_id=boris.pk)
    AdminActionFactory(target_type="a thing of the past", target_id=1)
    AdminActionFactory(target_type=None)

    content = anna.get(reverse("admin:adminlog_adminaction_changelist")).content.decode()

    assert f'href="{page(boris)}"' in content
    assert "a thing of the past 1" in content


def test_a_run_without_an_end_shows_as_unfinished(anna):
    JobRunFactory()
    assert "unfinished" in anna.get(reverse("admin:adminlog_jobrun_changelist")).content.decode()


def test_a_count_ends_where_nobody_pages(boris):
    class Three(BoundedPaginator):
        limit = 3

    AdminUserFactory.create_batch(5)
    paginator = Three(AdminUser.objects.order_by("pk"), 2)

    assert str(paginator.count) == "3+"
    assert paginator.num_pages == 2
