import re
from fnmatch import fnmatch

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User

from adminlog.factories import AdminUserFactory
from adminlog.roles import LEAST, MANAGER, OWNER, SUPPORT, RoleBackend, permissions


def test_each_role_may_what_the_roles_before_it_may():
    assert permissions(SUPPORT) < permissions(MANAGER) < permissions(OWNER) == set(LEAST)


def test_the_table_in_the_documentation_is_the_one_in_the_code():
    text = (settings.BASE_DIR / "docs" / "access.md").read_text()
    rows = re.findall(r"^\| .+ \| (support|manager|owner) \| (.+) \|$", text, re.MULTILINE)
    told = [(pattern, role) for role, patterns in rows for pattern in re.findall(r"`(.+?)`", patterns)]
    matched = [(permission, role) for permission in LEAST for pattern, role in told if fnmatch(permission, pattern)]

    assert sorted(matched) == sorted(LEAST.items())
    assert not [pattern for pattern, _ in told if not any(fnmatch(permission, pattern) for permission in LEAST)]


@pytest.fixture
def superuser(db: None) -> User:
    login = User.objects.create_superuser("anna")
    everything = Group.objects.create()
    everything.permissions.set(Permission.objects.all())
    login.groups.add(everything)
    login.user_permissions.set(Permission.objects.all())
    return login


def seen_by_django(login: User) -> User:
    return RoleBackend().get_user(login.pk)


@pytest.mark.parametrize("role", [SUPPORT, MANAGER, OWNER])
def test_what_django_granted_counts_for_nothing_beside_a_role(superuser, role):
    AdminUserFactory(login=superuser, role=role)
    assert seen_by_django(superuser).get_all_permissions() == permissions(role)
    assert not seen_by_django(superuser).has_perm("billing.delete_plan")


@pytest.mark.parametrize("row", [None, {"is_active": False}], ids=["no row", "switched off"])
def test_without_an_active_row_a_superuser_may_nothing(superuser, row):
    if row:
        AdminUserFactory(login=superuser, role=OWNER, **row)
    assert not seen_by_django(superuser).get_all_permissions()
    assert not seen_by_django(superuser).has_perm("core.view_contractor")
    assert not seen_by_django(superuser).has_module_perms("core")


def test_an_owner_whose_login_django_calls_inactive_is_nobody(superuser):
    AdminUserFactory(login=superuser, role=OWNER)
    User.objects.update(is_active=False)
    assert seen_by_django(superuser) is None
