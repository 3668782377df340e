"""What a monitor asks: whether this process answers, and whether all that it needs is there."""

from django.core.management.base import CommandError
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.http import require_safe

from adminlog import schedule
from adminlog.jobs import require_migrated_database
from adminlog.requests import Handler
from smetabot.postgres.locks import Deadline, at_most

PATHS = ("/healthz", "/readyz")
# Seconds. Who cannot be reached is given up after the connect_timeout.
PATIENCE = 2


def probes_middleware(get_response: Handler) -> Handler:
    """Before those that ask by which name or scheme, or for whom: a probe speaks plain HTTP, calls this host by any
    name, and has no session."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info in PATHS:
            return resolve(request.path_info).func(request)
        return get_response(request)

    return middleware


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Asks the database nothing: to restart a process does not bring that back."""
    return JsonResponse({"alive": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    parts = {"database": "away", "migrations": "unknown", "jobs": "unknown"}
    try:
        with at_most(Deadline(PATIENCE)):
            parts["database"] = "ok"
            require_migrated_database()
            parts["migrations"] = "ok"
            late = [of_one.job.command for of_one in schedule.health(at=timezone.now()) if of_one.is_late]
            parts["jobs"] = f"late: {', '.join(late)}" if late else "ok"
    except CommandError:
        parts["migrations"] = "missing"
    except Error:
        # Why, the log of the database and of the pages tells. Nobody outside needs to know.
        pass
    is_ready = set(parts.values()) == {"ok"}
    answer = JsonResponse(parts, status=200 if is_ready else 503)
    # A monitor asks each few seconds: that would be an error in the log each time.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer
