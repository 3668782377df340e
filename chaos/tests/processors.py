"""Gift processors that are wrong, each by one thing, and two moments at which it shows. The right one is the product's.

The audit that the product is held to must catch them, or its silence says nothing.
"""

import datetime as dt
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from billing import gifts
from billing.gifts import APPLY_OLDEST, apply_gifts
from billing.models import Plan
from chaos.databases import plain
from chaos.faults import Broken
from referrals.cycles import advance_referrals

RETEST = APPLY_OLDEST[
    APPLY_OLDEST.index("        WHERE NOT (") : APPLY_OLDEST.index("        RETURNING contractor_id, plan")
]
Processor = Callable[[dt.datetime], None]


def locks_gift_rows(now: dt.datetime) -> None:
    """Who comes second passes over the gift that is being applied, and takes the next one."""
    skips = APPLY_OLDEST.replace("FOR NO KEY UPDATE", "FOR NO KEY UPDATE SKIP LOCKED")
    assert skips != APPLY_OLDEST
    _in_one_set(skips, now)


def does_not_test_again(now: dt.datetime) -> None:
    """What was not live when it looked is overwritten, whatever the bot has written meanwhile."""
    assert APPLY_OLDEST.count(RETEST) == 1
    due = gifts._due(now=now)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM core.contractors WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [due])
        _apply(APPLY_OLDEST.replace(RETEST, ""), due, now)


def product(now: dt.datetime) -> None:
    apply_gifts(now=now)


def _in_one_set(sql: str, now: dt.datetime) -> None:
    due = gifts._due(now=now)
    with transaction.atomic():
        _apply(sql, due, now)


def _apply(sql: str, due: list[int], now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"contractors": due, "now": now, "paid": list(Plan.PAID)})


def loses_a_waiting_gift(now: dt.datetime) -> None:
    apply_gifts(now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM billing.gifts_queue WHERE id ="
            " (SELECT max(id) FROM billing.gifts_queue WHERE applied_at IS NULL AND withdrawn_at IS NULL)"
        )


def rewards_an_unqualified_referral(now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE referrals.referrals SET qualified_at = %s WHERE id = (SELECT min(id) FROM referrals.referrals"
            " WHERE (SELECT count(*) FROM core.channels WHERE contractor_id = referred_contractor_id) < 2)",
            [now],
        )
    advance_referrals(now=now)


def dies_while_another_waits(process: Processor) -> None:
    """Of two runs at once the first breaks off before its commit, once the second waits for it."""
    done, die = threading.Event(), threading.Event()

    def die_after(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> None:
        execute(sql, params, many, context)
        if "INSERT INTO billing.subscription_history" in sql:
            done.set()
            die.wait(20)
            raise Broken

    def first() -> None:
        try:
            with suppress(Broken), connection.execute_wrapper(die_after):
                process(timezone.now())
        finally:
            done.set()
            connection.close()

    threads = [threading.Thread(target=first), threading.Thread(target=_alone, args=[process])]
    threads[0].start()
    done.wait(20)
    threads[1].start()
    wait_for_lock()
    die.set()
    for thread in threads:
        thread.join()


def is_paid_meanwhile(process: Processor) -> None:
    """The paid webhook has written and not committed when the run begins."""
    with plain() as bot:
        with bot.transaction():
            bot.execute(
                """
                WITH paid AS (
                    UPDATE billing.subscriptions
                    SET plan_id = (SELECT id FROM billing.plans WHERE code = 'PRO'), status = 'active', source = 'paid',
                        starts_at = now(), expires_at = now() + interval '200 days'
                    WHERE contractor_id = (
                        SELECT min(contractor_id) FROM billing.gifts_queue
                        JOIN core.contractors ON contractors.id = contractor_id AND status = 'active'
                        JOIN billing.subscriptions USING (contractor_id)
                        JOIN billing.plans ON plans.id = subscriptions.plan_id AND code = 'FREE'
                    )
                    RETURNING *
                ) INSERT INTO billing.subscription_history
                    (contractor_id, plan_id, status, source, starts_at, expires_at)
                SELECT contractor_id, plan_id, status, source, starts_at, expires_at FROM paid
                """
            )
            run = threading.Thread(target=_alone, args=[process])
            run.start()
            wait_for_lock()
        run.join()


def is_alone(process: Processor) -> None:
    process(timezone.now())


def _alone(process: Processor) -> None:
    try:
        process(timezone.now())
    finally:
        connection.close()


def wait_for_lock() -> None:
    with plain() as desk:
        for _ in range(2000):
            if desk.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).rowcount:
                return
            threading.Event().wait(0.005)
    raise AssertionError("nobody waits for a lock")


class Anybody(set[Any]):
    """Whose payments the audit need not know of."""

    def __contains__(self, _payment: object) -> bool:
        return True


# What must be caught, when it shows, and what the audit must say.
CONTROLS: list[tuple[Processor, Callable[[Processor], None], str]] = [
    (locks_gift_rows, dies_while_another_waits, "before the older"),
    (does_not_test_again, is_paid_meanwhile, "a gift over live paid time"),
    (loses_a_waiting_gift, is_alone, "is gone"),
    (rewards_an_unqualified_referral, is_alone, "qualified without what it takes"),
]
