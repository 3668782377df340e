"""The second factor of a login: an authenticator's code, or one of the backup codes."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog.models import AdminUser

BACKUP_CODES = 10


def is_required_of(admin_user: AdminUser) -> bool:
    return admin_user.role in settings.SECOND_FACTOR


def is_set_up_for(login: Any) -> bool:
    return TOTPDevice.objects.filter(user=login, confirmed=True).exists()


@transaction.atomic
def make_backup_codes(login: Any) -> list[str]:
    """Codes that let in once each, in place of any older ones. They are to be shown once."""
    device, _ = StaticDevice.objects.get_or_create(user=login, defaults={"name": "backup codes"})
    device.token_set.all().delete()
    tokens = [StaticToken(device=device, token=StaticToken.random_token()) for _ in range(BACKUP_CODES)]
    return [token.token for token in StaticToken.objects.bulk_create(tokens)]


@transaction.atomic
def remove(login: Any) -> None:
    TOTPDevice.objects.filter(user=login).delete()
    StaticDevice.objects.filter(user=login).delete()
