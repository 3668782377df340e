"""Requests of staff: which one is being served, for whoever writes of it, and what keeps a session alive."""

import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase


@dataclass(frozen=True)
class Origin:
    address: str | None
    request_id: uuid.UUID = field(default_factory=uuid.uuid4)


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin | None:
    """None outside of a request: on the command line."""
    return _current.get()


def address_of(request: HttpRequest) -> str | None:
    """Where the request comes from. In production that is what the proxy in front has put last into X-Forwarded-For:
    whatever stands before it the client may have written."""
    address = request.META.get("REMOTE_ADDR", "")
    if settings.PRODUCTION and (forwarded := request.META.get("HTTP_X_FORWARDED_FOR")):
        address = forwarded.rpartition(",")[2].strip()
    try:
        validate_ipv46_address(address)
    except ValidationError:
        return None
    return address


METHODS = ["GET", "HEAD", "POST"]
Handler = Callable[[HttpRequest], HttpResponseBase]


def origin_middleware(get_response: Handler) -> Handler:
    """Gives each request an id, which the answer bears as X-Request-ID."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        origin = Origin(address_of(request))
        token = _current.set(origin)
        try:
            response = get_response(request)
        finally:
            _current.reset(token)
        response.headers["X-Request-ID"] = str(origin.request_id)
        return response

    return middleware


def method_middleware(get_response: Handler) -> Handler:
    """Pages ask whether a request is a POST, and take any other for a look at them."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        return get_response(request)

    return middleware


# Seconds. Writing the session at every request, as Django would, costs half as much as a list's page.
SEEN_EVERY = 60


@receiver(user_logged_in)
def note_seen(*, request: HttpRequest, **kwargs: object) -> None:
    request.session["seen"] = int(time.time())


def session_middleware(get_response: Handler) -> Handler:
    """Puts off the end of a session that is in use: it ends SESSION_COOKIE_AGE after it was seen last."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated and time.time() - request.session.get("seen", 0) > SEEN_EVERY:
            note_seen(request=request)
        return get_response(request)

    return middleware
