"""Asks the userbot for the views of all publications, some requests side by side."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from django.db import Error, connection

from analytics.readings import BATCH, Intake, Reading
from analytics.userbot import MOST_MESSAGES, Refusal, Userbot, sorted_out

# Channels, and publications of these.
SET, PAGE = 1000, 10_000
# Channels in a row without an answer: then nobody is there. Each contractor has a session of their own that may be
# dead, but chance brings so many of them together only when most of all are.
MOST_CHANNELS = 25

# In another order each time: the channels of a dead session lie together, and what ends at them would never come to
# those behind them.
CHANNELS = "SELECT array_agg(id ORDER BY random()) FROM core.channels"
# A blocked contractor is served no longer, and nobody looks at their figures.
PUBLICATIONS = """
    SELECT wanted.place, channel.tg_chat_id, channel.contractor_id, publication.message_id
    FROM unnest(%(channels)s::bigint[]) WITH ORDINALITY AS wanted (channel_id, place)
    JOIN core.channels AS channel ON channel.id = wanted.channel_id
    JOIN core.contractors AS contractor ON contractor.id = channel.contractor_id
    JOIN core.publications AS publication ON publication.channel_id = channel.id
    WHERE (wanted.place, publication.message_id) > (%(place)s::bigint, %(message)s::bigint)
        AND NOT publication.deleted AND contractor.status <> 'blocked'
        AND coalesce(publication.posted_at >= %(now)s::timestamptz - make_interval(days => %(days)s::int), true)
    ORDER BY wanted.place, publication.message_id
    LIMIT %(page)s::int
"""
# Of the session, since a run is many transactions.
TAKE_THE_PLACE = "SELECT pg_try_advisory_lock(hashtextextended('collect_views', 0))"
LEAVE_THE_PLACE = "SELECT pg_advisory_unlock(hashtextextended('collect_views', 0))"


class Away(Exception):
    """Nobody answers any more."""


class Question(NamedTuple):
    contractor_id: int
    channel_id: int
    message_ids: list[int]


@contextmanager
def alone() -> Iterator[bool]:
    """Whether no other collection is under way. Of all channels one may take longer than until the next is due."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_THE_PLACE)
        is_alone = cursor.fetchone()[0]
    try:
        yield is_alone
    finally:
        if is_alone:
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute(LEAVE_THE_PLACE)


def questions(*, now: dt.datetime, posted_within: int | None) -> Iterator[Question]:
    """A page of publications at a time, so that no transaction is open while they are asked for."""
    with connection.cursor() as cursor:
        cursor.execute(CHANNELS)
        channels = cursor.fetchone()[0] or []
    for first in range(0, len(channels), SET):
        wanted = {"channels": channels[first : first + SET], "now": now, "days": posted_within, "page": PAGE}
        place, message = 0, -(2**63)
        while True:
            with connection.cursor() as cursor:
                cursor.execute(PUBLICATIONS, wanted | {"place": place, "message": message})
                rows = cursor.fetchall()
            for (tg_chat_id, contractor), group in groupby(rows, key=lambda row: row[1:3]):
                messages = [row[3] for row in group]
                for start in range(0, len(messages), MOST_MESSAGES):
                    yield Question(contractor, tg_chat_id, messages[start : start + MOST_MESSAGES])
            if len(rows) < PAGE:
                break
            place, message = rows[-1][0], rows[-1][3]


@dataclass
class Collection:
    """`problem` is told of each channel that gave no answer of use, once."""

    userbot: Userbot
    intake: Intake
    problem: Callable[[str], None]
    now: dt.datetime
    parallel: int
    # Days; else all are asked for.
    posted_within: int | None = None
    # When it was `now`, as time.monotonic() tells it.
    began: float = field(default_factory=time.monotonic)
    answered: int = 0
    # Channels of which no more is asked.
    dead: set[int] = field(default_factory=set)
    readings: list[Reading] = field(default_factory=list)
    # Those of the dead that are the latest, all in a row, and why.
    row: dict[int, Refusal] = field(default_factory=dict)

    def run(self) -> None:
        pool = ThreadPoolExecutor(self.parallel)
        try:
            self._ask(pool)
        except Away as away:
            self.problem(str(away))
        finally:
            self.userbot.stopped.set()
            pool.shutdown(cancel_futures=True)
            self._take()

    def _ask(self, pool: ThreadPoolExecutor) -> None:
        waiting: dict[Future[tuple[dt.datetime, dict[str, Any]]], Question] = {}
        for question in questions(now=self.now, posted_within=self.posted_within):
            if question.channel_id in self.dead:
                continue
            waiting[pool.submit(self._answer, question)] = question
            if len(waiting) >= 2 * self.parallel:
                self._settle(waiting)
        while waiting:
            self._settle(waiting)
        self._tell_row()

    def _answer(self, question: Question) -> tuple[dt.datetime, dict[str, Any]]:
        """And when it came, however long the run takes: on another day than it began, or after an import."""
        views = self.userbot.views(**question._asdict())
        return self.now + dt.timedelta(seconds=time.monotonic() - self.began), views

    def _settle(self, waiting: dict[Future[tuple[dt.datetime, dict[str, Any]]], Question]) -> None:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            question = waiting.pop(future)
            try:
                read_at, views = future.result()
            except Refusal as refusal:
                self._bury(question, refusal)
            else:
                self._note(question, read_at, views)
        if len(self.readings) >= BATCH:
            self._take()

    def _note(self, question: Question, read_at: dt.datetime, views: dict[str, Any]) -> None:
        self._tell_row()
        totals, wrong = sorted_out(views, asked=question.message_ids)
        for what in wrong:
            self.problem(f"channel {question.channel_id}: {what}")
        self.answered += len(question.message_ids)
        self.readings += [Reading(0, question.channel_id, message, total, read_at) for message, total in totals.items()]

    def _bury(self, question: Question, refusal: Refusal) -> None:
        if question.channel_id in self.dead:
            return
        self.dead.add(question.channel_id)
        if not refusal.away:
            self._tell_row()
        self.row[question.channel_id] = refusal
        if not refusal.away:
            self._tell_row()
        elif len(self.row) >= MOST_CHANNELS:
            asked = ", ".join(map(str, self.row))
            raise Away(f"{self.userbot.name} does not answer: {refusal}; the next run asks again (channels {asked})")

    def _tell_row(self) -> None:
        for channel, refusal in self.row.items():
            self.problem(f"channel {channel}: {refusal}")
        self.row.clear()

    def _take(self) -> None:
        readings, self.readings = self.readings, []
        if readings:
            self.intake.take(readings)
