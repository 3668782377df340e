import datetime as dt
import random
import string

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

TOKEN_LETTERS = string.ascii_letters + string.digits


class Chance(random.Random):
    """All that is random in the demo data, so that one seed gives one world."""

    def between(self, start: dt.datetime, end: dt.datetime) -> dt.datetime:
        """A moment strictly inside, so that cause and effect keep their order."""
        return start + (end - start) * self.uniform(0.01, 0.99)

    def days(self, least: float, most: float) -> dt.timedelta:
        return DAY * self.uniform(least, most)

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def token(self, length: int) -> str:
        return "".join(self.choices(TOKEN_LETTERS, k=length))
