"""By what failed logins are counted towards a lock-out."""

from typing import Any

from axes.utils import reset
from django.http import HttpRequest
from django.utils.crypto import salted_hmac


def key_of(name: str) -> str:
    """Not the name itself, which stands in each backup: people type their password there."""
    return salted_hmac(__name__, name, algorithm="sha256").hexdigest()


def counted_as(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """What axes asks for."""
    return key_of(str((credentials or {}).get("username") or ""))


def lift(name: str) -> bool:
    """Whether there was anything to forget."""
    return bool(reset(username=key_of(name)))
