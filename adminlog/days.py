"""The calendar of daily figures: settings.DAY_ZONE's, in whatever zone a moment is shown."""

import datetime as dt

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import TruncDate


def day_of(moment: dt.datetime) -> dt.date:
    return moment.astimezone(settings.DAY_ZONE).date()


def start_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, settings.DAY_ZONE)


def days(first: dt.date, last: dt.date) -> list[dt.date]:
    """From `first` up to, without, `last`; so are all spans here."""
    return [first + dt.timedelta(days=number) for number in range((last - first).days)]


def within(column: str, first: dt.date, last: dt.date) -> Q:
    """That a moment lies in these days: a range, which an index can serve."""
    return Q((f"{column}__gte", start_of(first)), (f"{column}__lt", start_of(last)))


def day_in(column: str) -> TruncDate:
    return TruncDate(column, tzinfo=settings.DAY_ZONE)
