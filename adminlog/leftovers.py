"""What nobody needs any more, and nothing else removes."""

import datetime as dt

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from adminlog.models import JobRun
from adminlog.schedule import WATCH
from smetabot.postgres.retry import retry_transient

# Of the job that runs oftenest by far; all others keep their runs.
WATCHED = dt.timedelta(days=90)
BATCH = 1000


def clear(*, now: dt.datetime) -> dict[str, int]:
    return {
        "sessions": remove_sessions(now=now),
        # By then axes counts from one again.
        "attempts": remove(AccessAttempt.objects.filter(attempt_time__lt=now - settings.AXES_COOLOFF_TIME)),
        "runs": remove(JobRun.objects.filter(command=WATCH, started_at__lt=now - WATCHED)),
    }


@retry_transient
def remove_sessions(*, now: dt.datetime) -> int:
    """All at once, by their end: the role of the jobs may not read a session's key, with which anybody would be in."""
    return Session.objects.filter(expire_date__lt=now).delete()[0]


def remove(rows: QuerySet) -> int:
    """A batch a transaction: it holds no login up for long, and whoever kills it keeps what is done."""
    return sum(iter(lambda: remove_batch(rows), 0))


@retry_transient
def remove_batch(rows: QuerySet) -> int:
    # Asked again of each row that it waited for: a failed login may have been counted in it meanwhile. Django's own
    # delete() reads the keys first, and then asks nothing else.
    return rows.filter(pk__in=rows.order_by("pk").values("pk")[:BATCH]).order_by()._raw_delete(rows.db)
