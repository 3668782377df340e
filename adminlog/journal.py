"""What staff did, told by whoever did it. It stands in for Django's own log of the admin, which is not written.

An act takes its locks first and writes here last: the journal is one chain, so from its first row in a transaction to
the commit nobody else can write in it.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import BooleanField, DateField, DecimalField, Field, ForeignKey, IntegerField, Model, Q
from django.utils.text import camel_case_to_spaces

from adminlog import requests
from adminlog.models import ActionDetails, AdminAction, AdminUser

Values = Mapping[str, Any]
NOTHING = Q(pk__in=[])


@dataclass(frozen=True)
class Act:
    """`action` is dotted and in the past tense: gift.queued. `before` and `after` are columns of the target; what of
    them is personal is told by the columns. `facts` is what else there is to say without naming a person."""

    action: str
    target: Model | None = None
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)
    facts: Values = field(default_factory=dict)
    # Free text, names, Telegram ids that are no columns of the target.
    personal: Values = field(default_factory=dict)
    # The ids of those whom it is about.
    contractors: Collection[int] = ()


def record(act: Act, *, by: AdminUser, reason: str | None = None, token: str | None = None) -> AdminAction:
    """Write one act, in the transaction of the act itself. IntegrityError when the one-time token was used before."""
    return write([act], by=by, reason=reason, token=token)[0]


def record_bulk(
    head: Act, acts: Sequence[Act], *, by: AdminUser, reason: str | None = None, token: str | None = None
) -> AdminAction:
    """Write an act on many rows: a head row, and one row for each that names the head. All tell the reason, since each
    is of another timeline."""
    part_of = record(head, by=by, reason=reason, token=token)
    write(acts, by=by, reason=reason, part_of=part_of)
    return part_of


def write(
    acts: Iterable[Act],
    *,
    by: AdminUser,
    reason: str | None = None,
    token: str | None = None,
    part_of: AdminAction | None = None,
) -> list[AdminAction]:
    # Deferred foreign keys would wait for the bot's locks at the commit, and everybody who writes here for them.
    connection.check_constraints()
    told = [split(act, reason) for act in acts]
    details = iter(
        ActionDetails.objects.bulk_create(ActionDetails(personal=personal) for _, _, personal in told if personal)
    )
    origin = requests.current()
    return AdminAction.objects.bulk_create(
        AdminAction(
            admin=by,
            action=act.action,
            target_type=act.target._meta.label_lower if act.target else None,
            target_id=act.target.pk if act.target else None,
            contractors=sorted(set(act.contractors)),
            payload=payload or None,
            details=next(details) if personal else None,
            part_of=part_of,
            token=token,
            address=origin.address if origin else None,
            request_id=origin.request_id if origin else None,
        )
        for act, payload, personal in told
    )


def split(act: Act, reason: str | None) -> tuple[Act, dict[str, Any], dict[str, Any]]:
    """The act with what of it the chained row tells, and what stands beside it, where an erasure can reach."""
    payload: dict[str, Any] = dict(act.facts)
    personal: dict[str, Any] = dict(act.personal) | ({"reason": reason} if reason else {})
    for moment, values in (("before", act.before), ("after", act.after)):
        names = {name for name in values if is_personal(act.target, name)}
        if plain := {name: value for name, value in values.items() if name not in names}:
            payload[moment] = plain
        if names:
            personal[moment] = {name: values[name] for name in values if name in names}
    return act, storable(payload), storable(personal)


def storable(values: Values) -> dict[str, Any]:
    """As jsonb stores it: people type NUL and halves of letters too, and no act may fail because it told so."""
    text = json.dumps(values, cls=DjangoJSONEncoder, ensure_ascii=False).encode("utf-8", "replace").decode()
    without_nul = re.sub(r"\\(u0000|.)", lambda escape: "\ufffd" if escape[1] == "u0000" else escape[0], text)
    return json.loads(without_nul, parse_constant=str)


PLAIN = (BooleanField, DateField, DecimalField, ForeignKey, IntegerField)


def is_personal(target: Model | None, name: str) -> bool:
    """Of text only what is chosen from a list is plain: all other may be a name, and what is no column anything."""
    column = columns_of(target).get(name)
    is_plain = isinstance(column, PLAIN) or (column is not None and bool(column.choices))
    return not is_plain or name.startswith("tg_")


def columns_of(target: Model | type[Model] | None) -> dict[str, "Field[Any, Any]"]:
    return {column.attname: column for column in target._meta.concrete_fields} if target else {}


def values(row: Model) -> dict[str, Any]:
    return {name: getattr(row, name) for name in columns_of(row)}


def difference(before: Model, after: Model) -> dict[str, dict[str, Any]]:
    """An act's `before` and `after`: the columns of a row that changed."""
    was, is_now = values(before), values(after)
    names = [name for name in was if was[name] != is_now[name]]
    return {"before": {name: was[name] for name in names}, "after": {name: is_now[name] for name in names}}


def noun(model: type[Model]) -> str:
    """The first half of an action's name, which no translation touches: team_member."""
    return camel_case_to_spaces(model.__name__).replace(" ", "_")


def erase(*, contractor: int, rows: Q = NOTHING) -> int:
    """Empty what the journal tells of a person beside its chain, which holds without it. `rows` are acts on rows that
    tell of the person and are others'. Returns how many acts."""
    acts = AdminAction.objects.filter(Q(contractors__contains=[contractor]) | rows)
    # The head of an act on many tells the reason too.
    told = Q(adminaction__in=acts) | Q(adminaction__in=acts.values("part_of"))
    return ActionDetails.objects.filter(told, personal__isnull=False).update(salt=None, personal=None)
