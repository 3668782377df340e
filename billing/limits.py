"""What a contractor's effective plan allows."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from billing.models import Plan, Subscription

FLAGS = ["can_edit_channel", "can_sync", "crm"]


@dataclass(frozen=True)
class Features:
    """`plans.features`, read. `team_size` counts the owner too; `others` are the keys that nobody here knows yet."""

    can_edit_channel: bool = False
    can_sync: bool = False
    team_size: int = 1
    crm: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, value: Any) -> "Features":
        """ValidationError with a message for each known key whose value is of another type."""
        if not isinstance(value, dict):
            raise ValidationError(
                _("features is an object such as %(example)s, not %(value)s"),
                params={"example": '{"crm": true}', "value": as_json(value)},
            )
        known = {key: value[key] for key in (*FLAGS, "team_size") if key in value}
        wrong = [
            _("%(key)s is true or false, not %(value)s") % {"key": key, "value": as_json(known[key])}
            for key in FLAGS
            if key in known and not isinstance(known[key], bool)
        ]
        team_size = known.get("team_size", 1)
        if type(team_size) is not int or team_size < 1:  # True is an int too
            wrong.append(_("team_size is a whole number from 1 up, not %(value)s") % {"value": as_json(team_size)})
        if wrong:
            raise ValidationError(wrong)
        return cls(**known, others={key: value[key] for key in value if key not in known})


def as_json(value: Any) -> str:
    return Truncator(json.dumps(value, ensure_ascii=False)).chars(40)


def effective_plan(*, at: dt.datetime) -> Coalesce:
    """The code of the effective plan, for a queryset of contractors."""
    live = Subscription.objects.live(at=at).filter(contractor=OuterRef("pk"))
    return Coalesce(Subquery(live.values("plan__code")), Value(Plan.Code.FREE))
