"""Who the staff are."""

import secrets

from django.apps.registry import Apps
from django.apps.registry import apps as installed_apps
from django.contrib.auth import get_user_model
from django.db import transaction

from adminlog.models import AdminUser


def add_owner(*, username: str, tg_user_id: int) -> str:
    """Make a login that may do everything, with its row among the staff. Returns the password, kept nowhere else.

    ValidationError when the username or the Telegram id is taken or malformed.
    """
    password = secrets.token_urlsafe(12)
    login = get_user_model()(username=username, is_staff=True, is_superuser=True)
    login.set_password(password)
    admin_user = AdminUser(tg_user_id=tg_user_id, username=username, role=AdminUser.Role.OWNER, login=login)
    with transaction.atomic():
        login.full_clean()
        login.save()
        admin_user.full_clean()
        admin_user.save()
    return password


def ensure_system_actor(*, using: str, apps: Apps = installed_apps, **kwargs: object) -> None:
    """Receiver of post_migrate, which a test's flush sends as well: makes the actor of what no member of staff did."""
    try:
        admin_user = apps.get_model("adminlog", "AdminUser")
    except LookupError:  # migrated to zero
        return
    system = admin_user(tg_user_id=AdminUser.SYSTEM_TG_USER_ID, username="system", role="support", is_active=False)
    admin_user._default_manager.using(using).bulk_create([system], ignore_conflicts=True)
