"""The userbot sees in Telegram what a bot is not told. It is asked over HTTP, and what it answers is not trusted."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import tenacity

from adminlog.calls import LongAnswer, NoAnswer, Server
from analytics.readings import MOST_VIEWS

# Messages a request.
MOST_MESSAGES = 100
ATTEMPTS = 4
# However long it asks us to wait.
MOST_PATIENCE = 60.0
# What is said by a proxy with nobody behind it, and by who is asked too often, whatever the question.
AWAY = (429, 502, 503, 504)


class Refusal(Exception):
    """Why there is no answer of use. `again`: another try may bring one. `away`: as when nobody is there at all."""

    def __init__(self, why: str, *, again: bool = False, away: bool = False, after: float | None = None) -> None:
        super().__init__(why)
        self.again, self.away, self.after = again, away, after


@dataclass
class Userbot:
    # Only here may it have a password.
    url: str
    # Seconds for an answer.
    timeout: float
    # Seconds before the second attempt, and twice as many before each one after it.
    pause: float = 0.5
    # Ends all waiting.
    stopped: Event = field(default_factory=Event)

    @property
    def name(self) -> str:
        parts = urlsplit(self.url)
        return f"the userbot at {parts.hostname}{f':{parts.port}' if parts.port else ''}"

    def views(self, *, contractor_id: int, channel_id: int, message_ids: list[int]) -> dict[str, Any]:
        """As it answers, by message id; after some attempts."""
        question = {"contractor_id": contractor_id, "channel_id": channel_id, "message_ids": message_ids}
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, Refusal) and error.again),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(self.stopped),
            wait=self._pause,
            sleep=tenacity.sleep_using_event(self.stopped),
            reraise=True,
        )
        return retrying(self._ask, json.dumps(question).encode())

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Refusal) and error.after is not None:
            return min(error.after, MOST_PATIENCE)
        return tenacity.wait_exponential_jitter(multiplier=self.pause, max=20, jitter=self.pause)(state)

    @cached_property
    def _server(self) -> Server:
        return Server(self.url, timeout=self.timeout)

    def _ask(self, body: bytes) -> dict[str, Any]:
        try:
            answer = self._server.post("/rooms/get_views", body)
        except NoAnswer as error:
            raise Refusal(str(error), again=True, away=True) from error
        except LongAnswer as error:
            raise Refusal(str(error)) from error
        if answer.status != 200:
            raise Refusal(
                f"it answered {answer.status}",
                again=answer.status == 429 or answer.status >= 500,
                away=answer.status in AWAY,
                after=seconds(answer.headers.get("Retry-After")),
            )
        return answered(answer.content)


def seconds(retry_after: str | None) -> float | None:
    """Of the header; as a date it is not waited for."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None


def answered(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise Refusal("its answer is no JSON") from None
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise Refusal(f"it refused: {answer!r:.200}")
    if not isinstance(answer.get("views"), dict):
        raise Refusal("its answer has no views")
    return answer["views"]


def sorted_out(views: dict[str, Any], *, asked: list[int]) -> tuple[dict[int, int], list[str]]:
    """The totals that it has for what was asked, and what is wrong with the rest."""
    by_name = {str(message): message for message in asked}
    totals, wrong, unasked = {}, [], []
    for name, value in views.items():
        if name not in by_name:
            unasked.append(name)
        elif type(value) is int and 0 <= value <= MOST_VIEWS:
            totals[by_name[name]] = value
        else:
            wrong.append(f"message {name} has {value!r:.60} views")
    if unasked:
        wrong.append(f"it told of {len(unasked)} messages that it was not asked for, first {unasked[0]!r:.60}")
    return totals, wrong
