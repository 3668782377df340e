"""Which request is being served, for whoever writes of it, and which are not served at all."""

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseNotAllowed
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


def decency_middleware(get_response: Handler) -> Handler:
    """Serves what browsers send, and nothing else.

    Pages ask whether a request is a POST, and take any other for a look at them. In other encodings one can write what
    PostgreSQL does not store, as with NUL: whoever could make the count of a wrong password fail might guess for ever.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        if (request.encoding or "utf-8").lower() not in ("utf-8", "utf8"):
            return HttpResponseBadRequest("Write in UTF-8.")
        if any("\0" in value for value in [*request.headers.values(), *request.COOKIES.values()]):
            return HttpResponseBadRequest("No NUL characters, please.")
        return get_response(request)

    return middleware
