"""Who brought whom, set right by staff: the bot knows it only from the link that a new contractor came by."""

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from core.models import Contractor
from core.operations import lock, staff_operation
from referrals.models import Referral

# UNION, not UNION ALL: it ends also on a circle that plain SQL has closed.
REFERRERS_OF = """
    WITH RECURSIVE referrer AS (
        SELECT %(contractor)s::bigint AS id
        UNION
        SELECT referral.referrer_id
        FROM referrals.referrals AS referral JOIN referrer ON referral.referred_contractor_id = referrer.id
    )
    SELECT id FROM referrer
"""


@staff_operation()
def attach(*, referrer: int, referred: int, now: dt.datetime) -> Referral:
    """Record that one contractor brought the other. Returns it with its suspicion, which is for a person to judge.

    ValidationError, by its code: not_found, oneself, already_referred, circle.
    """
    if referrer == referred:
        raise ValidationError("A contractor cannot refer themselves.", code="oneself")
    with connection.cursor() as cursor:
        # One at a time: two that share no contractor can close one circle together.
        cursor.execute("SELECT pg_advisory_xact_lock('referrals.referrals'::regclass::oid::bigint)")
    lock(referrer, referred)
    _refuse_circle(referrer=referrer, referred=referred)
    try:
        with transaction.atomic():
            made = Referral.objects.create(referrer_id=referrer, referred_contractor_id=referred, created_at=now)
    except IntegrityError as error:  # also when the bot was faster
        existing = Referral.objects.filter(referred_contractor=referred).first()
        if existing is None:
            raise
        raise ValidationError(
            f"{existing.referred_contractor} already has a referrer: {existing.referrer}.", code="already_referred"
        ) from error
    return Referral.objects.with_suspicion().get(pk=made.pk)


@staff_operation()
def detach(*, referral: int) -> Referral:
    """Take a referral back that no cycle has counted. Returns what was removed.

    ValidationError, by its code: not_found, counted.
    """
    # A run that is counting holds the row.
    held = Referral.objects.select_for_update().filter(pk=referral).first()
    if held is None:
        raise ValidationError(f"There is no referral {referral}.", code="not_found")
    if held.cycle:
        raise ValidationError(
            f"{held.referred_contractor} was counted in cycle {held.cycle.cycle_no} of {held.referrer}. "
            "What was counted stays.",
            code="counted",
        )
    Referral.objects.filter(pk=referral).delete()
    return held


def _refuse_circle(*, referrer: int, referred: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(REFERRERS_OF, {"contractor": referrer})
        above = {contractor for (contractor,) in cursor.fetchall()}
    if referred in above:
        names = Contractor.objects.in_bulk([referrer, referred])
        raise ValidationError(
            f"{names[referred]} brought {names[referrer]}, directly or through others: it would be a circle.",
            code="circle",
        )
