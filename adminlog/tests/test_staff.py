"""Owners add staff and let them in again."""

import re

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog import second_factor, staff
from adminlog.factories import AdminUserFactory
from adminlog.lock_outs import key_of
from adminlog.models import ActionDetails, AdminAction, AdminUser
from adminlog.tests.form import do, shown
from adminlog.tests.staff import browser

pytestmark = pytest.mark.django_db
ADD = "admin:adminlog_adminuser_add"
PASSWORD = "correct horse battery"


@pytest.fixture
def boris() -> Client:
    """His browser; he has a second factor and has just mistyped his password."""
    client = browser("support", username="boris", password=PASSWORD)
    login = User.objects.get(username="boris")
    TOTPDevice.objects.create(user=login, confirmed=True)
    second_factor.make_backup_codes(login)
    AccessAttempt.objects.create(username=key_of("boris"), ip_address="127.0.0.1", failures_since_start=5)
    return client


def row() -> AdminUser:
    return AdminUser.objects.get(username="boris")


def page(admin_user: AdminUser, view: str = "change") -> str:
    return reverse(f"admin:adminlog_adminuser_{view}", args=[admin_user.pk])


def password_in(response) -> str:
    (password,) = re.findall(r"(?:Password:|new password is) (\S+) \(shown only now\)", response.content.decode())
    return password


def opens(password: str, username: str = "boris") -> bool:
    return User.objects.get(username=username).check_password(password)


def add(anna: Client, **values: object):
    form = shown(anna.get(reverse(ADD)))
    return anna.post(
        reverse(ADD), form | {"username": "boris", "tg_user_id": 5, "role": "manager", "reason": "hired"} | values
    )


def reset(anna: Client, reason: str = "lost his phone"):
    return do(anna, page(row(), "reset_access"), reason=reason)


def test_who_is_added_has_a_login_of_that_name_and_the_password_that_is_shown(anna):
    response = add(anna)

    added = AdminUser.objects.get(tg_user_id=5)
    assert (added.username, added.role, added.is_active, added.login.username) == ("boris", "manager", True, "boris")
    assert added.login.is_staff and not added.login.is_superuser
    assert opens(password_in(response))


def test_a_new_password_is_in_no_cookie_no_session_and_not_in_the_journal(anna):
    password = password_in(add(anna))

    assert not [cookie for cookie in anna.cookies.values() if password in cookie.value]
    assert not [session for session in Session.objects.all() if password in str(session.get_decoded())]
    assert password not in str([*AdminAction.objects.values(), *ActionDetails.objects.values()])
    assert password not in anna.get(page(row())).content.decode()


def test_who_is_added_is_one_act_of_the_owner(anna):
    add(anna)
    act = AdminAction.objects.get()
    assert (act.admin.username, act.action, act.target_id) == ("anna", "admin_user.added", row().pk)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"username": "anna"}, "A user with that username already exists."),
        ({"username": ""}, "This field is required."),
        ({"username": "two words"}, "Enter a valid username."),
        ({"username": "b" * 151}, "at most 150 characters"),
        ({"tg_user_id": "0"}, "Staff member with this Telegram id already exists."),
        ({"tg_user_id": str(10**30)}, "less than or equal to"),
        ({"role": "superuser"}, "Select a valid choice."),
    ],
)
def test_who_cannot_be_added_is_said_beside_the_field(anna, values, says):
    response = add(anna, **values)
    assert says in response.content.decode()
    assert User.objects.count() == 1


def test_a_new_member_of_staff_comes_in_with_that_password(anna):
    password = password_in(add(anna))
    browser = Client()
    browser.post(reverse("admin:login"), {"username": "boris", "password": password})
    assert browser.get(reverse("admin:core_teammember_add")).status_code == 200


def test_a_reset_gives_a_new_password_and_takes_second_factor_and_lock_out_away(anna, boris):
    response = reset(anna)

    assert opens(password_in(response)) and not opens(PASSWORD)
    assert not second_factor.is_set_up_for(row().login)
    assert not AccessAttempt.objects.exists()
    assert "The second factor is removed. Failed logins are forgotten." in response.content.decode()


def test_a_reset_ends_all_sessions_of_theirs_and_no_other(anna, boris):
    reset(anna)
    assert boris.get(reverse("admin:index")).status_code == 302
    assert anna.get(reverse("admin:index")).status_code == 200


def test_a_reset_is_journaled_with_its_reason(anna, boris):
    reset(anna)
    act = AdminAction.objects.get(action="admin_user.reset")
    assert (act.admin.username, act.target_id) == ("anna", row().pk)
    assert act.payload == {"password": True, "second_factor": True, "failed_logins": True}
    assert act.details.personal == {"reason": "lost his phone"}


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_a_reset_without_a_reason_does_nothing(anna, boris, reason):
    assert reset(anna, reason).status_code == 200
    assert opens(PASSWORD)
    assert not AdminAction.objects.exists()


def test_to_look_at_the_reset_does_nothing(anna, boris):
    assert anna.get(page(row(), "reset_access")).status_code == 200
    assert opens(PASSWORD)


def test_there_is_a_button_for_the_reset(anna, boris):
    assert page(row(), "reset_access") in anna.get(page(row())).content.decode()


def test_managers_have_no_such_button(boris):
    client = browser("manager", username="clara")
    assert page(row(), "reset_access") not in client.get(page(row())).content.decode()


@pytest.mark.parametrize(
    ("username", "says"),
    [
        ("system", "system has no login, so there is nothing to reset."),
        ("without login", "without login has no login"),
        ("anna", "Nobody resets themselves. Change your password on the page for it."),
    ],
)
def test_who_cannot_be_reset_has_no_button_and_is_refused_with_a_reason(anna, username, says):
    if username == "without login":
        AdminUserFactory(username=username)
    admin_user = AdminUser.objects.get(username=username)
    address = page(admin_user, "reset_access")

    assert address not in anna.get(page(admin_user)).content.decode()
    assert says in anna.post(address, {"reason": "why not"}, follow=True).content.decode()
    assert not AdminAction.objects.exists()


def test_a_reset_of_nobody_leads_back(anna):
    for key in ("0", "nothing", str(10**30)):
        assert anna.get(reverse("admin:adminlog_adminuser_reset_access", args=[key])).status_code == 302


def test_who_is_switched_off_stays_so_after_a_reset(anna, boris):
    AdminUser.objects.filter(username="boris").update(is_active=False)
    reset(anna)
    assert not row().is_active


def test_a_kept_password_and_second_factor_stay_while_sessions_end(boris):
    told = staff.reset_access(row(), by=staff.system(), keep_password=True, keep_second_factor=True)

    assert opens(PASSWORD)
    assert second_factor.is_set_up_for(row().login)
    assert boris.get(reverse("admin:index")).status_code == 302
    assert str(told).startswith("The password stays. No second factor is removed. Failed logins are forgotten.")


def test_a_reset_says_what_was_not_there(db):
    browser("support", username="boris")
    told = staff.reset_access(row(), by=staff.system(), keep_password=True)
    assert str(told).startswith("The password stays. No second factor is removed. There were no failed logins.")


def test_a_weak_password_changes_nothing(boris):
    with pytest.raises(ValidationError, match="too common"):
        staff.reset_access(row(), by=staff.system(), password="password")
    assert opens(PASSWORD)
    assert second_factor.is_set_up_for(row().login)


def test_a_new_name_of_the_row_leaves_the_login_alone(anna, boris):
    form = shown(anna.get(page(row())))
    anna.post(page(row()), form | {"username": "Борис", "reason": "in letters of his own"})
    assert AdminUser.objects.get(username="Борис").login.username == "boris"
