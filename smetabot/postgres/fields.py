import json
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


class AnyJSON(json.JSONDecoder):
    """What Python cannot read of that which jsonb stores, such as numbers of 5,000 digits, stays text: one such row
    must not take the whole list away."""

    def decode(self, text: str, *args: Any) -> Any:
        try:
            return super().decode(text, *args)
        except (ValueError, RecursionError):
            return text
