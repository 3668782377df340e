from django.contrib.auth.models import User
from django.test import Client

from adminlog.factories import AdminUserFactory


def browser(*, is_active: bool = True, row: bool = True) -> Client:
    """A superuser's browser, logged in; with a row among the staff unless asked otherwise."""
    login = User.objects.create_superuser("anna")
    if row:
        AdminUserFactory(login=login, username="anna", owner=True, is_active=is_active)
    client = Client()
    client.force_login(login)
    return client
