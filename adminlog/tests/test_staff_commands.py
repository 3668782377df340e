"""add_admin and reset_admin, as somebody at a terminal and a script see them."""

import os
import pty
import re
import subprocess
from collections.abc import Callable

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog import second_factor
from adminlog.lock_outs import key_of
from adminlog.models import AdminAction, AdminUser
from adminlog.tests.staff import browser

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
ANNA = ["anna", "--role", "manager", "--tg-user-id", "5"]


@pytest.fixture
def type_into(manage) -> Callable[..., tuple[int, str]]:
    """Runs a command at a terminal and types a line at each of its questions."""

    def call(lines: list[str], *args: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process: subprocess.Popen[str] = manage(*args, terminal=theirs)
        os.close(theirs)
        said = ""
        try:
            while piece := os.read(ours, 1000).decode():
                said += piece
                if lines and re.search(r": $", said):
                    os.write(ours, (lines.pop(0) + "\n").encode())
        except OSError:  # how a terminal ends that nobody writes to any more
            pass
        finally:
            os.close(ours)
        return process.wait(timeout=60), said

    return call


@pytest.fixture
def anna() -> User:
    """A manager with a second factor, who has mistyped her password."""
    browser("manager", password=PASSWORD)
    login = User.objects.get(username="anna")
    TOTPDevice.objects.create(user=login, confirmed=True)
    AccessAttempt.objects.create(username=key_of("anna"), ip_address="127.0.0.1", failures_since_start=5)
    return login


def opens(password: str) -> bool:
    return User.objects.get(username="anna").check_password(password)


@pytest.mark.parametrize("role", ["support", "manager", "owner"])
def test_a_script_gets_a_password_that_is_printed_once(typed, role):
    code, out, err = typed("add_admin", "anna", "--role", role, "--tg-user-id", "5")

    assert (code, err) == (0, "")
    (password,) = re.fullmatch(r"Login anna, password (\S+) \(shown only now\)\n", out).groups()
    assert opens(password)
    assert AdminUser.objects.get(login__username="anna").role == role


def test_at_a_terminal_the_password_is_asked_for_twice_and_shown_never(type_into):
    code, said = type_into([PASSWORD, PASSWORD], "add_admin", *ANNA)
    assert code == 0
    assert "Login anna, password as given" in said
    assert PASSWORD not in said
    assert opens(PASSWORD)


def test_at_a_terminal_an_empty_password_is_made_up(type_into):
    _, said = type_into([""], "add_admin", *ANNA)
    (password,) = re.findall(r"Login anna, password (\S+) \(shown only now\)", said)
    assert opens(password)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([PASSWORD, "correct horse"], "These are two passwords. Nothing was done."),
        (["password", "password"], "This password is too common."),
        (["\x04"], "Nothing was done."),
    ],
    ids=["mistyped", "too common", "end of file"],
)
def test_a_password_that_cannot_be_makes_no_login(type_into, lines, says):
    code, said = type_into(lines, "add_admin", *ANNA)
    assert code == 2
    assert says in said and "Traceback" not in said
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["anna", "--tg-user-id", "5"], "the following arguments are required: --role"),
        (["anna", "--role", "superuser", "--tg-user-id", "5"], "invalid choice: 'superuser'"),
        (["anna", "--role", "owner"], "the following arguments are required: --tg-user-id"),
        (["anna", "--role", "owner", "--tg-user-id", "x"], "invalid int value: 'x'"),
        (["anna\udcff", "--role", "owner", "--tg-user-id", "5"], r"'anna\udcff' is no text in UTF-8"),
    ],
)
def test_an_argument_that_is_missing_or_wrong_is_one_line(typed, arguments, says):
    code, out, err = typed("add_admin", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize(
    ("username", "tg_user_id", "says"),
    [
        ("anna", "6", "A user with that username already exists."),
        ("boris", "5", "Staff member with this Telegram id already exists."),
        ("boris", "99999999999999999999", "is less than or equal to 9223372036854775807"),
        ("", "6", "This field cannot be blank."),
        ("b" * 200, "6", "at most 150 characters"),
    ],
)
def test_a_login_that_cannot_be_is_refused_in_one_line(typed, username, tg_user_id, says):
    typed("add_admin", *ANNA)
    code, out, err = typed("add_admin", username, "--role", "owner", "--tg-user-id", tg_user_id)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert User.objects.count() == 1


def test_who_is_added_or_reset_on_the_command_line_is_so_by_the_system(typed):
    typed("add_admin", *ANNA)
    typed("reset_admin", "anna")
    acts = AdminAction.objects.order_by("pk").values_list("action", "admin__username")
    assert list(acts) == [("admin_user.added", "system"), ("admin_user.reset", "system")]


def test_a_reset_gives_a_new_password_and_says_what_it_did(typed, anna):
    code, out, err = typed("reset_admin", "anna")

    assert (code, err) == (0, "")
    (password,) = re.findall(r"The new password is (\S+) \(shown only now\)", out)
    assert "The second factor is removed. Failed logins are forgotten. All sessions have ended." in out
    assert opens(password)
    assert not second_factor.is_set_up_for(anna)
    assert not AccessAttempt.objects.exists()


def test_a_reset_at_a_terminal_asks_for_the_new_password(type_into, anna):
    code, said = type_into(["tr0ubadour & 3", "tr0ubadour & 3"], "reset_admin", "anna")
    assert code == 0
    assert "tr0ubadour" not in said
    assert opens("tr0ubadour & 3")


def test_who_lost_only_the_phone_keeps_the_password(typed, anna):
    _, out, _ = typed("reset_admin", "anna", "--keep-password")
    assert "The password stays. The second factor is removed." in out
    assert opens(PASSWORD)
    assert not second_factor.is_set_up_for(anna)


def test_who_lost_only_the_password_keeps_the_second_factor(typed, anna):
    _, out, _ = typed("reset_admin", "anna", "--keep-second-factor")
    assert "No second factor is removed." in out
    assert not opens(PASSWORD)
    assert second_factor.is_set_up_for(anna)


def test_a_reset_says_that_who_is_switched_off_stays_so(typed, anna):
    AdminUser.objects.filter(username="anna").update(is_active=False)
    _, out, _ = typed("reset_admin", "anna")
    assert "They stay switched off until an owner switches them on." in out
    assert not AdminUser.objects.get(username="anna").is_active


@pytest.mark.parametrize(
    ("username", "says"),
    [
        ("ana", "Nobody logs in as 'ana'. Did you mean anna?"),
        ("zoya", "Nobody logs in as 'zoya'."),
        ("system", "Nobody logs in as 'system'."),
        ("", "Nobody logs in as ''."),
        ("two\nlines", r"Nobody logs in as 'two\nlines'."),
        ("boris", "The login boris belongs to no member of staff."),
    ],
)
def test_who_cannot_be_reset_is_refused_in_one_line(typed, anna, username, says):
    User.objects.create_user("boris")
    code, out, err = typed("reset_admin", username)
    assert (code, out) == (2, "")
    assert err == f"CommandError: {says}\n"
    assert opens(PASSWORD)


def test_two_resets_at_once_leave_one_of_the_two_passwords(manage, anna):
    processes = [manage("reset_admin", "anna") for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    passwords = [re.findall(r"new password is (\S+)", out)[0] for out in said]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(map(opens, passwords)) == 1
