"""Who brought whom, set right by staff: the bot knows it only from the link that a new contractor came by."""

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from core.contractors import refuse_erased
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
        raise ValidationError(_("A contractor cannot refer themselves."), code="oneself")
    hold_circles()
    refuse_erased(*lock(referrer, referred))
    _refuse_circle(referrer=referrer, referred=referred)
    try:
        with transaction.atomic():
            made = Referral.objects.create(referrer_id=referrer, referred_contractor_id=referred, created_at=now)
    except IntegrityError as error:  # also when the bot was faster
        existing = Referral.objects.filter(referred_contractor=referred).first()
        if existing is None:
            raise
        raise ValidationError(
            _("%(contractor)s already has a referrer: %(referrer)s."),
            code="already_referred",
            params={"contractor": existing.referred_contractor, "referrer": existing.referrer},
        ) from error
    return Referral.objects.with_suspicion().get(pk=made.pk)


def hold_circles() -> None:
    """One at a time, before any contractor is held: two that share no contractor can close one circle together."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock('referrals.referrals'::regclass::oid::bigint)")


@staff_operation()
def detach(*, referral: int) -> Referral:
    """Take a referral back that no cycle has counted. Returns what was removed.

    ValidationError, by its code: not_found, counted.
    """
    # A run that is counting holds the row.
    held = Referral.objects.select_for_update().filter(pk=referral).first()
    if held is None:
        raise ValidationError(_("There is no referral %(referral)s."), code="not_found", params={"referral": referral})
    if held.cycle:
        raise ValidationError(
            _("%(contractor)s was counted in cycle %(cycle)s of %(referrer)s. What was counted stays."),
            code="counted",
            params={
                "contractor": held.referred_contractor,
                "cycle": held.cycle.cycle_no,
                "referrer": held.referrer,
            },
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
            _("%(contractor)s brought %(referrer)s, directly or through others: it would be a circle."),
            code="circle",
            params={"contractor": names[referred], "referrer": names[referrer]},
        )
