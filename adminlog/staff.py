"""Who the staff are."""

import secrets

from django.apps.registry import Apps
from django.apps.registry import apps as installed_apps
from django.contrib.auth import get_user_model
from django.db import transaction

from adminlog.models import AdminUser


def add_owner(*, username: str, tg_user_id: int) -> str:
    """Make a login that may do everything, with its row among the staff. Returns the password, kept nowhere else.

    IntegrityError when the username or the Telegram id is taken.
    """
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        login = get_user_model().objects.create_superuser(username=username, password=password)
        AdminUser.objects.create(tg_user_id=tg_user_id, username=username, role=AdminUser.Role.OWNER, login=login)
    return password


def ensure_system_actor(*, using: str, apps: Apps = installed_apps, **kwargs: object) -> None:
    """Receiver of post_migrate, which a test's flush sends as well: makes the actor of what no member of staff did."""
    try:
        admin_user = apps.get_model("adminlog", "AdminUser")
    except LookupError:  # migrated to zero
        return
    system = admin_user(tg_user_id=AdminUser.SYSTEM_TG_USER_ID, username="system", role="support", is_active=False)
    admin_user._default_manager.using(using).bulk_create([system], ignore_conflicts=True)
