"""Who the staff are."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as installed_apps
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from adminlog import journal, lock_outs, second_factor, sessions
from adminlog.models import AdminUser


def system() -> AdminUser:
    """The actor of what no member of staff did: a command line, somebody unknown."""
    return AdminUser.objects.get(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)


@transaction.atomic
def add(
    *,
    username: str,
    tg_user_id: int,
    role: str,
    by: AdminUser,
    password: str | None = None,
    reason: str | None = None,
) -> tuple[AdminUser, str]:
    """Make a login with its row among the staff. Returns the password too, which is kept nowhere else: the given one,
    or a random one.

    ValidationError when the username or the Telegram id is taken or malformed, or the password too weak.
    """
    login = get_user_model()(username=username, is_staff=True)
    password = password or secrets.token_urlsafe(16)
    login.set_password(password)
    login.full_clean()
    validate_password(password, login)
    login.save()
    admin_user = AdminUser(tg_user_id=tg_user_id, username=username, role=role, login=login)
    admin_user.full_clean()
    admin_user.save()
    journal.record(journal.Act("admin_user.added", admin_user, after=journal.values(admin_user)), by=by, reason=reason)
    return admin_user, password


@dataclass(frozen=True)
class Reset:
    """What it came to. A password that was made up is kept nowhere else."""

    act: journal.Act
    told: str
    made_up: str | None

    def __str__(self) -> str:
        return f"{self.new_password} {self.told}".lstrip()

    @property
    def new_password(self) -> str:
        return _("The new password is %s (shown only now).") % self.made_up if self.made_up else ""


def refusal_to_reset(admin_user: AdminUser, *, by: AdminUser) -> str | None:
    if admin_user.login is None:
        return _("%(name)s has no login, so there is nothing to reset.") % {"name": admin_user}
    if admin_user == by:
        return _("Nobody resets themselves. Change your password on the page for it.")
    return None


@transaction.atomic
def reset_access(
    admin_user: AdminUser,
    *,
    by: AdminUser,
    password: str | None = None,
    keep_password: bool = False,
    keep_second_factor: bool = False,
) -> Reset:
    """Let somebody in again who lost password or phone: the given password or a random one, no second factor until they
    set one up, no lock-out, no session that is still open somewhere. Whoever calls writes the act in the journal.

    ValidationError when they have no login or are who asks, or the given password is too weak.
    """
    if refusal := refusal_to_reset(admin_user, by=by):
        raise ValidationError(refusal, code="not_to_be_reset")
    login: Any = admin_user.login
    second_factor.hold(login)
    made_up = None if password or keep_password else secrets.token_urlsafe(16)
    if password:
        validate_password(password, login)
    if not keep_password:
        login.set_password(password or made_up)
        login.save(update_fields=["password"])
    removed = not keep_second_factor and second_factor.is_set_up_for(login)
    if not keep_second_factor:
        second_factor.remove(login)
    forgotten = lock_outs.lift(login.get_username())
    # With a kept password they would go on, and on a lost phone there may be one.
    sessions.end(login)
    facts = {"password": not keep_password, "second_factor": removed, "failed_logins": forgotten}
    told = [] if made_up else [_("The password stays.") if keep_password else _("The password is the new one.")]
    told += [
        _("The second factor is removed.") if removed else _("No second factor is removed."),
        _("Failed logins are forgotten.") if forgotten else _("There were no failed logins."),
        _("All sessions have ended."),
    ]
    return Reset(journal.Act("admin_user.reset", admin_user, facts=facts), " ".join(told), made_up)


def ensure_system_actor(*, using: str, apps: Apps = installed_apps, **kwargs: object) -> None:
    """Receiver of post_migrate, which a test's flush sends as well: makes the actor of what no member of staff did."""
    try:
        admin_user = apps.get_model("adminlog", "AdminUser")
    except LookupError:  # migrated to zero
        return
    system = admin_user(tg_user_id=AdminUser.SYSTEM_TG_USER_ID, username="system", role="support", is_active=False)
    admin_user._default_manager.using(using).bulk_create([system], ignore_conflicts=True)
