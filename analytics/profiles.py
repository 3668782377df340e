"""Profiles by statements that stand. Prepared, they are answered sooner than the ORM has built them or made their
objects; where that is no matter there is `ProfileOverview.objects`, for a page too."""

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from analytics.models import ProfileOverview

COLUMNS = [field.attname for field in ProfileOverview._meta.fields]
Profile = namedtuple("Profile", COLUMNS)  # type: ignore[misc]

ONE = f"SELECT {', '.join(COLUMNS)} FROM analytics.profile_overview WHERE contractor_id = %s"
ALL = f"SELECT {', '.join(COLUMNS)} FROM analytics.profile_listing"
# Rows that are read at once.
CHUNK = 2000


def profile_of(contractor: int) -> Any:
    """A `Profile`, or None where there is no such contractor."""
    with connection.cursor() as cursor:
        cursor.execute(ONE, [contractor])
        row = cursor.fetchone()
    return row and Profile._make(row)


def all_profiles() -> Iterator[Any]:
    """Everybody's `Profile`, in no order and all of the same moment; in a transaction of its own and little memory,
    also behind a pooler."""
    with transaction.atomic(durable=True), connection.cursor() as settings, connection.chunked_cursor() as cursor:
        # All is read, so the plan that has its first rows soonest is not wanted; and the groups of some hundred
        # thousand channels have room.
        settings.execute("SET LOCAL cursor_tuple_fraction = 1; SET LOCAL work_mem = '64MB'")
        cursor.execute(ALL)
        while rows := cursor.fetchmany(CHUNK):
            yield from map(Profile._make, rows)
