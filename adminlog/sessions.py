"""How long a login lasts."""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from adminlog.requests import Handler
from adminlog.roles import member_of_staff


@receiver(user_logged_in)
def begin(*, request: HttpRequest, **kwargs: object) -> None:
    request.session["began"] = int(time.time())
    note_seen(request)


def note_seen(request: HttpRequest) -> None:
    request.session["seen"] = int(time.time())


def idle_middleware(get_response: Handler) -> Handler:
    """Puts off the end of a session that is in use: it ends SESSION_COOKIE_AGE after it was seen last. It is written at
    most once a minute: at every request, as Django would, costs half as much as a list's page. SESSION_SECONDS after
    the login it is over all the same."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        pause = min(60, settings.SESSION_COOKIE_AGE // 10)
        if member_of_staff(request.user):
            if time.time() - request.session.get("began", 0) > settings.SESSION_SECONDS:
                logout(request)
            elif time.time() - request.session.get("seen", 0) > pause:
                note_seen(request)
        return get_response(request)

    return middleware


def end(login: Any, *, but: str | None = None) -> None:
    """All sessions of a login, or all but one, by its key."""
    for session in Session.objects.exclude(pk=but):
        if session.get_decoded().get(SESSION_KEY) == str(login.pk):
            session.delete()
