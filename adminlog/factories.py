import factory
from factory.django import DjangoModelFactory

from adminlog.models import AdminAction, AdminUser, JobRun


class AdminUserFactory(DjangoModelFactory[AdminUser]):
    """A member of staff without a login; give one as `login`."""

    class Meta:
        model = AdminUser

    class Params:
        manager = factory.Trait(role=AdminUser.Role.MANAGER)
        owner = factory.Trait(role=AdminUser.Role.OWNER)

    tg_user_id = factory.Sequence(lambda n: 900_000_000 + n)
    username = factory.Sequence(lambda n: f"staff_{n}")
    role = AdminUser.Role.SUPPORT


class AdminActionFactory(DjangoModelFactory[AdminAction]):
    class Meta:
        model = AdminAction

    admin = factory.SubFactory(AdminUserFactory)
    action = "gift.queued"
    target_type = "contractor"


class JobRunFactory(DjangoModelFactory[JobRun]):
    """Under way, unless finished_at and an outcome are given."""

    class Meta:
        model = JobRun

    command = "apply_gifts"
