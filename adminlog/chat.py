"""The Telegram chat that is told of alerts: which are new, which still go on after a day, and which are over.

It is told commands and numbers only, and nothing that a job wrote: that may name people, and the chat is not ours.
"""

import datetime as dt
import json
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from adminlog import alerts
from adminlog.calls import LongAnswer, NoAnswer, Server
from adminlog.models import AdminAlert
from adminlog.schedule import WATCH
from smetabot.postgres.text import storable

Kind, State = AdminAlert.Kind, AdminAlert.State

SECONDS = 10
# After which what is still open is told again.
AGAIN = dt.timedelta(days=1)
# So many are told at once, within what Telegram takes as one message.
MOST = 30
ALONE = "SELECT pg_try_advisory_xact_lock('admin.admin_alerts'::regclass::oid::bigint)"
SAID = {
    Kind.FAILED: "{} failed",
    Kind.LATE: "{} is late",
    Kind.KILLED: "{} was killed or hangs",
    Kind.UNTOLD: "{} could not tell this chat",
}


class Refusal(Exception):
    """Why the message did not arrive, as far as is known."""


@dataclass
class Chat:
    api_url: str
    token: str = field(repr=False)
    chat: str
    timeout: float = SECONDS

    def say(self, text: str) -> None:
        body = json.dumps({"chat_id": self.chat, "text": text}).encode()
        try:
            answer = Server(self.api_url, timeout=self.timeout).post(f"/bot{self.token}/sendMessage", body)
        except (NoAnswer, LongAnswer) as error:
            raise Refusal(self.without_token(str(error))) from None
        if answer.status != 200 or not said(answer.content).get("ok"):
            told = str(said(answer.content).get("description", "it does not say why"))
            raise Refusal(f"it answered {answer.status}: {self.without_token(told)[:200]}")

    def without_token(self, text: str) -> str:
        """Of what it sent, as much as a database takes."""
        return " ".join(storable(text).replace(self.token, "…").split())


def said(content: bytes) -> dict[str, object]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def configured() -> Chat | None:
    if not settings.ALERTS_BOT_TOKEN:
        return None
    return Chat(settings.ALERTS_API_URL, settings.ALERTS_BOT_TOKEN, settings.ALERTS_CHAT)


def bring_up_to_date(chat: Chat | None, *, now: dt.datetime) -> int:
    """Returns how many alerts it was told of. That it cannot be told is an alert of its own, and no failed run."""
    told, refusal = 0, None
    if chat:
        try:
            told = tell(chat, now=now)
        except Refusal as error:
            refusal = f"Telegram did not take the message: {error}."
    if refusal:
        alerts.open_alerts([alerts.Trouble(WATCH, Kind.UNTOLD, refusal)], now=now)
    elif told or not chat:
        # It was told that something was missing; that this is over it sees.
        AdminAlert.objects.filter(kind=Kind.UNTOLD, told_state=State.OPEN).update(told_state=State.RESOLVED)
        alerts.close(Q(kind=Kind.UNTOLD), now=now)
    return told


@transaction.atomic
def tell(chat: Chat, *, now: dt.datetime) -> int:
    """Once by however many runs there are; whoever is killed between the message and the commit leaves it to the next
    to tell it again, since one message too many is better than none."""
    with connection.cursor() as cursor:
        cursor.execute(ALONE)
        if not cursor.fetchone()[0]:
            return 0
    news = list(AdminAlert.objects.filter(untold(now=now)).order_by("pk")[:MOST])
    if not news:
        return 0
    chat.say("\n".join(["SmetaBot back office", *map(line, news)]))
    alerts.hold(AdminAlert.objects.filter(pk__in=[alert.pk for alert in news]))
    for state in (State.OPEN, State.RESOLVED):
        # As they were told, whatever they are by now.
        told = [alert.pk for alert in news if alert.state == state]
        AdminAlert.objects.filter(pk__in=told).update(told_state=state, told_at=now)
    return len(news)


def untold(*, now: dt.datetime) -> Q:
    goes_on = Q(told_at__lte=now - AGAIN, last_seen_at__gt=F("told_at"))
    # What was over before it could be told is not told.
    return Q(state=State.OPEN) & (Q(told_state=None) | goes_on) | Q(state=State.RESOLVED, told_state=State.OPEN)


def line(alert: AdminAlert) -> str:
    what = SAID[Kind(alert.kind)].format(alert.command)
    times = f", {alert.count} times" if alert.count > 1 else ""
    since = f"{alert.first_seen_at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    if alert.state == State.RESOLVED:
        return f"Over: {what}{times} since {since} (alert {alert.pk})"
    return f"{'Still' if alert.told_state else 'New'}: {what}{times} since {since} (alert {alert.pk})"
