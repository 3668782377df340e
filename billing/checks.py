import datetime as dt

from django.core.exceptions import ValidationError

from adminlog.checks import Check, Finding, Findings
from billing.limits import Features
from billing.models import Plan
from smetabot.postgres.retry import retry_transient

# The bot counts a channel up before it stands, and never down. What staff moved was counted elsewhere.
CHANNELS_CREATED = Check(
    "channels_created",
    "billing.usage_counters",
    """
    SELECT standing.contractor_id, standing.channels, coalesce(usage.channels_created_total, 0)
    FROM (
        SELECT contractor_id, count(*) AS channels FROM core.channels
        WHERE created_by_bot AND moved_at IS NULL
        GROUP BY contractor_id
    ) AS standing
    LEFT JOIN billing.usage_counters AS usage ON usage.contractor_id = standing.contractor_id
    WHERE coalesce(usage.channels_created_total, 0) < standing.channels
    """,
)

# Expected is what the newest history row says: it cannot have been changed since. The source is left out, because of
# a new contractor the bot writes another one there.
SUBSCRIPTION_HISTORY = Check(
    "subscription_history",
    "billing.subscriptions",
    """
    SELECT subscription.id,
        CASE WHEN newest.id IS NOT NULL THEN jsonb_build_object(
            'plan', told.code, 'status', newest.status, 'expires_at', newest.expires_at
        ) END,
        jsonb_build_object('plan', plan.code, 'status', subscription.status, 'expires_at', subscription.expires_at)
    FROM billing.subscriptions AS subscription
    JOIN billing.plans AS plan ON plan.id = subscription.plan_id
    LEFT JOIN (
        SELECT DISTINCT ON (contractor_id) contractor_id, id, plan_id, status, expires_at
        FROM billing.subscription_history
        ORDER BY contractor_id, id DESC
    ) AS newest ON newest.contractor_id = subscription.contractor_id
    LEFT JOIN billing.plans AS told ON told.id = newest.plan_id
    WHERE (newest.plan_id, newest.status, newest.expires_at)
        IS DISTINCT FROM (subscription.plan_id, subscription.status, subscription.expires_at)
    """,
)

# An applied gift has one history row, of its own contractor; a pending one has none.
GIFT_HISTORY = Check(
    "gift_history",
    "billing.gifts_queue",
    """
    SELECT gift.id,
        jsonb_build_object('applied', true, 'history_of', gift.contractor_id),
        jsonb_build_object('applied', gift.applied_at IS NOT NULL, 'history_of', history.contractor_id)
    FROM billing.gifts_queue AS gift
    LEFT JOIN billing.subscription_history AS history ON history.gift_id = gift.id
    WHERE (gift.applied_at IS NOT NULL OR history.id IS NOT NULL)
        AND (gift.applied_at IS NULL OR history.contractor_id IS DISTINCT FROM gift.contractor_id)
    """,
)

# The owner is one of the team. The sizes come from outside: PostgreSQL would stop at the first that is no number.
TEAM_SIZE = Check(
    "team_size",
    "core.contractors",
    """
    SELECT team.owner, size.team_size, team.people
    FROM (
        SELECT owner_contractor_id AS owner, 1 + count(*) AS people FROM core.team_members GROUP BY owner_contractor_id
    ) AS team
    LEFT JOIN billing.subscriptions AS live
        ON live.contractor_id = team.owner AND billing.is_live(live.status, live.expires_at, %(now)s)
    JOIN unnest(%(plans)s::bigint[], %(sizes)s::numeric[]) AS size (plan_id, team_size)
        ON size.plan_id = coalesce(live.plan_id, (SELECT id FROM billing.plans WHERE code = 'FREE'))
    WHERE team.people > size.team_size
    """,
)


def plan_notices(*, now: dt.datetime) -> Findings:
    """Plans whose features cannot be read, and teams over the size that their owner's effective plan has at `now`."""
    notices = []
    sizes = {}
    for plan in _plans():
        try:
            sizes[plan.pk] = Features.read(plan.features).team_size
        except ValidationError as error:
            message = "; ".join(error.messages)
            notices.append(Finding("plan_features", "billing.plans", plan.pk, message, plan.features))
    teams = TEAM_SIZE.find(now=now, plans=list(sizes), sizes=list(sizes.values()))
    return Findings([*notices, *teams], len(notices) + teams.number)


@retry_transient
def _plans() -> list[Plan]:
    return list(Plan.objects.order_by("pk"))


CHECKS = [CHANNELS_CREATED, SUBSCRIPTION_HISTORY, GIFT_HISTORY]
NOTICES = [plan_notices]
