"""How staff come in: each login, refusal and lock-out is an act in the journal."""

from copy import copy
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_failure_limit
from django.contrib import auth
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog import journal, second_factor, staff
from adminlog.models import AdminUser

SECOND_FACTORS = {TOTPDevice: "authenticator", StaticDevice: "backup_code"}


@transaction.atomic
def let_in(request: HttpRequest, login: Any, device: Device | None = None) -> None:
    """`device` is the one that verified them, if any did."""
    second_factor.hold(login)
    if device is None and second_factor.is_set_up_for(login):
        raise PermissionDenied(_("A second factor was set up meanwhile."))
    facts = {"second_factor": SECOND_FACTORS.get(type(device))}
    # First: of a transaction that fails here, the session in memory would still be logged in.
    journal.record(journal.Act("login.succeeded", login.admin_user, facts=facts), by=login.admin_user)
    login.otp_device = device
    auth.login(request, login)


@transaction.atomic
def end(request: HttpRequest) -> None:
    admin_user: AdminUser = request.user.admin_user  # type: ignore[union-attr]
    journal.record(journal.Act("login.ended", admin_user), by=admin_user)
    auth.logout(request)


def refuse(request: HttpRequest, login: Any, *, step: str) -> None:
    """Count a failure towards the lock-out."""
    user_login_failed.send(__name__, credentials={"username": login.get_username()}, request=request, step=step)


def stop_if_locked_out(request: HttpRequest, login: Any) -> None:
    """PermissionDenied, which the page of the lock-out is then shown for."""
    AxesStandaloneBackend().authenticate(request, username=login.get_username())


def check_code(request: HttpRequest, login: Any, code: str) -> Device:
    """second_factor.check at the door: wrong codes lead to a lock-out, during which none is looked at."""
    stop_if_locked_out(request, login)
    try:
        return second_factor.check(login, code)
    except ValidationError as error:
        if error.code == "wrong_code":
            refuse(request, login, step="code")
        raise


def check_password(request: HttpRequest, login: Any, password: str) -> None:
    """The password of somebody who is in already: a wrong one leads to a lock-out, during which none is looked at."""
    if auth.authenticate(request, username=login.get_username(), password=password) is None:
        raise ValidationError(_("This password is wrong."), code="wrong_password")


class LockOutHandler(AxesDatabaseHandler):
    """Counts failures as axes does, and tells the journal of them."""

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, *, step: str = "password", **kwargs: Any
    ) -> None:
        username = str(credentials.get("username") or "")
        with transaction.atomic():
            # One failure of a name at a time: of several at once exactly one is the lock-out's.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"login.failed {username}"])
            self.count(sender, credentials, request)
            failures = request.axes_failures_since_start
            if failures is None:  # during a lock-out
                return
            admin_user = AdminUser.objects.filter(login__username=username).first()
            by = admin_user or staff.system()
            # Not the whole of it: people type their password there.
            personal = {} if admin_user else {"username": f"{username[:2]}…"}
            acts = [journal.Act("login.failed", admin_user, facts={"step": step}, personal=personal)]
            if failures == get_failure_limit(request, credentials):
                acts.append(journal.Act("login.locked_out", admin_user, personal=personal))
            journal.write(acts, by=by)

    def count(self, sender: Any, credentials: dict[str, Any], request: Any) -> None:
        """With nothing of what the client wrote: axes would store it, secrets among it, and fail on what
        PostgreSQL does not store."""
        bare = copy(request)
        bare.GET = bare.POST = QueryDict()
        bare.axes_user_agent = bare.axes_http_accept = ""
        super().user_login_failed(sender, credentials, bare)
        for name in ("axes_failures_since_start", "axes_locked_out", "axes_credentials"):
            setattr(request, name, getattr(bare, name))
