import json
import math
from typing import Any

from django.db import models


class TransactionNow(models.Func):
    """`now()` as a column default: one moment for all rows of a transaction, as the bot's own SQL has it.

    Django's `Now()` is the statement's moment, which would set a subscription and its history row apart.
    """

    function = "now"
    output_field = models.DateTimeField()


class LongNameIndex(models.Index):
    """An index under a name that another program chose: PostgreSQL takes 63 characters, Django stops at 30."""

    max_name_length = 63


# A page writes JSON by a function that calls itself for each level.
DEEPEST = 100


class AnyJSON(json.JSONDecoder):
    """What Python cannot read, or write again, of that which jsonb stores, such as numbers of 5,000 digits, 1e400 and
    a thousand lists in each other, stays text: one such row must not take the whole list away."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"parse_float": finite, **how})

    def decode(self, text: str, *args: Any) -> Any:
        try:
            value = super().decode(text, *args)
        except (ValueError, RecursionError):
            return text
        return text if is_deep(value) else value


def finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError("more than a float holds")
    return number


def is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


class AnyJSONField(models.JSONField):
    """A column of others, in which they write what they like. How we read it is nothing to the database: migrations
    know a JSONField."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **{"decoder": AnyJSON, **how})

    def deconstruct(self) -> Any:
        name, _path, args, how = super().deconstruct()
        del how["decoder"]
        return name, "django.db.models.JSONField", args, how
