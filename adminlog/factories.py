import factory
from factory.django import DjangoModelFactory

from adminlog.models import ActionDetails, AdminAction, AdminAlert, AdminUser, JobRun, Note


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


class ActionDetailsFactory(DjangoModelFactory[ActionDetails]):
    class Meta:
        model = ActionDetails

    personal = {"reason": "They asked for it."}


class AdminActionFactory(DjangoModelFactory[AdminAction]):
    """What the database fills by itself is read by refresh_from_db."""

    class Meta:
        model = AdminAction

    class Params:
        told = factory.Trait(details=factory.SubFactory(ActionDetailsFactory))

    admin = factory.SubFactory(AdminUserFactory)
    action = "gift.queued"
    target_type = "contractor"


class NoteFactory(DjangoModelFactory[Note]):
    class Meta:
        model = Note

    contractor_id = factory.Sequence(lambda n: n + 1)
    author = factory.SubFactory(AdminUserFactory)
    text = "Wants to be called after six."


class JobRunFactory(DjangoModelFactory[JobRun]):
    """Under way, unless finished_at and an outcome are given."""

    class Meta:
        model = JobRun

    command = "apply_gifts"


class AdminAlertFactory(DjangoModelFactory[AdminAlert]):
    """Open, of a run that failed."""

    class Meta:
        model = AdminAlert

    fingerprint = factory.Sequence(lambda n: f"failed apply_gifts {n}")
    command = "apply_gifts"
    kind = AdminAlert.Kind.FAILED
    text = "gift 5: it does not start"
    run = factory.SubFactory(JobRunFactory)
