import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from smetabot.postgres.base import FAR_FUTURE, FAR_PAST

from .project import in_schemas, shop

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])

FAR = {
    "infinity": FAR_FUTURE,
    "10000-01-01 00:00+00": FAR_FUTURE,
    "294276-12-31 00:00+00": FAR_FUTURE,
    "-infinity": FAR_PAST,
    "0001-01-01 00:00+00 BC": FAR_PAST,
    "4713-01-01 00:00+00 BC": FAR_PAST,
    "9999-12-31 23:59:59.999999+00": dt.datetime.max,
    "0001-01-01 00:00+00": dt.datetime.min,
}


@pytest.mark.parametrize("text", FAR)
def test_a_date_out_of_range_is_read_as_a_far_one(scratch, text):
    items = shop(in_schemas)["Item"].objects
    with connection.cursor() as cursor:
        cursor.execute("UPDATE engine_a.engine_items SET made_at = %s", [text])
    expected = FAR[text].replace(tzinfo=dt.UTC)
    assert items.get().made_at == expected
    assert [item.made_at for item in items.iterator(chunk_size=1)] == [expected]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("far", [FAR_FUTURE, FAR_PAST])
def test_a_far_date_is_shown_in_any_time_zone(far, zone):
    assert timezone.localtime(far.replace(tzinfo=dt.UTC), ZoneInfo(zone)).year in (1, 9999)
