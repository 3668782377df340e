"""The second factor of a login: an authenticator's code, or one of the backup codes."""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog import journal, sessions
from adminlog.models import AdminUser

BACKUP_CODES = 10
# So many wrong codes make a pause of 2⁹ seconds, some nine minutes.
LONGEST_PAUSE_AFTER = 10


def is_required_of(admin_user: AdminUser) -> bool:
    return admin_user.role in settings.SECOND_FACTOR


def is_set_up_for(login: Any) -> bool:
    return TOTPDevice.objects.filter(user=login, confirmed=True).exists()


def is_from_authenticator(code: str) -> bool:
    return re.fullmatch(r"[0-9]{6}", plain(code)) is not None


def plain(code: str) -> str:
    """Authenticators show 123 456, and people write down what they like."""
    return re.sub(r"[\s-]", "", code).lower()


def check(login: Any, code: str) -> Device:
    """The device whose code it is; no code is right twice. ValidationError "wrong_code", or "too_soon" after one."""
    model = TOTPDevice if is_from_authenticator(code) else StaticDevice
    return verify(model.objects.filter(user=login, confirmed=True), code)


def verify(devices: "QuerySet[Any]", code: str) -> Device:
    with transaction.atomic():
        # Locked, so that one code tried twice at the same time is right once.
        device = devices.select_for_update().first()
        is_allowed, pause = device.verify_is_allowed() if device else (True, {})
        is_right = is_allowed and device is not None and device.verify_token(plain(code))
        # From here on the pause would double to years, for the owner of the phone too.
        devices.filter(throttling_failure_count__gt=LONGEST_PAUSE_AFTER).update(
            throttling_failure_count=LONGEST_PAUSE_AFTER
        )
    # Raised only now: the transaction has counted the failure.
    if not is_allowed:
        seconds = int((pause["locked_until"] - timezone.now()).total_seconds()) + 1
        raise ValidationError(
            ngettext(
                "After a wrong code there is a pause. Try again in %(seconds)s second.",
                "After a wrong code there is a pause. Try again in %(seconds)s seconds.",
                seconds,
            ),
            code="too_soon",
            params={"seconds": seconds},
        )
    if not is_right:
        raise ValidationError(_("This code is wrong, or it was used already."), code="wrong_code")
    return device


@transaction.atomic
def begin_set_up(login: Any) -> TOTPDevice:
    """A new key for an authenticator, in place of any that waits for its first code: who saw that one is unknown."""
    hold(login)
    TOTPDevice.objects.filter(user=login, confirmed=False).delete()
    return TOTPDevice.objects.create(user=login, name="authenticator", confirmed=False)


def waiting(login: Any, device_id: int) -> "QuerySet[Any]":
    return TOTPDevice.objects.filter(user=login, pk=device_id, confirmed=False)


def set_up(login: Any, device_id: int, code: str, *, again: bool, session: str | None) -> tuple[TOTPDevice, list[str]]:
    """Take the key whose first code this is, in place of any older one, and end all sessions but the one of that key;
    returns new backup codes too.

    ValidationError when the code is refused, or somebody else set up a second factor meanwhile.
    """
    device = verify(waiting(login, device_id), code)
    with transaction.atomic():
        hold(login)
        older = TOTPDevice.objects.filter(user=login).exclude(pk=device.pk)
        # Who knows only the password may set up the first one, and not replace it.
        is_taken = not again and older.filter(confirmed=True).exists()
        if is_taken or not waiting(login, device_id).update(confirmed=True):
            raise ValidationError(_("A second factor was set up elsewhere meanwhile. Log in anew."), code="taken")
        older.delete()
        StaticDevice.objects.filter(user=login).delete()
        sessions.end(login, but=session)
        device.confirmed = True
        codes = make_backup_codes(login)
        admin_user = login.admin_user
        journal.record(journal.Act("second_factor.set_up", admin_user, facts={"again": again}), by=admin_user)
    return device, codes


@transaction.atomic
def renew_backup_codes(login: Any) -> list[str]:
    hold(login)
    codes = make_backup_codes(login)
    journal.record(journal.Act("second_factor.backup_codes_made", login.admin_user), by=login.admin_user)
    return codes


@transaction.atomic
def give_up(login: Any) -> None:
    """ValidationError when their role requires it."""
    if is_required_of(login.admin_user):
        raise ValidationError(_("Your role requires a second factor."), code="required")
    hold(login)
    remove(login)
    journal.record(journal.Act("second_factor.removed", login.admin_user), by=login.admin_user)


@transaction.atomic
def make_backup_codes(login: Any) -> list[str]:
    """Codes that let in once each, in place of any older ones. They are to be shown once."""
    device, _ = StaticDevice.objects.select_for_update().get_or_create(user=login, defaults={"name": "backup codes"})
    device.token_set.all().delete()
    tokens = [StaticToken(device=device, token=StaticToken.random_token()) for _ in range(BACKUP_CODES)]
    return [token.token for token in StaticToken.objects.bulk_create(tokens)]


def backup_codes_left(login: Any) -> int:
    return StaticToken.objects.filter(device__user=login).count()


@transaction.atomic
def remove(login: Any) -> None:
    TOTPDevice.objects.filter(user=login).delete()
    StaticDevice.objects.filter(user=login).delete()


def hold(login: Any) -> None:
    """Whatever changes how one login gets in, and the login itself, goes one after the other."""
    get_user_model()._default_manager.select_for_update(no_key=True).get(pk=login.pk)
