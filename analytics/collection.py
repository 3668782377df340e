"""Asks the userbot for the views of all publications, some requests side by side."""

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from analytics.readings import BATCH, Intake, Reading
from analytics.userbot import MOST_MESSAGES, Refusal, Userbot, sorted_out

PAGE = 10_000
# In a row without an answer: then nobody is there. Of different contractors, since each has a session of their own
# that may be dead; of channels more.
MOST_CONTRACTORS, MOST_CHANNELS = 5, 25

# In the order of the unique key. A blocked contractor is served no longer, and nobody looks at their figures.
PUBLICATIONS = """
    SELECT publication.channel_id, channel.tg_chat_id, channel.contractor_id, publication.message_id
    FROM core.publications AS publication
    JOIN core.channels AS channel ON channel.id = publication.channel_id
    JOIN core.contractors AS contractor ON contractor.id = channel.contractor_id
    WHERE (publication.channel_id, publication.message_id) > (%(channel)s::bigint, %(message)s::bigint)
        AND NOT publication.deleted AND contractor.status <> 'blocked'
        AND coalesce(publication.posted_at >= %(now)s::timestamptz - make_interval(days => %(days)s::int), true)
    ORDER BY publication.channel_id, publication.message_id
    LIMIT %(page)s::int
"""


class Away(Exception):
    """Nobody answers any more."""


class Question(NamedTuple):
    contractor_id: int
    channel_id: int
    message_ids: list[int]


def questions(*, now: dt.datetime, posted_within: int | None) -> Iterator[Question]:
    """A page of publications at a time, so that no transaction is open while they are asked for."""
    channel, message = 0, -(2**63)
    while True:
        with connection.cursor() as cursor:
            after = {"channel": channel, "message": message, "page": PAGE}
            cursor.execute(PUBLICATIONS, after | {"now": now, "days": posted_within})
            rows = cursor.fetchall()
        for (tg_chat_id, contractor), group in groupby(rows, key=lambda row: row[1:3]):
            messages = [row[3] for row in group]
            for start in range(0, len(messages), MOST_MESSAGES):
                yield Question(contractor, tg_chat_id, messages[start : start + MOST_MESSAGES])
        if len(rows) < PAGE:
            return
        channel, message = rows[-1][0], rows[-1][3]


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
    answered: int = 0
    # Channels of which no more is asked.
    dead: set[int] = field(default_factory=set)
    readings: list[Reading] = field(default_factory=list)
    # Those of the dead that are the latest, all in a row.
    row: list[tuple[int, str]] = field(default_factory=list)

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
        waiting: dict[Future[dict[str, Any]], Question] = {}
        for question in questions(now=self.now, posted_within=self.posted_within):
            if question.channel_id in self.dead:
                continue
            waiting[pool.submit(self.userbot.views, **question._asdict())] = question
            if len(waiting) >= 2 * self.parallel:
                self._settle(waiting)
        while waiting:
            self._settle(waiting)
        self._tell_row()

    def _settle(self, waiting: dict[Future[dict[str, Any]], Question]) -> None:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            question = waiting.pop(future)
            try:
                views = future.result()
            except Refusal as refusal:
                self._bury(question, refusal)
            else:
                self._note(question, views)
        if len(self.readings) >= BATCH:
            self._take()

    def _note(self, question: Question, views: dict[str, Any]) -> None:
        self._tell_row()
        totals, wrong = sorted_out(views, asked=question.message_ids)
        for what in wrong:
            self.problem(f"channel {question.channel_id}: {what}")
        self.answered += len(question.message_ids)
        self.readings += [
            Reading(0, question.channel_id, message, total, self.now) for message, total in totals.items()
        ]

    def _bury(self, question: Question, refusal: Refusal) -> None:
        if question.channel_id in self.dead:
            return
        self.dead.add(question.channel_id)
        if not refusal.away:
            self._tell_row()
        self.row.append((question.contractor_id, f"channel {question.channel_id}: {refusal}"))
        if not refusal.away:
            self._tell_row()
        elif len(self.row) >= MOST_CHANNELS or len({contractor for contractor, _ in self.row}) >= MOST_CONTRACTORS:
            raise Away(f"{self.userbot.name} does not answer: {refusal}; the next run asks again")

    def _tell_row(self) -> None:
        for _contractor, what in self.row:
            self.problem(what)
        self.row.clear()

    def _take(self) -> None:
        readings, self.readings = self.readings, []
        if readings:
            self.intake.take(readings)
