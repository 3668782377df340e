"""Numbers and moments as the reader's language and clock have them. An id is no number: it is written as it is."""

import datetime as dt
from decimal import Decimal

from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime


def amount(number: int | Decimal) -> str:
    return number_format(number, force_grouping=True)


def day(moment: dt.datetime) -> str:
    return date_format(localtime(moment), "DATE_FORMAT")


def time(moment: dt.datetime) -> str:
    return date_format(localtime(moment), "DATETIME_FORMAT")
