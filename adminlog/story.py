"""What an entry of the journal tells, for whoever reads it. Anything may stand in one that was made by plain SQL."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import DateTimeField, Field, Model
from django.utils.dateparse import parse_datetime
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from unfold.utils import display_for_value

from adminlog.columns import EMPTY, yes_or_no
from adminlog.journal import columns_of
from adminlog.models import AdminAction

MOMENTS = ("before", "after")
# What acts tell that is no column; `title` looks them up.
FACTS = [
    gettext_noop("again"),
    gettext_noop("channels"),
    gettext_noop("chosen"),
    gettext_noop("clients"),
    gettext_noop("events"),
    gettext_noop("failed logins"),
    gettext_noop("files"),
    gettext_noop("filters"),
    gettext_noop("format"),
    gettext_noop("history"),
    gettext_noop("journal entries"),
    gettext_noop("left without account"),
    gettext_noop("list"),
    gettext_noop("notes"),
    gettext_noop("password"),
    gettext_noop("rows"),
    gettext_noop("searched"),
    gettext_noop("second factor"),
    gettext_noop("skipped"),
    gettext_noop("step"),
    gettext_noop("their names"),
]


class Change(NamedTuple):
    """Of a column, as a person reads it; EMPTY where nothing is told."""

    name: str
    before: str
    after: str


def moments(act: AdminAction) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns before and after, personal ones among them."""
    payload, personal = told(act)
    before, after = ({**mapping(payload.get(moment)), **mapping(personal.get(moment))} for moment in MOMENTS)
    return before, after


def changes(act: AdminAction, *, say: Callable[[Any, Any], str] | None = None) -> list[Change]:
    """The columns in the order of their table, then what is none. The key is left out: it is the target's id."""
    before, after = moments(act)
    columns, say = columns_of(model(act.target_type)), say or shown
    named = ((name, columns.get(name)) for name in dict.fromkeys([*columns, *before, *after]))
    return [
        Change(title(name, column), say(before.get(name), column), say(after.get(name), column))
        for name, column in named
        if (name in before or name in after) and not (column and column.primary_key)
    ]


def remarks(act: AdminAction) -> dict[str, Any]:
    """What else there is to it: neither columns nor the reason."""
    return {
        name: value
        for values in told(act)
        for name, value in values.items()
        if name != "reason" and not (name in MOMENTS and isinstance(value, dict))
    }


def reason(act: AdminAction) -> str:
    _, personal = told(act)
    return shown(personal["reason"]) if personal.get("reason") else ""


def is_emptied(act: AdminAction) -> bool:
    return act.details is not None and act.details.personal is None


def summary(act: AdminAction) -> str:
    """In one line, for a list."""
    return Truncator(", ".join(pieces(act))).chars(120)


def pieces(act: AdminAction) -> Iterator[str]:
    is_change = all(moments(act))
    for name, before, after in changes(act):
        if is_change:
            if before != after:
                yield f"{name}: {before} → {after}"
        elif (value := before if after == EMPTY else after) != EMPTY:
            yield f"{name}: {value}"
    yield from (f"{title(name)}: {shown(value)}" for name, value in remarks(act).items())
    if is_emptied(act):
        yield _("emptied by an erasure")


def told(act: AdminAction) -> tuple[dict[str, Any], dict[str, Any]]:
    """The chained row's part and what stands beside it."""
    personal = act.details.personal if act.details else None
    return tuple(  # type: ignore[return-value]
        values if isinstance(values, dict) else {} if values is None else {name: values}
        for name, values in (("payload", act.payload), ("details", personal))
    )


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def model(target_type: str | None) -> "type[Model] | None":
    """None for what is no table, or no more."""
    try:
        return apps.get_model(target_type) if target_type else None
    except (LookupError, ValueError):
        return None


def kind(target_type: str) -> str:
    """What a target is, in words: referral cycle."""
    target = model(target_type)
    return str(target._meta.verbose_name) if target else target_type


def title(name: str, column: "Field[Any, Any] | None" = None) -> str:
    return str(column.verbose_name) if column else _(name.replace("_", " "))


def shown(value: Any, column: "Field[Any, Any] | None" = None) -> str:
    match value:
        case None | "":
            return EMPTY
        case bool():
            return yes_or_no(value)
        case str() if column is not None and column.choices:
            return str(dict(column.flatchoices).get(value, value))
        case str() if isinstance(column, DateTimeField) and (moment := read(value)):
            return display_for_value(moment, EMPTY)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def read(value: str) -> dt.datetime | None:
    try:
        return parse_datetime(value)
    except ValueError:
        return None
