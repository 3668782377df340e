"""The second step of a login, and what one does to one's own second factor."""

import re
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog import logins, second_factor, staff
from adminlog.models import AdminAction, AdminUser
from adminlog.roles import MANAGER, OWNER, SUPPORT
from smetabot.backoffice.login import STEP_SECONDS
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


@pytest.fixture(autouse=True)
def in_production(settings):
    settings.SECOND_FACTOR = [SUPPORT, MANAGER, OWNER]
    settings.OTP_TOTP_THROTTLE_FACTOR = settings.OTP_STATIC_THROTTLE_FACTOR = 0


@pytest.fixture
def login() -> User:
    return member()


@pytest.fixture
def device(login) -> TOTPDevice:
    return phone(login)


@pytest.fixture
def client() -> Browser:
    return Browser()


@pytest.fixture
def inside(login, device, client) -> Browser:
    """A browser that is logged in with both factors, by the code that the phone shows now."""
    knock(client)
    enter(client, code_of(device))
    return client


def key_shown(response) -> TOTPDevice:
    """The device whose key the page shows, as somebody would type it."""
    key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', response.content.decode())[1].replace(" ", "")
    return next(each for each in TOTPDevice.objects.all() if f"secret={key}" in each.config_url)


def codes_shown(response) -> list[str]:
    return re.findall(r"<li><code[^>]*>(\w+)</code></li>", response.content.decode())


def ask(client, act, password=PASSWORD, **extra):
    return client.post(reverse("admin:second_factor"), {"act": act, "password": password}, **extra)


# The step after the password.


def test_a_right_password_alone_lets_nobody_in(client, device):
    assert leads_to(knock(client), "admin:login_code")
    assert not is_in(client)
    assert "_auth_user_id" not in client.session
    assert told("login.succeeded") == []


def test_the_code_that_the_phone_shows_lets_in_and_the_journal_says_so(client, login, device):
    knock(client)
    assert leads_to(enter(client, code_of(device)), "admin:index")
    assert is_in(client)
    assert told() == [("login.succeeded", {"second_factor": "authenticator"})]
    assert AdminAction.objects.get().admin.login == login


@pytest.mark.parametrize("shape", ["{} {}", " {}-{} "])
def test_a_code_may_be_typed_as_the_phone_shows_it(client, device, shape):
    knock(client)
    code = code_of(device)
    enter(client, shape.format(code[:3], code[3:]))
    assert is_in(client)


def test_a_wrong_code_is_refused_and_counted_and_does_not_stay_in_the_page(client, device):
    knock(client)
    page = enter(client, wrong_code(device)).content.decode()
    assert "This code is wrong" in page
    assert f'value="{wrong_code(device)}"' not in page
    assert not is_in(client)
    assert told() == [("login.failed", {"step": "code"})]


def test_a_code_lets_in_once(client, device):
    knock(client)
    code = code_of(device)
    enter(client, code)
    other = Browser()
    knock(other)
    enter(other, code)
    assert is_in(client)
    assert not is_in(other)


def test_a_backup_code_lets_in_once(client, login, device):
    code, *_ = second_factor.make_backup_codes(login)
    knock(client)
    answer = enter(client, code.upper(), follow=True)
    assert "Unused ones left: 9" in answer.content.decode()
    assert told("login.succeeded") == [("login.succeeded", {"second_factor": "backup_code"})]

    other = Browser()
    knock(other)
    enter(other, code)
    assert is_in(client)
    assert not is_in(other)


def test_a_code_leads_where_one_was_going(client, device):
    wanted = reverse("admin:core_channel_changelist")
    client.post(f"{reverse('admin:login')}?next={wanted}", {"username": "anna", "password": PASSWORD})
    assert leads_to(enter(client, code_of(device)), "admin:core_channel_changelist")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/admin/", "javascript:alert(1)"])
def test_a_code_leads_nowhere_else(client, device, elsewhere):
    client.post(reverse("admin:login"), {"username": "anna", "password": PASSWORD, "next": elsewhere})
    assert leads_to(enter(client, code_of(device)), "admin:index")


def test_after_a_wrong_code_there_is_a_pause_in_which_no_code_is_looked_at(client, device, settings):
    settings.OTP_TOTP_THROTTLE_FACTOR = 60
    knock(client)
    enter(client, wrong_code(device))
    response = enter(client, code_of(device))
    assert re.search(r"Try again in (59|60) seconds", response.content.decode())
    assert not is_in(client)
    assert told() == [("login.failed", {"step": "code"})]


def test_the_pause_does_not_grow_for_ever(client, device, settings):
    settings.OTP_TOTP_THROTTLE_FACTOR = 1
    knock(client)
    for _ in range(second_factor.LONGEST_PAUSE_AFTER + 3):
        TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(hours=1))
        with pytest.raises(ValidationError):
            second_factor.check(device.user, wrong_code(device))
    pause = TOTPDevice.objects.get().verify_is_allowed()[1]["locked_until"] - timezone.now()
    assert timedelta(minutes=8) < pause < timedelta(minutes=9)


def test_a_wrong_authenticators_code_makes_no_pause_for_backup_codes(client, login, device, settings):
    settings.OTP_TOTP_THROTTLE_FACTOR = 60
    code, *_ = second_factor.make_backup_codes(login)
    knock(client)
    enter(client, wrong_code(device))
    enter(client, code)
    assert is_in(client)


def test_somebody_elses_code_is_wrong(client, device):
    knock(client)
    enter(client, code_of(phone(member("boris"))))
    assert not is_in(client)


def change_password(login):
    login.set_password("another horse battery")
    login.save()


def take_too_long(login):
    session = Session.objects.get()
    data = session.get_decoded()
    data["pending_login"]["since"] -= STEP_SECONDS
    session.session_data = Session.objects.encode(data)
    session.save()


CHANGES = {
    "password changed": change_password,
    "switched off": lambda login: AdminUser.objects.filter(login=login).update(is_active=False),
    "login switched off": lambda login: User.objects.update(is_active=False),
    "role changed": lambda login: AdminUser.objects.filter(login=login).update(role=SUPPORT),
    "reset": lambda login: staff.reset_access(login.admin_user, by=staff.system(), keep_password=True),
    "too late": take_too_long,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_right_password_is_forgotten_when_something_changes_before_the_code(client, login, device, change):
    member("boris")  # an owner is left
    knock(client)
    change(login)
    assert leads_to(enter(client, code_of(device)), "admin:login")
    assert "pending_login" not in client.session
    assert not is_in(client)


@pytest.mark.parametrize("page", ["admin:login_code", "admin:login_set_up"])
def test_nobody_comes_to_a_later_step_without_the_password(client, device, page):
    assert leads_to(client.get(reverse(page)), "admin:login")
    assert leads_to(enter(client, code_of(device), page), "admin:login")
    assert not is_in(client)


def test_a_right_password_begins_a_new_session_and_so_does_the_code(client, device):
    session = client.session
    session["planted"] = True
    session.save()
    planted = client.cookies["sessionid"].value
    knock(client)
    pending = client.cookies["sessionid"].value
    enter(client, code_of(device))
    assert len({planted, pending, client.cookies["sessionid"].value}) == 3
    assert "planted" not in client.session


# Setting it up at the first login.


def test_who_has_none_sets_one_up_before_the_first_login(client, login):
    assert leads_to(knock(client), "admin:login_set_up")
    assert not is_in(client)
    page = client.get(reverse("admin:login_set_up"))
    assert "<svg" in page.content.decode()
    assert key_shown(page).confirmed is False

    assert leads_to(enter(client, code_of(key_shown(page)), "admin:login_set_up"), "admin:backup_codes")

    assert is_in(client)
    assert TOTPDevice.objects.get().confirmed
    assert told() == [
        ("second_factor.set_up", {"again": False}),
        ("login.succeeded", {"second_factor": "authenticator"}),
    ]


def test_a_wrong_first_code_sets_nothing_up_keeps_the_key_and_counts_towards_no_lock_out(client, login):
    knock(client)
    key = key_shown(client.get(reverse("admin:login_set_up")))
    for _ in range(7):
        response = enter(client, wrong_code(key), "admin:login_set_up")
    assert response.status_code == 200
    assert key_shown(response) == key
    assert not is_in(client)
    assert not second_factor.is_set_up_for(login)
    assert told() == []


def test_ten_backup_codes_are_shown_once_and_let_in(client, login):
    knock(client)
    key = key_shown(client.get(reverse("admin:login_set_up")))
    codes = codes_shown(enter(client, code_of(key), "admin:login_set_up", follow=True))
    assert len(set(codes)) == 10

    again = client.get(reverse("admin:backup_codes"), follow=True)
    assert codes_shown(again) == []
    assert not any(code in again.content.decode() for code in codes)

    other = Browser()
    knock(other)
    enter(other, codes[7])
    assert is_in(other)


def test_the_password_alone_does_not_replace_a_second_factor(client, login):
    knock(client)
    key = key_shown(client.get(reverse("admin:login_set_up")))
    device = phone(login)  # set up elsewhere meanwhile
    assert leads_to(enter(client, code_of(key), "admin:login_set_up"), "admin:login")
    assert list(TOTPDevice.objects.filter(confirmed=True)) == [device]
    assert not is_in(client)


def test_a_first_second_factor_that_comes_second_is_refused(login):
    device = phone(login)
    late = second_factor.begin_set_up(login)
    with pytest.raises(ValidationError, match="set up elsewhere"):
        second_factor.set_up(login, late.pk, code_of(late), again=False, session=None)
    assert TOTPDevice.objects.get(confirmed=True) == device


def test_a_key_that_another_login_began_with_is_thrown_away(client, login):
    knock(client)
    seen = key_shown(client.get(reverse("admin:login_set_up")))
    other = Browser()
    knock(other)
    assert leads_to(enter(client, code_of(seen), "admin:login_set_up"), "admin:login")
    assert key_shown(other.get(reverse("admin:login_set_up"))) != seen


# Whom the setting asks for one.


def test_where_no_role_requires_it_the_password_lets_in(client, login, settings):
    settings.SECOND_FACTOR = []
    assert leads_to(knock(client), "admin:index")
    assert is_in(client)
    assert told() == [("login.succeeded", {"second_factor": None})]


def test_who_set_one_up_is_asked_for_it_even_so(client, device, settings):
    settings.SECOND_FACTOR = []
    assert leads_to(knock(client), "admin:login_code")


def test_a_session_without_it_ends_when_the_role_comes_to_require_it(client, settings):
    settings.SECOND_FACTOR = [OWNER]
    member("boris")
    login = member(role=SUPPORT)
    knock(client)
    assert is_in(client)
    AdminUser.objects.filter(login=login).update(role=OWNER)
    page = client.get(reverse("admin:core_channel_changelist"), follow=True)
    assert page.redirect_chain[0][0].startswith(reverse("admin:login"))
    assert "Your role requires a second factor now" in page.content.decode()
    assert leads_to(knock(client), "admin:login_set_up")


def test_a_session_ends_when_its_second_factor_is_removed(inside, login):
    assert is_in(inside)
    second_factor.remove(login)
    assert not is_in(inside)


# One's own second factor.


def test_the_menu_leads_to_ones_own_password_and_second_factor(inside):
    page = inside.get(reverse("admin:index")).content.decode()
    assert reverse("admin:password_change") in page
    assert reverse("admin:second_factor") in page


@pytest.mark.parametrize("proof", ["", "wrong", PASSWORD + " "])
@pytest.mark.parametrize("act", ["set_up", "renew"])
def test_without_a_proof_of_who_asks_nothing_changes(inside, login, device, act, proof):
    codes = second_factor.make_backup_codes(login)
    assert ask(inside, act, proof).status_code == 200
    assert TOTPDevice.objects.get() == device
    assert set(StaticToken.objects.values_list("token", flat=True)) == set(codes)


@pytest.mark.parametrize("steps", [None, 1], ids=["password", "code"])
def test_new_backup_codes_take_the_place_of_the_old_ones_and_are_shown_once(inside, login, device, steps):
    old = second_factor.make_backup_codes(login)
    proof = PASSWORD if steps is None else code_of(device, steps=steps)
    new = codes_shown(ask(inside, "renew", proof, follow=True))
    assert len(new) == 10
    assert set(StaticToken.objects.values_list("token", flat=True)) == set(new)
    assert not set(old) & set(new)
    assert codes_shown(inside.get(reverse("admin:backup_codes"), follow=True)) == []
    assert told("second_factor.backup_codes_made") == [("second_factor.backup_codes_made", None)]


@pytest.mark.parametrize("kind", ["authenticator", "backup code"])
def test_a_new_phone_takes_the_place_of_the_old_one_and_ends_the_other_sessions(inside, login, device, kind):
    other = Browser()
    knock(other)
    enter(other, code_of(device, steps=1) if kind == "authenticator" else second_factor.make_backup_codes(login)[0])
    assert is_in(other)

    page = ask(inside, "set_up", follow=True)
    assert second_factor.is_set_up_for(login)
    assert is_in(other)  # until the new one shows its first code
    new = key_shown(page)
    enter(inside, code_of(new), "admin:second_factor_set_up")

    assert TOTPDevice.objects.get() == new
    assert is_in(inside)
    assert not is_in(other)
    assert told("second_factor.set_up") == [("second_factor.set_up", {"again": True})]


def test_a_key_waits_for_its_first_code_ten_minutes(inside):
    new = key_shown(ask(inside, "set_up", follow=True))
    session = inside.session
    session["waiting_key"] = session["waiting_key"] | {"since": int(time.time()) - STEP_SECONDS}
    session.save()
    assert leads_to(enter(inside, code_of(new), "admin:second_factor_set_up"), "admin:second_factor")
    assert not TOTPDevice.objects.get(pk=new.pk).confirmed


def test_a_code_for_which_no_key_waits_is_refused_in_words(inside):
    page = enter(inside, "123456", "admin:second_factor_set_up", follow=True)
    assert "Please begin again." in page.content.decode()


def test_who_must_have_one_cannot_remove_it(inside, device):
    assert 'value="give_up"' not in inside.get(reverse("admin:second_factor")).content.decode()
    ask(inside, "give_up")
    assert TOTPDevice.objects.get() == device


def test_who_need_not_have_one_removes_it(inside, login, device, settings):
    settings.SECOND_FACTOR = []
    ask(inside, "give_up")
    assert not TOTPDevice.objects.exists()
    assert not StaticDevice.objects.exists()
    assert told("second_factor.removed") == [("second_factor.removed", None)]
    assert is_in(inside)


def test_who_need_not_have_one_sets_one_up(client, login, settings):
    settings.SECOND_FACTOR = []
    knock(client)
    new = key_shown(ask(client, "set_up", follow=True))
    assert len(codes_shown(enter(client, code_of(new), "admin:second_factor_set_up", follow=True))) == 10
    assert leads_to(knock(Browser()), "admin:login_code")


def test_a_first_second_factor_ends_the_sessions_that_had_none(client, login, settings):
    settings.SECOND_FACTOR = []
    other = Browser()
    knock(other)
    knock(client)
    new = key_shown(ask(client, "set_up", follow=True))
    enter(client, code_of(new), "admin:second_factor_set_up")
    assert is_in(client)
    assert not is_in(other)


def test_who_began_to_log_in_before_it_was_set_up_is_not_let_in_without(login, rf, client):
    request = rf.post("/")
    request.session = client.session
    phone(login)
    with pytest.raises(PermissionDenied):
        logins.let_in(request, login)
    assert told() == []


# At the same time.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["authenticator", "backup code"])
def test_of_one_code_tried_several_times_at_once_one_is_right(kind):
    login = member()
    device = phone(login)
    code = code_of(device) if kind == "authenticator" else second_factor.make_backup_codes(login)[0]
    browsers = [Browser() for _ in range(6)]
    for browser in browsers:
        knock(browser)
    landed = at_once(browsers, lambda browser: leads_to(enter(browser, code), "admin:index"))
    assert sorted(landed) == [False] * 5 + [True]
    assert len(told("login.succeeded")) == 1


def test_what_there_is_no_button_for_is_refused_in_words(inside):
    assert "x is not one of the available choices" in ask(inside, "x").content.decode()
