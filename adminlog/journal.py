"""What staff did, told by whoever did it. It stands in for Django's own log of the admin, which is not written."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.utils.text import camel_case_to_spaces

from adminlog.models import AdminAction, AdminUser


def record(
    *, admin: AdminUser, action: str, target: Model | None = None, payload: dict[str, Any] | None = None
) -> AdminAction:
    """Write one act, in the transaction of the act itself. `action` is dotted and in the past tense: gift.added."""
    return AdminAction.objects.create(
        admin=admin,
        action=action,
        target_type=target._meta.label_lower if target else None,
        target_id=target.pk if target else None,
        payload=json.loads(json.dumps(payload, cls=DjangoJSONEncoder)),
    )


def noun(model: type[Model]) -> str:
    """The first half of an action's name, which no translation touches: team_member."""
    return camel_case_to_spaces(model.__name__).replace(" ", "_")


def columns(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
