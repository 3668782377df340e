"""PostgreSQL keeps one active owner with a login, whoever writes."""

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from adminlog.factories import AdminUserFactory
from adminlog.models import AdminAction, AdminUser
from adminlog.tests.form import shown
from adminlog.tests.staff import browser

LAST = "the last active owner cannot be switched off, demoted or deleted"
SWITCHED_OFF = "UPDATE admin.admin_users SET is_active = false WHERE username = 'anna'"
WAYS_OUT = {
    "switched off": SWITCHED_OFF,
    "demoted": "UPDATE admin.admin_users SET role = 'manager' WHERE username = 'anna'",
    "without a login": "UPDATE admin.admin_users SET login_id = NULL WHERE username = 'anna'",
    "deleted": "DELETE FROM admin.admin_users WHERE username = 'anna'",
    "login deleted": "DELETE FROM auth_user WHERE username = 'anna'",
}
every_way_out = pytest.mark.parametrize("statement", WAYS_OUT.values(), ids=WAYS_OUT)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def add(username: str, **known: object) -> AdminUser:
    login = User.objects.create_user(username, is_staff=True)
    return AdminUserFactory(username=username, **{"owner": True, "login": login} | known)


def owners() -> set[str]:
    found = AdminUser.objects.filter(role="owner", is_active=True).exclude(login=None)
    return set(found.values_list("username", flat=True))


@pytest.fixture
def anna(db: None) -> AdminUser:
    return add("anna")


@every_way_out
def test_the_last_owner_stays(anna, statement):
    with pytest.raises(IntegrityError, match=LAST):
        execute(statement)


@every_way_out
def test_an_owner_beside_whom_there_is_another_goes(anna, statement):
    add("boris")
    execute(statement)
    assert owners() == {"boris"}


@pytest.mark.parametrize(
    "other", [{"is_active": False}, {"role": "manager"}, {"login": None}], ids=["switched off", "manager", "no login"]
)
def test_nobody_else_stands_in_for_an_active_owner_with_a_login(anna, other):
    add("boris", **other)
    with pytest.raises(IntegrityError, match=LAST):
        execute(SWITCHED_OFF)


@pytest.mark.parametrize("change", ["is_active = false", "role = 'support'", "login_id = NULL"])
def test_all_owners_do_not_go_in_one_statement(anna, change):
    add("boris")
    with pytest.raises(IntegrityError, match=LAST):
        execute(f"UPDATE admin.admin_users SET {change}")


def test_all_logins_do_not_go_in_one_statement(anna):
    add("boris")
    with pytest.raises(IntegrityError, match=LAST):
        execute("DELETE FROM auth_user")


def test_the_last_owner_may_be_changed_otherwise(anna):
    execute("UPDATE admin.admin_users SET username = 'Anna', tg_user_id = 5, is_active = true WHERE username = 'anna'")
    assert owners() == {"Anna"}


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_switch_each_other_off_at_the_same_time_one_stays(anna, while_held):
    add("boris")

    first, second = while_held(
        lambda: execute(SWITCHED_OFF),
        lambda: execute("UPDATE admin.admin_users SET is_active = false WHERE username = 'boris'"),
    )

    assert first is None
    assert isinstance(second, IntegrityError) and LAST in str(second)
    assert owners() == {"boris"}


def switch_off(client: Client, admin_user: AdminUser, form: dict[str, str]) -> list[str]:
    """Returns what was said."""
    address = reverse("admin:adminlog_adminuser_change", args=[admin_user.pk])
    switched = {name: value for name, value in form.items() if name != "is_active"} | {"reason": "has left"}
    response = client.post(address, switched)
    return [str(message) for message in get_messages(response.wsgi_request)]


@pytest.mark.django_db(transaction=True)
def test_the_page_says_of_the_last_owner_what_to_do(while_held):
    clients = [browser("owner", username="anna"), browser("owner", username="boris")]
    anna, boris = AdminUser.objects.get(username="anna"), AdminUser.objects.get(username="boris")
    forms = [
        shown(client.get(reverse("admin:adminlog_adminuser_change", args=[other.pk])))
        for client, other in zip(clients, [boris, anna], strict=True)
    ]

    _, said = while_held(
        lambda: switch_off(clients[0], boris, forms[0]),
        lambda: switch_off(clients[1], anna, forms[1]),
    )

    assert said == [f"Nothing was saved. The database says: {LAST}. Make somebody else an owner first."]
    assert owners() == {"anna"}
    assert AdminAction.objects.count() == 1
