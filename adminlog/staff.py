"""Who the staff are."""

import secrets

from axes.utils import reset as lift_lock_out
from django.apps.registry import Apps
from django.apps.registry import apps as installed_apps
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from adminlog import journal, second_factor
from adminlog.models import AdminUser


def system() -> AdminUser:
    """The actor of what no member of staff did: a command line, somebody unknown."""
    return AdminUser.objects.get(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)


@transaction.atomic
def add(
    *, username: str, tg_user_id: int, role: str, by: AdminUser, password: str | None = None
) -> tuple[AdminUser, str]:
    """Make a login with its row among the staff. Returns the password too, which is kept nowhere else: the given one,
    or a random one.

    ValidationError when the username or the Telegram id is taken or malformed, or the password too weak.
    """
    login = get_user_model()(username=username, is_staff=True)
    password = password or secrets.token_urlsafe(12)
    login.set_password(password)
    login.full_clean()
    validate_password(password, login)
    login.save()
    admin_user = AdminUser(tg_user_id=tg_user_id, username=username, role=role, login=login)
    admin_user.full_clean()
    admin_user.save()
    journal.record(journal.Act("admin_user.added", admin_user, after=journal.values(admin_user)), by=by)
    return admin_user, password


@transaction.atomic
def reset_access(
    admin_user: AdminUser, *, by: AdminUser, password: str | None = None, reason: str | None = None
) -> str:
    """Let somebody in again who lost password or phone: a new password, which is returned and ends all sessions, no
    second factor until they set one up, no lock-out.

    ValidationError when they have no login, or the given password is too weak.
    """
    login = admin_user.login
    if login is None:
        raise ValidationError("There is no login to reset.", code="no_login")
    if password:
        validate_password(password, login)
    password = password or secrets.token_urlsafe(12)
    login.set_password(password)
    login.save(update_fields=["password"])
    second_factor.remove(login)
    lift_lock_out(username=login.get_username())
    journal.record(journal.Act("admin_user.reset", admin_user), by=by, reason=reason)
    return password


def ensure_system_actor(*, using: str, apps: Apps = installed_apps, **kwargs: object) -> None:
    """Receiver of post_migrate, which a test's flush sends as well: makes the actor of what no member of staff did."""
    try:
        admin_user = apps.get_model("adminlog", "AdminUser")
    except LookupError:  # migrated to zero
        return
    system = admin_user(tg_user_id=AdminUser.SYSTEM_TG_USER_ID, username="system", role="support", is_active=False)
    admin_user._default_manager.using(using).bulk_create([system], ignore_conflicts=True)
