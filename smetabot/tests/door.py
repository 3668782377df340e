"""Staff before the door: a login with a password, a phone that shows codes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog.factories import AdminUserFactory
from adminlog.models import AdminAction
from adminlog.roles import OWNER

PASSWORD = "correct horse battery"


def member(username: str = "anna", role: str = OWNER, **row: Any) -> User:
    login = User.objects.create_user(username, password=PASSWORD, is_staff=True)
    AdminUserFactory(login=login, username=username, role=role, **row)
    return login


def phone(login: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=login, name="authenticator")


def code_of(device: TOTPDevice, *, steps: int = 0) -> str:
    """What the phone shows; steps=1 is what it shows next, which is right already."""
    clock = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    clock.time = time.time() + steps * device.step
    return f"{clock.token():06}"


def wrong_code(device: TOTPDevice) -> str:
    right = {code_of(device, steps=steps) for steps in range(-2, 4)}
    return next(
        code for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666") if code not in right
    )


def knock(client: Browser, username: str = "anna", password: str = PASSWORD, **extra: Any) -> Any:
    return client.post(reverse("admin:login"), {"username": username, "password": password}, **extra)


def enter(client: Browser, code: str, page: str = "admin:login_code", **extra: Any) -> Any:
    return client.post(reverse(page), {"code": code}, **extra)


def is_in(client: Browser) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def leads_to(response: HttpResponse, page: str) -> bool:
    return response.status_code == 302 and response.headers["Location"] == reverse(page)


def told(*actions: str) -> list[tuple[str, Any]]:
    """The acts in the journal, or those of some kinds, oldest first, with what they say."""
    acts = AdminAction.objects.order_by("seq").filter(**({"action__in": actions} if actions else {}))
    return list(acts.values_list("action", "payload"))


def at_once(browsers: list[Browser], work: Callable[[Browser], Any]) -> list[Any]:
    """What came of the same work in each browser, begun at the same moment. For a test with transactions."""
    together = threading.Barrier(len(browsers))

    def begin(browser: Browser) -> Any:
        try:
            together.wait(20)
            return work(browser)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(browsers)) as threads:
        return list(threads.map(begin, browsers))
