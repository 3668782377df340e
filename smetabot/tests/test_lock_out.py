"""What comes of wrong passwords and codes, and what is kept of them."""

import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client as Browser
from django.urls import reverse

from adminlog import staff
from adminlog.models import ActionDetails, AdminAction, AdminUser
from adminlog.roles import OWNER
from smetabot.backoffice.login import NOT_STAFF
from smetabot.tests.door import (
    PASSWORD,
    at_once,
    code_of,
    enter,
    is_in,
    knock,
    leads_to,
    member,
    phone,
    told,
    wrong_code,
)

pytestmark = pytest.mark.django_db
LIMIT = configured.AXES_FAILURE_LIMIT
FAILED = ("login.failed", {"step": "password"})
LOCKED_OUT = ("login.locked_out", None)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.OTP_TOTP_THROTTLE_FACTOR = 0


@pytest.fixture
def login() -> User:
    return member()


@pytest.fixture
def client() -> Browser:
    return Browser()


@pytest.fixture
def locked_out(login, client) -> Browser:
    for _ in range(LIMIT):
        knock(client, password="wrong")
    return client


def test_wrong_passwords_lock_out_and_the_page_says_for_how_long_and_who_can_lift_it(login, client):
    answers = [knock(client, password="wrong") for _ in range(LIMIT)]
    assert [answer.status_code for answer in answers] == [200] * (LIMIT - 1) + [429]
    page = answers[-1].content.decode()
    assert "Wait 15 minutes" in page
    assert "an owner" in page
    assert "manage.py reset_admin" in page
    assert "no-store" in answers[-1].headers["Cache-Control"]


def test_during_a_lock_out_the_right_password_opens_nothing(locked_out):
    assert knock(locked_out).status_code == 429
    assert not is_in(locked_out)


def test_the_journal_tells_of_each_failure_and_of_the_lock_out_once(locked_out, login):
    knock(locked_out, password="wrong")
    knock(locked_out)
    assert told() == [FAILED] * LIMIT + [LOCKED_OUT]
    assert {(act.admin, act.target_id, act.address) for act in AdminAction.objects.all()} == {
        (login.admin_user, login.admin_user.pk, "127.0.0.1")
    }


def test_a_lock_out_ends_by_itself_and_the_next_one_is_told_again(locked_out):
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))
    for _ in range(LIMIT):
        knock(locked_out, password="wrong")
    assert told("login.locked_out") == [LOCKED_OUT] * 2


def test_attempts_during_a_lock_out_do_not_lengthen_it(locked_out):
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=14))
    assert knock(locked_out).status_code == 429
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=2))
    assert leads_to(knock(locked_out), "admin:index")


def test_a_lock_out_is_of_one_name_from_one_address(locked_out):
    member("boris")
    assert leads_to(knock(Browser(), "boris"), "admin:index")
    assert leads_to(knock(Browser(REMOTE_ADDR="192.0.2.7")), "admin:index")


def test_an_owner_lifts_it(locked_out, login):
    staff.reset_access(login.admin_user, by=staff.system(), keep_password=True)
    assert leads_to(knock(locked_out), "admin:index")


def test_a_login_forgets_the_failures_before_it(login, client):
    for _ in range(2):
        for _ in range(LIMIT - 1):
            knock(client, password="wrong")
        assert leads_to(knock(client), "admin:index")
    assert told("login.locked_out") == []


def test_a_right_password_alone_forgets_no_failures(login, client):
    device = phone(login)
    for _ in range(LIMIT - 1):
        knock(client)
        enter(client, wrong_code(device))
    knock(client)
    assert enter(client, wrong_code(device)).status_code == 429
    assert told() == [("login.failed", {"step": "code"})] * LIMIT + [LOCKED_OUT]


def test_during_a_lock_out_no_code_is_looked_at_and_the_password_is_forgotten(login, client):
    device = phone(login)
    knock(client)
    other = Browser()
    for _ in range(LIMIT):
        knock(other, password="wrong")
    assert enter(client, code_of(device)).status_code == 429
    AccessAttempt.objects.all().delete()
    assert leads_to(enter(client, code_of(device)), "admin:login")
    assert not is_in(client)


def test_during_a_lock_out_nobody_sets_up_a_second_factor(login, client, settings):
    settings.SECOND_FACTOR = [OWNER]
    knock(client)
    other = Browser()
    for _ in range(LIMIT):
        knock(other, password="wrong")
    assert client.get(reverse("admin:login_set_up")).status_code == 429
    assert leads_to(client.get(reverse("admin:login_set_up")), "admin:login")


@pytest.mark.parametrize("proof", ["wrong", "code"])
def test_guesses_on_the_page_of_ones_own_second_factor_lock_out(login, proof):
    device = phone(login)
    thief = Browser()
    thief.force_login(login)
    guess = wrong_code(device) if proof == "code" else proof
    answers = [thief.post(reverse("admin:second_factor"), {"act": "renew", "password": guess}) for _ in range(LIMIT)]
    assert [answer.status_code for answer in answers] == [200] * (LIMIT - 1) + [429]
    answer = thief.post(reverse("admin:second_factor"), {"act": "renew", "password": PASSWORD})
    assert answer.status_code == 429
    assert told("second_factor.backup_codes_made") == []


def test_guesses_on_the_page_of_ones_own_password_lock_out(login):
    thief = Browser()
    thief.force_login(login)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    answers = [thief.post(reverse("admin:password_change"), {"old_password": "x", **new}) for _ in range(LIMIT)]
    assert answers[-1].status_code == 429
    assert thief.post(reverse("admin:password_change"), {"old_password": PASSWORD, **new}).status_code == 429
    login.refresh_from_db()
    assert login.check_password(PASSWORD)


# Whose failure it was.


def test_a_name_that_nobody_has_is_told_beside_the_chain_and_not_whole_because_it_may_be_a_password(client):
    knock(client, "somebody@example.com", "wrong")
    act = AdminAction.objects.get()
    assert (act.admin.username, act.target_id, act.payload) == ("system", None, {"step": "password"})
    assert act.details.personal == {"username": "so…"}


def test_a_name_that_nobody_has_is_locked_out_like_any_other(client):
    answers = [knock(client, "somebody", "wrong") for _ in range(LIMIT)]
    assert answers[-1].status_code == 429
    assert told() == [FAILED] * LIMIT + [LOCKED_OUT]


@pytest.mark.parametrize("row", [None, False], ids=["no row", "switched off"])
def test_a_right_password_of_no_active_member_of_staff_is_a_failure(client, row):
    if row is None:
        User.objects.create_superuser("anna", password=PASSWORD)
    else:
        member(is_active=False)
        member("boris")
    assert str(NOT_STAFF) in knock(client).content.decode()
    assert told() == [FAILED]
    assert AdminAction.objects.get().admin.username == ("system" if row is None else "anna")


def test_a_login_that_django_does_not_call_staff_is_refused(client, login):
    User.objects.update(is_staff=False)
    assert knock(client).status_code == 200
    assert not is_in(client)
    assert told() == [FAILED]


@pytest.mark.parametrize("name", ["a\0b", "x" * 151, "x" * 100_000, ""], ids=["NUL", "151", "endless", "empty"])
def test_a_name_that_no_login_can_have_is_refused_in_the_page(client, name):
    assert knock(client, name, "wrong").status_code == 200


@pytest.mark.parametrize("code", ["a\0b", "x" * 100_000, "", "١٢٣٤٥٦"], ids=["NUL", "endless", "empty", "arabic"])
def test_what_is_no_code_is_refused_in_the_page(client, login, code):
    phone(login)
    knock(client)
    assert enter(client, code).status_code == 200
    assert not is_in(client)


# What is kept.


def test_no_password_code_or_token_is_kept_of_what_failed(login, settings):
    settings.SECOND_FACTOR = [OWNER]
    device = phone(login)
    client = Browser(enforce_csrf_checks=True)
    secrets = {"typed-password", "typed-backup-code", "typed-old-password", wrong_code(device)}

    def post(page, **data):
        token = client.get(reverse(page)).context["csrf_token"]
        secrets.add(str(token))
        client.post(f"{reverse(page)}?next=/admin/%3Fq%3DIvanov", {"csrfmiddlewaretoken": token, **data})

    def kept():
        return repr([list(model.objects.values()) for model in (AccessAttempt, AdminAction, ActionDetails)])

    post("admin:login", username="anna", password="typed-password")
    post("admin:login", username="anna", password=PASSWORD)
    post("admin:login_code", code="typed-backup-code")
    post("admin:login_code", code=wrong_code(device))
    before = kept()  # a login forgets the failures before it
    post("admin:login_code", code=code_of(device))
    assert is_in(client)
    post("admin:second_factor", act="renew", password="typed-password")
    post("admin:password_change", old_password="typed-old-password", new_password1="n", new_password2="n")
    after = kept()

    assert len(told("login.failed")) == 5
    assert [secret for secret in [*secrets, PASSWORD, "Ivanov"] if secret in before + after] == []


def test_no_name_is_kept_that_somebody_may_have_typed_their_password_as(client):
    knock(client, "correct horse battery", password="wrong")
    (counted,) = AccessAttempt.objects.values_list("username", flat=True)
    assert re.fullmatch("[0-9a-f]{64}", counted)
    assert told("login.failed") == [FAILED]


UNSTORABLE = {
    "an encoding": {"content_type": "multipart/form-data; boundary=XX; charset=unicode_escape"},
    "a browser's name": {"HTTP_USER_AGENT": "\0"},
    "what a browser takes": {"HTTP_ACCEPT": "text/html\0"},
    "a cookie": {"HTTP_COOKIE": 'sessionid="a\\000"'},
}


@pytest.mark.parametrize("how", UNSTORABLE)
@pytest.mark.parametrize("password", ["wrong", PASSWORD])
def test_no_failure_stays_uncounted_because_it_could_not_be_stored(login, client, how, password):
    parts = {"username": "anna", "password": password, "x": "\\ud800"}
    body = "".join(f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{parts[name]}\r\n' for name in parts)
    sent = {"content_type": "multipart/form-data; boundary=XX"} | UNSTORABLE[how]
    answer = client.generic("POST", reverse("admin:login"), body + "--XX--\r\n", **sent)
    assert answer.status_code == 400
    assert told() == []


# At the same time.


@pytest.mark.django_db(transaction=True)
def test_of_many_failures_at_once_exactly_one_is_the_lock_out():
    member()
    browsers = [Browser(HTTP_USER_AGENT=f"browser {number}") for number in range(LIMIT + 3)]
    at_once(browsers, lambda browser: knock(browser, password="wrong"))
    assert told("login.locked_out") == [LOCKED_OUT]
    assert len(told("login.failed")) >= LIMIT
    assert AdminUser.objects.filter(username="anna").exists()
