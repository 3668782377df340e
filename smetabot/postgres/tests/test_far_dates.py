import datetime as dt
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.db import connection, models, transaction
from django.utils import timezone

from smetabot.postgres.base import FAR_FUTURE, FAR_PAST

from .project import Project, create, in_schemas

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])

FAR_MOMENTS = {
    "infinity": FAR_FUTURE,
    "10000-01-01 00:00+00": FAR_FUTURE,
    "294276-12-31 00:00+00": FAR_FUTURE,
    "9999-12-31 23:59:59.999999+00": FAR_FUTURE,
    "9999-12-31 00:00+00": dt.datetime(9999, 12, 31),
    "-infinity": FAR_PAST,
    "0001-01-01 00:00+00 BC": FAR_PAST,
    "4713-01-01 00:00+00 BC": FAR_PAST,
    "0001-01-01 00:00+00": FAR_PAST,
    "0001-01-02 00:00+00": dt.datetime(1, 1, 2),
}
FAR_DAYS = {
    "infinity": dt.date.max,
    "10000-01-01": dt.date.max,
    "12000-10-01": dt.date.max,
    "294276-12-31": dt.date.max,
    "5874897-12-31": dt.date.max,
    "9999-12-31": dt.date.max,
    "-infinity": dt.date.min,
    "0001-12-31 BC": dt.date.min,
    "4713-01-01 BC": dt.date.min,
    "0001-01-01": dt.date.min,
}


def calendar(**written: str):
    project = Project(
        create(
            "Note",
            in_schemas("a", "notes"),
            ("day", models.DateField(null=True)),
            ("moment", models.DateTimeField(null=True)),
        )
    )
    with connection.cursor() as cursor:
        for column, text in written.items():
            cursor.execute(f"INSERT INTO engine_a.engine_notes ({column}) VALUES (%s)", [text])
    return project["Note"].objects


@pytest.mark.parametrize("text", FAR_MOMENTS)
def test_a_moment_out_of_range_is_read_as_a_far_one(scratch, text):
    notes = calendar(moment=text)
    expected = FAR_MOMENTS[text].replace(tzinfo=dt.UTC)
    assert notes.get().moment == expected
    assert notes.aggregate(last=models.Max("moment")) == {"last": expected}


@pytest.mark.parametrize("text", FAR_DAYS)
def test_a_day_out_of_range_is_read_as_a_far_one(scratch, text):
    notes = calendar(day=text)
    assert notes.get().day == FAR_DAYS[text]
    assert notes.aggregate(last=models.Max("day")) == {"last": FAR_DAYS[text]}


def test_days_and_moments_of_our_time_are_read_as_they_are(scratch):
    notes = calendar(day="2026-01-30")
    moment = dt.datetime(2026, 1, 30, 9, 0, 0, 123456, dt.UTC)
    notes.update(moment=moment)
    assert notes.values_list("day", "moment").get() == (dt.date(2026, 1, 30), moment)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_cursor_of_the_server_reads_far_ones_too(scratch, in_transaction):
    notes = calendar(day="infinity")
    notes.update(moment=models.Value("-infinity"))
    if in_transaction:
        with transaction.atomic():
            rows = list(notes.values_list("day", "moment").iterator(chunk_size=1))
    else:
        rows = list(notes.values_list("day", "moment").iterator(chunk_size=1))
    assert rows == [(dt.date.max, FAR_PAST.replace(tzinfo=dt.UTC))]


@pytest.mark.parametrize("far", [FAR_FUTURE, FAR_PAST])
def test_a_far_moment_is_shown_in_any_time_zone(far):
    for zone in sorted(available_timezones()):
        assert timezone.localtime(far.replace(tzinfo=dt.UTC), ZoneInfo(zone)).year in (1, 9999)
