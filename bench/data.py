"""The rows. Each is a function of its number alone, and so the same wherever and whenever it is made."""

from bench.sizes import FIRST, LAST, READINGS, Size

# Numbers that scatter: a row's number times one of them, modulo 2^32.
SCATTER = (2654435761, 2246822519, 3266489917, 668265263, 374761393)
# Shares no factor with any size, so that who has much does not come first.
STRIDE = 7919

FOREVER = "'2096-01-01Z'::timestamptz"
FIRST_NAMES = ["Anna", "Boris", "Vera", "Gleb", "Daria", "Egor", "Zoya", "Ivan", "Kira", "Lev", "Maria", "Nikita"]
LAST_NAMES = ["Orlov", "Petrova", "Sidorov", "Titova", "Umarov", "Fomina", "Khanov", "Chernova", "Shubin", "Belov"]
WORDS = ["estimate", "foundation", "roof", "kitchen", "bathroom", "facade", "wiring", "plumbing", "tiles", "garden"]
# Where they stand, the days of channels count on.
EVENTS = [
    "client_join", "invite_used", "client_join", "client_leave", "invite_used", "client_join",
    "file_posted", "file_posted", "file_deleted", "sync_run",
]  # fmt: skip


def scatter(number: str, which: int) -> str:
    """From 0 up to 1."""
    return f"(({number} * {SCATTER[which]}::bigint % 4294967296) / 4294967296.0::float8)"


def owner(number: str, owners: int, which: int, skew: float) -> str:
    """One of so many; few have many and many have few."""
    return f"(1 + floor({owners} * power({scatter(number, which)}, {skew}))::bigint * {STRIDE} % {owners})"


def one_of(words: list[str], number: str) -> str:
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{quoted}])[1 + ({number}) % {len(words)}]"


def tables(size: Size) -> list[tuple[str, str, str]]:
    """Table, columns and the query that its rows are copied from, in the order in which one needs the other."""
    contractors = f"generate_series(1, {size.contractors}::bigint) AS i"
    first, last = f"'{FIRST}Z'::timestamptz", f"'{LAST}Z'::timestamptz"
    newest_day = f"('{LAST}'::date - 1 - (i % 40)::int)"
    apart = "(1 + i % 28)::int"
    reading_day = f"{newest_day} - ({READINGS - 1} - nth) * {apart}"
    publisher = owner("i", size.channels, 1, 1.3)
    event, happening = one_of(EVENTS, "i"), owner("i", size.channels, 3, 1.3)
    happened = moment("i - 1", size.events)
    plan = "CASE WHEN i % 20 > 5 THEN 'FREE' WHEN i % 2 = 0 THEN 'BUSINESS' ELSE 'PRO' END"
    terms = f"""
        (SELECT id FROM billing.plans WHERE code = {plan}),
        CASE WHEN i % 20 = 5 THEN 'expired' ELSE 'active' END, 'paid', '2026-02-01Z'::timestamptz,
        CASE WHEN i % 20 < 5 THEN {FOREVER} WHEN i % 20 = 5 THEN '2026-03-01Z' END
    """
    return [
        (
            "core.contractors",
            "id, tg_user_id, username, full_name, status, created_at",
            f"""
            SELECT i, 100000000 + i * 7, 'contractor' || i,
                {one_of(FIRST_NAMES, "i")} || ' ' || {one_of(LAST_NAMES, "i")},
                CASE WHEN i % 50 = 11 THEN 'blocked' ELSE 'active' END,
                {moment("i", size.contractors)}
            FROM {contractors}
            """,
        ),
        (
            "billing.subscriptions",
            "id, contractor_id, plan_id, status, source, starts_at, expires_at",
            f"SELECT i, i, {terms} FROM {contractors}",
        ),
        (
            "billing.subscription_history",
            "id, contractor_id, plan_id, status, source, starts_at, expires_at, created_at",
            f"""
            SELECT i, i, (SELECT id FROM billing.plans WHERE code = 'FREE'), 'active', 'trial', {first}, NULL, {first}
            FROM {contractors}
            UNION ALL
            SELECT {size.contractors} + i, i, {terms}, '2026-02-01Z' FROM {contractors} WHERE i % 20 <= 5
            """,
        ),
        (
            "billing.gifts_queue",
            "id, contractor_id, plan_id, days, reason, queued_at",
            f"""
            SELECT i * 3 + nth, i, (SELECT id FROM billing.plans WHERE code = 'PRO'), 30, 'admin_grant',
                {last} - interval '1 day' * (10 - nth)
            FROM {contractors} CROSS JOIN generate_series(0, i / 5 % 3) AS nth
            WHERE i % 5 = 1
            """,
        ),
        (
            "referrals.referral_links",
            "id, contractor_id, token, created_at",
            f"SELECT i, i, 'bench_' || i, {first} FROM {contractors}",
        ),
        (
            "referrals.referral_cycles",
            "id, referrer_id, cycle_no, created_at",
            f"SELECT i, i, 1, {first} FROM {contractors}",
        ),
        (
            "referrals.referrals",
            "id, referrer_id, referred_contractor_id, created_at",
            f"""
            SELECT i, 1 + floor((i - 1) * power({scatter("i", 2)}, 1.3))::bigint, i,
                {moment("i", size.contractors)}
            FROM {contractors}
            WHERE i % 2 = 0
            """,
        ),
        (
            "core.channels",
            "id, contractor_id, tg_chat_id, title, synced, created_at",
            f"""
            SELECT i, {owner("i", size.contractors, 0, 1.5)}, -1001000000000 - i * 13,
                {one_of(WORDS, "i")} || ' ' || {one_of(LAST_NAMES, "i / 12")} || ' ' || i, i % 3 = 0,
                {moment("i", size.channels)}
            FROM generate_series(1, {size.channels}::bigint) AS i
            """,
        ),
        (
            "billing.usage_counters",
            "contractor_id, channels_created_total, last_channel_created_at",
            f"""
            SELECT i, count(channel.id), max(channel.created_at)
            FROM {contractors} LEFT JOIN core.channels AS channel ON channel.contractor_id = i
            GROUP BY i ORDER BY i
            """,
        ),
        (
            "core.publications",
            "id, channel_id, message_id, file_name, file_type, views, posted_at, deleted",
            f"""
            SELECT i, {publisher}, i,
                {one_of(WORDS, "i / 7")} || ' ' || {one_of(WORDS, "i / 91")} || ' ' || i
                    || CASE WHEN i % 5000 = 77 THEN ' zeppelin' ELSE '' END || '.pdf',
                {one_of(["pdf", "xlsx", "docx", "jpg"], "i")}, {reading(str(READINGS - 1))},
                {newest_day} - {READINGS - 1} * {apart} - interval '1 hour' * (1 + i % 24), i % 33 = 0
            FROM generate_series(1, {size.publications}::bigint) AS i
            """,
        ),
        (
            "analytics.views_daily",
            "publication_id, collected_at, views",
            f"""
            SELECT i, {reading_day}, {reading("nth")}
            FROM generate_series(1, {size.publications}::bigint) AS i
            CROSS JOIN generate_series(0, {READINGS - 1}) AS nth
            """,
        ),
        (
            "core.clients",
            "id, channel_id, invite_id, tg_user_id, username, full_name, joined_at, blocked",
            f"""
            SELECT i, channel, CASE WHEN i % 3 > 0 THEN channel END, 500000000 + i * 3,
                CASE WHEN i % 3 > 0 THEN 'client' || i END,
                {one_of(FIRST_NAMES, "i")} || ' ' || {one_of(LAST_NAMES, "i / 3")},
                {moment("i", size.clients)}, i % 29 = 0
            FROM (
                SELECT i, {owner("i", size.channels, 2, 1.3)} AS channel
                FROM generate_series(1, {size.clients}::bigint) AS i
            ) AS placed
            """,
        ),
        (
            "core.invites",
            "id, channel_id, token, expires_at, max_uses, used_count, created_at",
            f"""
            SELECT i, i, 'bench_' || i, CASE WHEN i % 4 = 0 THEN {FOREVER} WHEN i % 4 = 1 THEN {first} END,
                CASE WHEN i % 7 = 0 THEN 1 + coalesce(came.clients, 0) END, coalesce(came.clients, 0), {first}
            FROM generate_series(1, {size.channels}::bigint) AS i
            LEFT JOIN (
                SELECT invite_id, count(*) AS clients FROM core.clients WHERE invite_id IS NOT NULL GROUP BY invite_id
            ) AS came ON came.invite_id = i
            ORDER BY i
            """,
        ),
        (
            "analytics.events",
            "id, channel_id, client_id, event_type, details, created_at",
            f"""
            SELECT i, {happening},
                CASE WHEN i % 10 < 6 THEN 1 + i * {STRIDE} % {size.clients} END,
                {event},
                CASE WHEN i % 10 BETWEEN 6 AND 8 THEN jsonb_build_object('message_id', i) END,
                {happened}
            FROM generate_series(1, {size.events}::bigint) AS i
            """,
        ),
        (
            "analytics.channel_stats",
            "channel_id, files_count, views_total, clients_total, blocked_total, last_updated",
            f"""
            SELECT channel.id, coalesce(files.files, 0), coalesce(files.views, 0), coalesce(people.clients, 0),
                coalesce(people.blocked, 0), {last}
            FROM core.channels AS channel
            LEFT JOIN (
                SELECT channel_id, count(*) AS files, sum(views) AS views
                FROM core.publications WHERE NOT deleted GROUP BY channel_id
            ) AS files ON files.channel_id = channel.id
            LEFT JOIN (
                SELECT channel_id, count(*) AS clients, count(*) FILTER (WHERE blocked) AS blocked
                FROM core.clients GROUP BY channel_id
            ) AS people ON people.channel_id = channel.id
            ORDER BY channel.id
            """,
        ),
        (
            "analytics.channel_daily",
            "channel_id, day, views_gained, files, joins, leaves, view_rows, event_rows",
            f"""
            SELECT channel, day, sum(views), sum(posted), sum(joined), sum(gone), sum(read), sum(1 - read)
            FROM (
                SELECT channel, {reading_day} AS day, 0 AS posted, 0 AS joined, 0 AS gone, 1 AS read,
                    {reading("nth")} - CASE WHEN nth > 0 THEN {reading("nth - 1")} ELSE 0 END AS views
                FROM (
                    SELECT i, {publisher} AS channel FROM generate_series(1, {size.publications}::bigint) AS i OFFSET 0
                ) AS publication
                CROSS JOIN generate_series(0, {READINGS - 1}) AS nth
                UNION ALL
                SELECT {happening}, ({happened})::date, (i % 10 IN (6, 7))::int, (i % 10 IN (0, 2, 5))::int,
                    (i % 10 = 3)::int, 0, 0
                FROM generate_series(1, {size.events}::bigint) AS i
                WHERE i % 10 IN (0, 2, 3, 5, 6, 7)
            ) AS everything
            GROUP BY channel, day
            ORDER BY channel, day
            """,
        ),
        (
            "analytics.daily_totals",
            "day, collected, views_gained, files, joins, leaves, view_rows, event_rows, rolled_up_at",
            """
            SELECT day, true, sum(views_gained), sum(files), sum(joins), sum(leaves), sum(view_rows), sum(event_rows),
                day + interval '5 days'
            FROM analytics.channel_daily
            GROUP BY day
            """,
        ),
        (
            "admin.job_runs",
            "command, started_at, finished_at, outcome",
            f"""
            SELECT 'aggregate_stats', day + interval '20 hours', day + interval '21 hours', 'done'
            FROM generate_series({first}, {last} - interval '1 day', interval '1 day') AS day
            """,
        ),
    ]


def moment(number: str, of: int) -> str:
    """Of the first of so many at the beginning, of the last at the end."""
    return f"'{FIRST}Z'::timestamptz + interval '1 day' * ({(LAST - FIRST).days} * ({number})::float8 / {of})"


def reading(nth: str) -> str:
    """What a publication's total was at its nth reading."""
    return f"(1 + i % 50 + {nth} * (1 + i % 17))"
