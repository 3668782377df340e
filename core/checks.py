from adminlog.checks import Check

# The bot switches an invite off by raising used_count, so above is no fault.
INVITE_USES = Check(
    "invite_uses",
    "core.invites",
    """
    SELECT invite.id, came.clients, invite.used_count
    FROM core.invites AS invite
    JOIN (
        SELECT invite_id, count(*) AS clients FROM core.clients WHERE invite_id IS NOT NULL GROUP BY invite_id
    ) AS came ON came.invite_id = invite.id
    WHERE invite.used_count < came.clients
    """,
)

CHECKS = [INVITE_USES]
