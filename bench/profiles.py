"""Profiles of one contractor, of a page and of all: our querysets, psycopg, and N+1 over Django's models."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from analytics.models import ProfileOverview
from analytics.profiles import all_profiles, profile_of
from bench.memory import taken
from bench.queries import counted
from bench.rounds import Timings, Way, race, sampled
from bench.sizes import Size, short
from bench.table import Figure, Line, constant, faster, within
from billing.models import Gift, Plan, Subscription, UsageCounter
from core.models import Channel, Client, Contractor, Invite, Publication
from testbed.console import HinderedError
from testbed.databases import plain

ACROSS = True
ONES = 200
PAGES = 20
PAGE = 100
SAMPLE = 100
COLUMNS = [field.column for field in ProfileOverview._meta.concrete_fields]
ONE = f"SELECT {', '.join(COLUMNS)} FROM analytics.profile_overview WHERE contractor_id = %s"
IDS = "SELECT id FROM core.contractors WHERE id > %s ORDER BY id LIMIT 100"
OF_IDS = (
    f"SELECT {', '.join(COLUMNS)} FROM analytics.profile_overview WHERE contractor_id = ANY(%s) ORDER BY contractor_id"
)
# Every table once, in groups.
ALL = """
    SELECT contractor.id, tg_user_id, plan.code, plan.name, subscription.status, starts_at, expires_at,
        coalesce(channels, 0), coalesce(files, 0), coalesce(views, 0)::bigint, coalesce(clients, 0),
        coalesce(blocked, 0), coalesce(invites, 0), greatest(
            effective.channels_limit_one_off::bigint + coalesce(bonus_channels, 0)
                - coalesce(channels_created_total, 0),
            CASE WHEN effective.channels_limit_one_off IS NOT NULL THEN 0 END
        ), coalesce(gifts, 0)
    FROM core.contractors AS contractor
    LEFT JOIN billing.subscriptions AS subscription ON subscription.contractor_id = contractor.id
    LEFT JOIN billing.plans AS plan ON plan.id = plan_id
    LEFT JOIN billing.plans AS effective ON effective.code = CASE
        WHEN subscription.status IN ('active', 'trial', 'grace') AND (expires_at IS NULL OR expires_at > now())
            OR subscription.status = 'cancelled' AND expires_at > now() THEN plan.code ELSE 'FREE' END
    LEFT JOIN billing.usage_counters AS usage ON usage.contractor_id = contractor.id
    LEFT JOIN (
        SELECT contractor_id, count(*) AS channels, sum(files)::bigint AS files, sum(views) AS views,
            sum(clients)::bigint AS clients, sum(blocked)::bigint AS blocked, sum(invites)::bigint AS invites
        FROM core.channels AS channel
        LEFT JOIN (
            SELECT channel_id, count(*) AS files, sum(views) AS views
            FROM core.publications WHERE NOT deleted GROUP BY channel_id
        ) AS f ON f.channel_id = channel.id
        LEFT JOIN (
            SELECT channel_id, count(*) AS clients, count(*) FILTER (WHERE blocked) AS blocked
            FROM core.clients GROUP BY channel_id
        ) AS c ON c.channel_id = channel.id
        LEFT JOIN (
            SELECT channel_id, count(*) AS invites FROM core.invites
            WHERE (expires_at IS NULL OR expires_at > now()) AND (max_uses IS NULL OR used_count < max_uses)
            GROUP BY channel_id
        ) AS i ON i.channel_id = channel.id
        GROUP BY contractor_id
    ) AS theirs ON theirs.contractor_id = contractor.id
    LEFT JOIN (
        SELECT contractor_id, count(*) AS gifts FROM billing.gifts_queue
        WHERE applied_at IS NULL AND withdrawn_at IS NULL GROUP BY contractor_id
    ) AS queued ON queued.contractor_id = contractor.id
"""


def as_rows(profiles: Iterable[Any]) -> list[tuple[Any, ...]]:
    names = [field.attname for field in ProfileOverview._meta.concrete_fields]
    return [tuple(getattr(profile, name) for name in names) for profile in profiles]


def naive(contractor: Contractor) -> dict[str, Any]:
    """As Django's documentation would have it: a query for each figure."""
    now = timezone.now()
    subscription = Subscription.objects.select_related("plan").filter(contractor=contractor).first()
    is_live = Subscription.objects.live(at=now).filter(contractor=contractor).exists()
    effective = subscription.plan if subscription and is_live else Plan.objects.get(code="FREE")
    usage = UsageCounter.objects.filter(contractor=contractor).first()
    files = Publication.objects.filter(channel__contractor=contractor, deleted=False)
    clients = Client.objects.filter(channel__contractor=contractor)
    in_time = Q(expires_at=None) | Q(expires_at__gt=now)
    has_places = Q(max_uses=None) | Q(used_count__lt=F("max_uses"))
    limit = effective.channels_limit_one_off
    made = usage.channels_created_total if usage else 0
    return {
        "subscription": subscription,
        "channels": Channel.objects.filter(contractor=contractor).count(),
        **files.aggregate(files=Count("pk"), views=Sum("views")),
        **clients.aggregate(clients=Count("pk"), blocked=Count("pk", filter=Q(blocked=True))),
        "invites": Invite.objects.filter(in_time, has_places, channel__contractor=contractor).count(),
        "free": None if limit is None else max(limit + (contractor.bonus_channels or 0) - made, 0),
        "gifts": Gift.objects.pending().filter(contractor=contractor).count(),
    }


def streamed(sql: Any) -> int:
    with sql.transaction():
        sql.execute("SET LOCAL cursor_tuple_fraction = 1; SET LOCAL work_mem = '64MB'")
        with sql.cursor(name="everybody") as cursor:
            cursor.execute(ALL)
            rows = 0
            while chunk := cursor.fetchmany(2000):
                rows += len(chunk)
    return rows


def by_connection(other: Any, work: Callable[[], Any]) -> Any:
    """Django's default one is this for the while."""
    kept = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = other
    try:
        return work()
    finally:
        connections[DEFAULT_DB_ALIAS] = kept


def measure(size: Size) -> Timings:
    ones, starts = sampled(ONES, size.contractors), sampled(PAGES, size.contractors - PAGE)
    sample = list(Contractor.objects.filter(pk__in=sampled(SAMPLE, size.contractors)))
    with plain() as sql, closing(connection.copy()) as unprepared:
        unprepared.settings_dict["OPTIONS"]["prepare_threshold"] = None
        found = race(
            f"profile of one, {short(size.contractors)}",
            {
                "profile_of": Way(lambda: [profile_of(pk) for pk in ones], len(ones), read=as_rows),
                "ORM": Way(
                    lambda: [ProfileOverview.objects.get(contractor=pk) for pk in ones], len(ones), read=as_rows
                ),
                "unprepared": Way(
                    lambda: by_connection(unprepared, lambda: [profile_of(pk) for pk in ones]), len(ones), read=as_rows
                ),
                "psycopg": Way(lambda: [sql.execute(ONE, [pk]).fetchone() for pk in ones], len(ones)),
                "naive": Way(
                    lambda: [naive(Contractor.objects.get(pk=pk)) for pk in ones[:50]], 50, sample=True, rounds=3
                ),
            },
            rounds=size.more_rounds,
        )
        timings = Timings({f"one, {name}": timing for name, timing in found.items()})
        found = race(
            f"a page of {PAGE} profiles, {short(size.contractors)}",
            {
                "queryset": Way(
                    lambda: [list(ProfileOverview.objects.page(after=start, size=PAGE)) for start in starts],
                    len(starts),
                    read=lambda pages: [as_rows(page) for page in pages],
                ),
                "ids first": Way(
                    lambda: [
                        sql.execute(OF_IDS, [[row[0] for row in sql.execute(IDS, [start])]]).fetchall()
                        for start in starts
                    ],
                    len(starts),
                ),
                "N+1": Way(
                    lambda: [naive(each) for each in Contractor.objects.filter(pk__gt=starts[0]).order_by("pk")[:PAGE]],
                    sample=True,
                    rounds=3,
                ),
            },
            rounds=size.more_rounds,
        )
        timings |= {f"page, {name}": timing for name, timing in found.items()}
        # What both find is compared apart: kept in memory it would be no stream.
        if size.is_small and sorted(map(tuple, all_profiles())) != sorted(sql.execute(ALL).fetchall()):
            raise HinderedError("all_profiles and the SQL by hand differ")
        found = race(
            f"all profiles, streamed, {short(size.contractors)}",
            {
                "all_profiles": Way(lambda: sum(1 for _ in all_profiles()), size.contractors),
                "SQL": Way(lambda: streamed(sql), size.contractors),
                "N+1": Way(lambda: [naive(each) for each in sample], len(sample), sample=True, rounds=3),
            },
            rounds=size.rounds,
        )
        timings |= {f"all, {name}": timing for name, timing in found.items()}
    timings.counts["memory"] = taken("profiles")
    timings.counts["queries"] = counted(lambda: profile_of(1))
    return timings


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line | Figure]:
    table: list[Line | Figure] = []
    for size in sizes:
        timings = found[size.name]
        of = f"{size.contractors:,} contractors"
        one, page, everybody = f"profile of one, {of}", f"page of 100 profiles, {of}", f"all profiles, streamed, {of}"
        table += [
            within(one, "psycopg on the view", timings, "profile_of", "psycopg", 2.5, 3, of="one, "),
            within(one + ", as a model", "psycopg on the view", timings, "ORM", "psycopg", 2.5, 3, of="one, "),
            faster(one, "a query for each figure", timings, "profile_of", "naive", 9, 8, of="one, "),
            within(page, "ids first in SQL", timings, "queryset", "ids first", 2, 2.5, of="page, "),
            faster(page, "N+1", timings, "queryset", "N+1", 60, 50, of="page, "),
            within(everybody, "one GROUP BY in SQL", timings, "all_profiles", "SQL", 1.4, 1.5, of="all, "),
            faster(everybody, "N+1", timings, "all_profiles", "N+1", 200, 200, of="all, "),
        ]
    first, last = found[sizes[0].name], found[sizes[-1].name]
    table.append(Line("profile of one", "queries", last.counts["queries"], 1, 1, unit=""))
    if len(sizes) > 1:
        of, before = f"{sizes[-1].contractors:,} contractors", f"itself at {sizes[0].contractors:,}"
        one_more, page_more = (last[name] / first[name] for name in ("one, profile_of", "page, queryset"))
        table += [
            Line(f"profile of one, {of}", before, one_more, 1.5, 1.5),
            Line(f"page of 100 profiles, {of}", before, page_more, 2, 2.5),
            # A tenth of the smaller size would be less than is held at once.
            constant(f"all profiles, streamed, {of}", before, last.counts["memory"], first.counts["memory"]),
        ]
    pooled = last["one, unprepared"] / last["one, psycopg"]
    return [
        *table,
        Figure("memory that all profiles, streamed, take", f"{last.counts['memory'] / 2**20:.1f} MiB"),
        Figure("profile of one with POOLED=1, that is without prepared statements, against psycopg", f"{pooled:.2g}×"),
    ]
