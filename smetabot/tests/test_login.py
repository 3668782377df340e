"""Who may into the admin: logins with an active row among the staff."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from adminlog.factories import AdminUserFactory
from adminlog.models import AdminUser
from adminlog.tests.staff import browser
from smetabot.backoffice.login import NOT_STAFF

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def login() -> User:
    return User.objects.create_superuser("anna", password=PASSWORD)


def pages() -> list[str]:
    return [
        reverse("admin:index"),
        reverse("admin:core_contractor_changelist"),
        reverse("admin:adminlog_adminuser_change", args=[AdminUser.objects.get(username="system").pk]),
        reverse("admin:core_teammember_add"),
        reverse("admin:autocomplete") + "?app_label=billing&model_name=gift&field_name=contractor&term=a",
        reverse("admin:search") + "?s=contractor",
        reverse("admin:app_list", args=["core"]),
        reverse("admin:password_change"),
        reverse("admin:jsi18n"),
    ]


def test_an_active_member_of_staff_opens_every_page():
    client = browser()
    assert {client.get(page).status_code for page in pages()} == {200}


@pytest.mark.parametrize("staff", [{"row": False}, {"is_active": False}], ids=["no row", "switched off"])
def test_a_superuser_who_is_no_active_member_of_staff_is_sent_to_the_login_page_which_says_why(staff):
    client = browser(**staff)
    for page in pages():
        response = client.get(page)
        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("admin:login"))

    answer = client.get(reverse("admin:index"), follow=True)
    assert answer.status_code == 200
    assert len(answer.redirect_chain) == 1
    assert str(NOT_STAFF) in answer.content.decode()


def test_switching_off_ends_a_session_at_its_next_request():
    client = browser()
    AdminUserFactory(owner=True, login=User.objects.create(username="boris"))
    AdminUser.objects.filter(username="anna").update(is_active=False)
    assert client.get(reverse("admin:index")).status_code == 302
    assert client.post(reverse("admin:core_teammember_add"), {}).status_code == 302


def test_a_member_of_staff_logs_in_and_lands_on_the_index(login):
    AdminUserFactory(login=login)
    response = Browser().post(reverse("admin:login"), {"username": "anna", "password": PASSWORD}, follow=True)
    assert response.redirect_chain == [(reverse("admin:index"), 302)]
    assert response.status_code == 200


def test_a_login_leads_where_one_was_going(login):
    AdminUserFactory(login=login)
    wanted = reverse("admin:core_channel_changelist")
    client = Browser()
    form = client.get(wanted, follow=True)
    response = client.post(form.context["app_path"], {"username": "anna", "password": PASSWORD}, follow=True)
    assert response.redirect_chain[-1] == (wanted, 302)


@pytest.mark.parametrize("row", [None, False], ids=["no row", "switched off"])
def test_a_login_that_belongs_to_no_active_member_of_staff_is_refused_and_says_why(login, row):
    if row is not None:
        AdminUserFactory(login=login, is_active=row)
    client = Browser()

    response = client.post(reverse("admin:login"), {"username": "anna", "password": PASSWORD})

    assert response.status_code == 200
    assert str(NOT_STAFF) in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_wrong_password_does_not_tell_who_is_staff(login):
    response = Browser().post(reverse("admin:login"), {"username": "anna", "password": "wrong"})
    assert str(NOT_STAFF) not in response.content.decode()


def test_who_cannot_be_written_down_is_not_let_in(login):
    AdminUserFactory(login=login)
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''disk full''; END';
            CREATE TRIGGER refuse BEFORE INSERT ON admin.admin_actions EXECUTE FUNCTION pg_temp.refuse();
        """)
    client = Browser(raise_request_exception=False)
    response = client.post(reverse("admin:login"), {"username": "anna", "password": PASSWORD})
    assert response.status_code == 500
    assert client.get(reverse("admin:index")).status_code == 302
    login.refresh_from_db()
    assert login.last_login is None


def test_logins_and_groups_have_no_page_of_their_own():
    client = browser()
    assert client.get("/admin/auth/user/", follow=True).status_code == 404
    assert client.get("/admin/auth/group/", follow=True).status_code == 404
