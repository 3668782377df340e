import datetime as dt
from dataclasses import dataclass

from billing.models import Plan
from smetabot.demo.chance import Chance
from smetabot.demo.words import Words


@dataclass(frozen=True)
class World:
    """What everything is drawn from: one seed and one moment give one world."""

    chance: Chance
    words: Words
    plans: dict[str, Plan]
    now: dt.datetime
