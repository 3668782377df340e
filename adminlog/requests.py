"""Which request is being served, for whoever writes of it, and which are not served at all."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousMultipartForm, ValidationError
from django.core.files.uploadhandler import FileUploadHandler
from django.core.validators import validate_ipv46_address
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
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


logger = logging.getLogger(__name__)
METHODS = ["GET", "HEAD", "POST"]
# Characters of an address after its question mark.
LONGEST_QUERY = 16_000
Handler = Callable[[HttpRequest], HttpResponseBase]


def origin_middleware(get_response: Handler) -> Handler:
    """Gives each request an id, which the answer bears as X-Request-ID, and a line in the log. A client's own id is not
    taken: it could be somebody else's."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        origin = Origin(address_of(request))
        token = _current.set(origin)
        began = time.monotonic()
        try:
            response = get_response(request)
            tell(request, response, seconds=time.monotonic() - began)
        finally:
            _current.reset(token)
        response.headers["X-Request-ID"] = str(origin.request_id)
        return response

    return middleware


def tell(request: HttpRequest, response: HttpResponseBase, *, seconds: float) -> None:
    """Without the query: what staff search for is personal."""
    # Not request.user, which would ask the database now if nobody has yet, and it may be away.
    admin_user = getattr(getattr(request, "_cached_user", None), "admin_user", None)
    logger.info(
        "%s %s %s",
        request.method,
        request.path,
        response.status_code,
        extra={
            "method": request.method,
            "path": request.path,
            "route": request.resolver_match.route if request.resolver_match else None,
            "status": response.status_code,
            "ms": round(1000 * seconds),
            "staff_id": admin_user and admin_user.pk,
        },
    )


def decency_middleware(get_response: Handler) -> Handler:
    """Serves what browsers send, and nothing else.

    Pages ask whether a request is a POST, and take any other for a look at them. In other encodings one can write what
    PostgreSQL does not store, as with NUL: whoever could make the count of a wrong password fail might guess for ever.
    What is too long is refused unread; a page repeats its address in dozens of links.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        if (request.encoding or "utf-8").lower() not in ("utf-8", "utf8"):
            return HttpResponseBadRequest("Write in UTF-8.")
        if any("\0" in value for value in [*request.headers.values(), *request.COOKIES.values()]):
            return HttpResponseBadRequest("No NUL characters, please.")
        if len(request.META.get("QUERY_STRING", "")) > LONGEST_QUERY:
            return HttpResponse("This address is too long. Look for fewer words.", status=414)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not re.fullmatch("[0-9]{1,20}", length, re.ASCII):
            return HttpResponseBadRequest("Say how long the form is.")
        if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return HttpResponse("This is too much for one form. Send less at once.", status=413)
        return get_response(request)

    return middleware


class NoFiles(FileUploadHandler):
    """No page takes a file, and Django would lay it on the disk before it asks who sends it."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SuspiciousMultipartForm("a file, which no page takes")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called, but Django wants it."""

    def file_complete(self, file_size: int) -> None:
        """Never called, but Django wants it."""
