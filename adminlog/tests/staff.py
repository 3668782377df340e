from django.contrib.auth.models import User
from django.test import Client

from adminlog.factories import AdminUserFactory
from adminlog.models import AdminUser


def browser(
    role: str = AdminUser.Role.OWNER,
    *,
    username: str = "anna",
    is_active: bool = True,
    row: bool = True,
    is_superuser: bool = False,
    password: str | None = None,
) -> Client:
    """A login's browser, logged in; with a row among the staff unless asked otherwise."""
    login = User.objects.create_user(username, password=password, is_staff=True, is_superuser=is_superuser)
    if row:
        AdminUserFactory(login=login, username=username, role=role, is_active=is_active)
    client = Client()
    client.force_login(login)
    return client
