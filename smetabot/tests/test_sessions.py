"""How a session begins, is kept alive and ends."""

import re
from datetime import timedelta
from http.cookies import Morsel

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from adminlog.models import AdminAction, AdminUser
from adminlog.tests.form import change
from smetabot.postgres.locks import BUSY
from smetabot.tests.door import PASSWORD, code_of, enter, is_in, knock, leads_to, member, phone, told

pytestmark = pytest.mark.django_db
NEW = "another horse battery"


@pytest.fixture
def login() -> User:
    return member()


@pytest.fixture
def client(login) -> Browser:
    client = Browser()
    knock(client)
    return client


def seen_ago(client: Browser, seconds: int) -> None:
    session = client.session
    session["seen"] -= seconds
    session.save()


def cookie(response) -> Morsel | None:
    return response.cookies.get(configured.SESSION_COOKIE_NAME)


def change_password(client, old=PASSWORD, new=NEW):
    data = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(reverse("admin:password_change"), data)


def test_a_session_of_which_nothing_was_asked_for_so_long_is_over(client):
    assert is_in(client)
    Session.objects.update(expire_date=timezone.now())
    assert not is_in(client)


def test_a_session_that_is_used_lasts_on(client):
    Session.objects.update(expire_date=timezone.now() + timedelta(seconds=5))
    seen_ago(client, 61)
    response = client.get(reverse("admin:index"))
    assert cookie(response)["max-age"] == configured.SESSION_COOKIE_AGE
    left = Session.objects.get().expire_date - timezone.now()
    assert left > timedelta(seconds=configured.SESSION_COOKIE_AGE - 30)


def test_a_session_is_over_so_long_after_the_login_however_much_it_is_used(client, settings):
    session = client.session
    session["began"] -= settings.SESSION_SECONDS - 60
    session.save()
    assert is_in(client)
    session = client.session
    session["began"] -= 61
    session.save()
    assert not is_in(client)
    assert not Session.objects.exists()


def test_a_short_session_that_is_used_lasts_on_too(client, settings):
    settings.SESSION_COOKIE_AGE = 60
    seen_ago(client, 7)
    assert cookie(client.get(reverse("admin:index")))["max-age"] == 60


def test_whoever_was_switched_off_comes_in_again_by_their_password_only(client, login):
    member("boris")
    AdminUser.objects.filter(login=login).update(is_active=False)
    seen_ago(client, 61)
    assert cookie(client.get(reverse("admin:index"))) is None
    client.get(reverse("admin:login"))
    AdminUser.objects.filter(login=login).update(is_active=True)
    assert not is_in(client)


def test_to_switch_somebody_off_ends_their_sessions(client, login):
    boss = Browser()
    member("boris")
    knock(boss, "boris")
    address = reverse("admin:adminlog_adminuser_change", args=[login.admin_user.pk])
    change(boss, address, is_active="", reason="has left")
    assert not AdminUser.objects.get(login=login).is_active
    assert Session.objects.count() == 1


def test_a_session_is_written_at_most_once_a_minute(client):
    assert cookie(client.get(reverse("admin:index"))) is None


@pytest.mark.parametrize("production", [False, True])
def test_a_sessions_cookie_is_for_this_site_and_no_script(login, settings, production):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = production
    client = Browser()
    client.get(reverse("admin:login"))
    knock(client)
    for name in (configured.SESSION_COOKIE_NAME, configured.CSRF_COOKIE_NAME):
        morsel = client.cookies[name]
        assert (morsel["httponly"], morsel["samesite"], bool(morsel["secure"])) == (True, "Lax", production)


def test_a_login_begins_a_new_session_also_where_one_is_open(client):
    first = client.cookies["sessionid"].value
    knock(client)
    assert client.cookies["sessionid"].value != first
    assert Session.objects.count() == 1


def test_nobody_guesses_the_name_of_a_session(client):
    assert re.fullmatch("[0-9a-z]{32}", client.cookies["sessionid"].value)


def test_who_logs_out_is_out_and_the_journal_says_so(client):
    page = client.post(reverse("admin:logout"))
    assert page.status_code == 200
    assert not is_in(client)
    assert not Session.objects.exists()
    assert told() == [("login.succeeded", {"second_factor": None}), ("login.ended", None)]


@pytest.mark.django_db(transaction=True)
def test_nobody_comes_in_or_goes_without_a_word_in_the_journal(client, login, held_journal):
    other = Browser()
    assert str(BUSY) in knock(other, follow=True).content.decode()
    assert not is_in(other)
    assert str(BUSY) in client.post(reverse("admin:logout"), follow=True).content.decode()
    assert is_in(client)


def test_nobody_is_logged_out_by_a_link(client):
    assert client.get(reverse("admin:logout")).status_code == 405
    assert is_in(client)
    assert told("login.ended") == []


def test_a_new_password_keeps_this_session_and_ends_the_others(client, login):
    other = Browser()
    knock(other)
    assert leads_to(change_password(client), "admin:password_change_done")
    assert is_in(client)
    assert not is_in(other)
    assert leads_to(knock(other, password=NEW), "admin:index")


def test_a_new_password_keeps_a_session_with_a_second_factor(login, settings):
    settings.SECOND_FACTOR = ["owner"]
    client, device = Browser(), phone(login)
    knock(client)
    enter(client, code_of(device))
    change_password(client)
    assert is_in(client)


def test_the_journal_tells_of_ones_own_new_password_and_not_what_it_is(client, login):
    change_password(client)
    act = AdminAction.objects.get(action="admin_user.password_changed")
    assert (act.admin, act.target_id, act.payload, act.details) == (login.admin_user, login.admin_user.pk, None, None)


@pytest.mark.parametrize(("old", "new"), [("wrong", NEW), (PASSWORD, "12345678"), (PASSWORD, "anna")])
def test_a_password_is_not_changed_without_the_old_one_nor_to_a_weak_one(client, login, old, new):
    assert change_password(client, old, new).status_code == 200
    login.refresh_from_db()
    assert login.check_password(PASSWORD)
    assert told("admin_user.password_changed") == []


def test_a_new_password_leaves_what_an_owner_changes_of_the_login_meanwhile(login, rf):
    from smetabot.backoffice.login import OwnPasswordForm

    request = rf.post("/")
    form = OwnPasswordForm(
        login, {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}, request=request
    )
    assert form.is_valid()
    User.objects.update(is_active=False)
    form.save()
    assert not User.objects.get().is_active
