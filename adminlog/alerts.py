"""What the office must see to: a job that fails, is late or hangs.

A row of admin.admin_alerts is one such trouble, from when it was first seen until it was over; if it comes again, that
is another row.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from adminlog import schedule
from adminlog.models import AdminAlert, JobRun

Kind, State = AdminAlert.Kind, AdminAlert.State

# So many different troubles of one run; it tells them all itself.
MOST = 10
LONGEST_TEXT, LONGEST_FINGERPRINT = 2000, 400
# What varies from one time to the next: what is quoted, the value of a key and a name, and any word with a digit in it.
# The apostrophe of "can't" quotes nothing.
VARYING = re.compile(r"""(?<!\w)(["']).*?\1(?!\w)|«.*?»|=\([^)]*\)|@\w+""")
AND_MORE = "and # more"

# What a run told already is counted no second time, and what staff closed stays so until there is another run of it; of
# a job that never ran, until there is one. An older run that ends after a newer one does not hide what that said.
OPEN = """
    INSERT INTO admin.admin_alerts AS alert
        (fingerprint, command, kind, text, run_id, first_seen_at, last_seen_at)
    SELECT trouble.*, %(now)s::timestamptz, %(now)s::timestamptz
    FROM unnest(
        %(fingerprints)s::text[], %(commands)s::text[], %(kinds)s::text[], %(texts)s::text[], %(runs)s::bigint[]
    ) AS trouble (fingerprint, command, kind, text, run_id)
    WHERE NOT EXISTS (
        SELECT FROM admin.admin_alerts AS closed
        WHERE closed.fingerprint = trouble.fingerprint AND closed.state = 'resolved' AND trouble.kind <> 'untold'
            AND closed.run_id IS NOT DISTINCT FROM trouble.run_id
    )
    ORDER BY trouble.fingerprint
    ON CONFLICT (fingerprint) WHERE state IN ('open', 'acknowledged') DO UPDATE SET
        count = alert.count + (alert.run_id IS DISTINCT FROM excluded.run_id)::integer,
        text = CASE WHEN excluded.run_id < alert.run_id THEN alert.text ELSE excluded.text END,
        run_id = greatest(alert.run_id, excluded.run_id),
        last_seen_at = greatest(alert.last_seen_at, excluded.last_seen_at)
    RETURNING alert.xmax = 0
"""


@dataclass(frozen=True)
class Trouble:
    command: str
    kind: str
    text: str
    run: int | None = None
    # The text without what varies, where there may be several of a kind.
    gist: str = ""

    @property
    def fingerprint(self) -> str:
        return f"{self.kind} {self.command} {self.gist}".strip()[:LONGEST_FINGERPRINT]


@dataclass(frozen=True)
class Watched:
    late: int
    killed: int
    opened: int
    closed: int


def gist(text: str) -> str:
    """Without ids, numbers, moments and names."""
    words = VARYING.sub("#", text[:LONGEST_TEXT]).split()
    plain = " ".join("#" if any(map(str.isdigit, word)) else word for word in words)
    return re.sub(r"#(\W+#)+", "#", plain)


def open_alerts(troubles: Iterable[Trouble], *, now: dt.datetime) -> int:
    """Or count what is open already. Returns how many are new. One statement: of several at once none is lost."""
    distinct = {trouble.fingerprint: trouble for trouble in troubles}
    if not distinct:
        return 0
    rows = distinct.values()
    with connection.cursor() as cursor:
        cursor.execute(
            OPEN,
            {
                "now": now,
                "fingerprints": list(distinct),
                "commands": [row.command for row in rows],
                "kinds": [str(row.kind) for row in rows],
                "texts": [row.text[:LONGEST_TEXT] for row in rows],
                "runs": [row.run for row in rows],
            },
        )
        return sum(is_new for (is_new,) in cursor.fetchall())


def failures(run: JobRun) -> list[Trouble]:
    """The different troubles of a failed run, the first of each as it was told."""
    distinct: dict[str, Trouble] = {}
    for line in (run.error or "").splitlines():
        if len(distinct) == MOST:
            break
        if (of_line := gist(line)) and of_line != AND_MORE:
            distinct.setdefault(of_line, Trouble(run.command, Kind.FAILED, line, run.pk, of_line))
    return list(distinct.values()) or [Trouble(run.command, Kind.FAILED, "It does not say why.", run.pk)]


def follow(run: JobRun, *, now: dt.datetime) -> None:
    """What a run that has come to its end says: it failed, or whatever failed in those before it no longer does."""
    if run.outcome == JobRun.Outcome.FAILED:
        open_alerts(failures(run), now=now)
    else:
        disproved(Q(command=run.command), run=run, now=now)


def disproved(of: Q, *, run: JobRun, now: dt.datetime) -> int:
    before = Q(run__isnull=True) | Q(run__lte=run.pk)
    return close(of & Q(kind=Kind.FAILED) & before, now=now)


@transaction.atomic(savepoint=False)
def close(which: Q, *, now: dt.datetime) -> int:
    held = hold(AdminAlert.objects.unresolved().filter(which))
    return AdminAlert.objects.filter(pk__in=held).update(state=State.RESOLVED, resolved_at=now)


def hold(alerts: QuerySet[AdminAlert]) -> list[int]:
    """In the order in which they are opened: else two who change several would wait for each other."""
    return list(alerts.order_by("fingerprint").select_for_update(no_key=True).values_list("pk", flat=True))


def watch(*, now: dt.datetime) -> Watched:
    """Bring the alerts to what the runs say: no job tells of itself that it is late or was killed, and a run that could
    not write its alert is made up for."""
    jobs = schedule.health(at=now)
    late, killed = list(lateness(jobs, now=now)), list(hanging(jobs))
    standing = {trouble.fingerprint for trouble in (*late, *killed)}
    unresolved = set(AdminAlert.objects.unresolved().values_list("fingerprint", flat=True))
    failed = [
        trouble
        for job in jobs
        if job.failure
        for trouble in failures(job.failure)
        if trouble.fingerprint not in unresolved
    ]
    opened = open_alerts([*late, *killed, *failed], now=now)
    closed = close(Q(kind__in=[Kind.LATE, Kind.KILLED]) & ~Q(fingerprint__in=standing), now=now)
    if unresolved:
        for job in jobs:
            if job.last_finished and not job.failure:
                closed += disproved(Q(command=job.job.command), run=job.last_finished, now=now)
    return Watched(len(late), len(killed), opened, closed)


def lateness(jobs: Sequence[schedule.Health], *, now: dt.datetime) -> Iterator[Trouble]:
    first = JobRun.objects.filter(command=schedule.WATCH).order_by("started_at").first()
    for job in jobs:
        last = job.last_finished
        # Of one that has never run nobody expected it before anybody looked.
        since = last.started_at if last else first.started_at if first else now
        if job.job.command != schedule.WATCH and job.job.is_late(since, at=now):
            text = f"No run has come to its end since {since:%Y-%m-%d %H:%M} UTC."
            yield Trouble(job.job.command, Kind.LATE, text, last.pk if last else None)


def hanging(jobs: Sequence[schedule.Health]) -> Iterator[Trouble]:
    for job in jobs:
        if run := job.killed:
            text = f"The run that began at {run.started_at:%Y-%m-%d %H:%M} UTC has no end."
            yield Trouble(job.job.command, Kind.KILLED, text, run.pk)


def acknowledge(*, alert: int) -> tuple[AdminAlert, AdminAlert]:
    """Somebody sees to it: it is reminded of no more. Returns the row before and after."""
    return changed(alert, State.ACKNOWLEDGED, among=[State.OPEN])


def resolve(*, alert: int, now: dt.datetime) -> tuple[AdminAlert, AdminAlert]:
    """By hand: it is over, whatever the job says of it. The next run that fails so opens another."""
    return changed(alert, State.RESOLVED, among=AdminAlert.UNRESOLVED, resolved_at=now)


def changed(
    key: int, state: str, *, among: Sequence[str], resolved_at: dt.datetime | None = None
) -> tuple[AdminAlert, AdminAlert]:
    alert = AdminAlert.objects.select_for_update(no_key=True).get(pk=key)
    if alert.state not in among:
        raise ValidationError(
            _("%(alert)s is %(state)s already."),
            params={"alert": alert, "state": alert.get_state_display().lower()},
        )
    before = copy(alert)
    alert.state, alert.resolved_at = state, resolved_at
    alert.save(update_fields=["state", "resolved_at"])
    return before, alert
