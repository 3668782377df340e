"""Who may do what. Django asks by permission; the answer is the role, and nothing else that Django knows of a login."""

from functools import cache
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User

from adminlog.models import AdminUser

SUPPORT, MANAGER, OWNER = AdminUser.Role.SUPPORT, AdminUser.Role.MANAGER, AdminUser.Role.OWNER

# The least role that has it. What is not named here nobody may do.
LEAST = {
    "core.view_contractor": SUPPORT,
    "core.change_contractor": MANAGER,
    "core.delete_contractor": OWNER,
    "core.view_channel": SUPPORT,
    "core.change_channel": MANAGER,
    "core.view_publication": SUPPORT,
    "core.view_invite": SUPPORT,
    "core.change_invite": MANAGER,
    "core.view_client": SUPPORT,
    "core.change_client": SUPPORT,
    "core.view_teammember": SUPPORT,
    "core.add_teammember": MANAGER,
    "core.delete_teammember": MANAGER,
    "billing.view_plan": SUPPORT,
    "billing.change_plan": OWNER,
    "billing.view_subscription": SUPPORT,
    "billing.change_subscription": MANAGER,
    "billing.view_subscriptionhistory": SUPPORT,
    "billing.view_usagecounter": SUPPORT,
    "billing.view_gift": SUPPORT,
    "billing.add_gift": MANAGER,
    "billing.delete_gift": MANAGER,
    "analytics.view_viewsdaily": SUPPORT,
    "analytics.view_channelstats": SUPPORT,
    "analytics.view_event": SUPPORT,
    "analytics.view_suspectreading": SUPPORT,
    "referrals.view_referrallink": SUPPORT,
    "referrals.view_referral": SUPPORT,
    "referrals.add_referral": MANAGER,
    "referrals.delete_referral": MANAGER,
    "referrals.view_referralcycle": SUPPORT,
    "adminlog.view_note": SUPPORT,
    "adminlog.add_note": SUPPORT,
    "adminlog.view_adminaction": SUPPORT,
    "adminlog.export_adminaction": OWNER,
    "adminlog.view_adminuser": SUPPORT,
    "adminlog.add_adminuser": OWNER,
    "adminlog.change_adminuser": OWNER,
    "adminlog.reset_adminuser": OWNER,
    "adminlog.view_jobrun": SUPPORT,
    "adminlog.view_adminalert": SUPPORT,
    "adminlog.acknowledge_adminalert": SUPPORT,
    "adminlog.resolve_adminalert": MANAGER,
}
ASCENDING = [SUPPORT, MANAGER, OWNER]


@cache
def permissions(role: str) -> frozenset[str]:
    reached = ASCENDING[: ASCENDING.index(AdminUser.Role(role)) + 1]
    return frozenset(permission for permission, least in LEAST.items() if least in reached)


def member_of_staff(login: AbstractBaseUser | AnonymousUser) -> AdminUser | None:
    """The login's row among the staff, while it is switched on."""
    admin_user = getattr(login, "admin_user", None)
    return admin_user if admin_user is not None and admin_user.is_active else None


class RoleBackend(ModelBackend):
    """A password opens the door, a role says how far: groups, a login's own permissions and the flag of a superuser
    count for nothing."""

    def get_user(self, user_id: int) -> Any:
        # With the row: each request asks for it, and that there is none would be asked again each time.
        login = User.objects.select_related("admin_user").filter(pk=user_id).first()
        if login is None or not self.user_can_authenticate(login):
            return None
        # Django asks no backend about a superuser.
        login.is_superuser = False
        return login

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        admin_user = member_of_staff(user_obj)
        return set(permissions(admin_user.role)) if admin_user and user_obj.is_active and obj is None else set()
