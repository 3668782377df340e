"""The bot as the database sees it: its own statements, in plain SQL, naming only the columns without a default."""

from django.db import connection, transaction


def one(sql, *params):
    """The first column of the first row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


def run(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


@transaction.atomic
def meet(tg_user_id):
    """A new contractor: six rows in one transaction."""
    contractor = one("INSERT INTO core.contractors (tg_user_id) VALUES (%s) RETURNING id", tg_user_id)
    free = one("SELECT id FROM billing.plans WHERE code = 'FREE'")
    run(
        "INSERT INTO billing.subscriptions (contractor_id, plan_id, status) VALUES (%s, %s, 'active')", contractor, free
    )
    run(
        "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at)"
        " VALUES (%s, %s, 'active', 'trial', now())",
        contractor,
        free,
    )
    run("INSERT INTO billing.usage_counters (contractor_id) VALUES (%s)", contractor)
    run("INSERT INTO referrals.referral_links (contractor_id, token) VALUES (%s, %s)", contractor, f"ref_{tg_user_id}")
    run("INSERT INTO referrals.referral_cycles (referrer_id, cycle_no) VALUES (%s, 1)", contractor)
    return contractor


@transaction.atomic
def make_channel(contractor, tg_chat_id):
    run(
        "INSERT INTO billing.usage_counters AS u (contractor_id, channels_created_total, last_channel_created_at)"
        " VALUES (%s, 1, now()) ON CONFLICT (contractor_id) DO UPDATE"
        " SET channels_created_total = u.channels_created_total + 1, last_channel_created_at = now()",
        contractor,
    )
    return one(
        "INSERT INTO core.channels (contractor_id, tg_chat_id) VALUES (%s, %s) RETURNING id", contractor, tg_chat_id
    )


def publish(channel, message_id, views=0):
    return one(
        "INSERT INTO core.publications AS p (channel_id, message_id, views) VALUES (%s, %s, %s)"
        " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views) RETURNING id",
        channel,
        message_id,
        views,
    )


def invite(channel, token, max_uses=None):
    return one(
        "INSERT INTO core.invites (channel_id, token, max_uses) VALUES (%s, %s, %s) RETURNING id",
        channel,
        token,
        max_uses,
    )


@transaction.atomic
def let_in(channel, invite, tg_user_id):
    run("UPDATE core.invites SET used_count = used_count + 1 WHERE id = %s", invite)
    client = one(
        "INSERT INTO core.clients (channel_id, invite_id, tg_user_id) VALUES (%s, %s, %s)"
        " ON CONFLICT (channel_id, tg_user_id) DO UPDATE SET invite_id = excluded.invite_id RETURNING id",
        channel,
        invite,
        tg_user_id,
    )
    run(
        "INSERT INTO analytics.events (channel_id, client_id, event_type) VALUES (%s, %s, 'invite_used')",
        channel,
        client,
    )
    return client


def pay(contractor, code, days):
    """The paid webhook: no lock of ours, an upsert and a history row."""
    run(
        "INSERT INTO billing.subscriptions (contractor_id, plan_id, status, source, starts_at, expires_at)"
        " SELECT %s, id, 'active', 'paid', now(), now() + make_interval(days => %s) FROM billing.plans WHERE code = %s"
        " ON CONFLICT (contractor_id) DO UPDATE SET plan_id = excluded.plan_id, status = excluded.status,"
        " source = excluded.source, starts_at = excluded.starts_at, expires_at = excluded.expires_at",
        contractor,
        days,
        code,
    )
    run(
        "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at, expires_at)"
        " SELECT contractor_id, plan_id, status, source, starts_at, expires_at FROM billing.subscriptions"
        " WHERE contractor_id = %s",
        contractor,
    )
