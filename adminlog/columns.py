"""Columns of lists and pages: coloured labels, links to parents, values along a relation."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.utils import display_for_value

from adminlog.formats import amount

EMPTY = "-"
Column = Callable[[Any], Any]
# Text, or what is translated only when it is read.
Words = Any


def column(
    path: str,
    title: Words | None = None,
    *,
    show: Callable[[Any], Any] = lambda value: value,
    empty: Words = EMPTY,
    ordering: str | None = None,
) -> Column:
    """A column of what `show` makes of the value at the end of a path such as channel__contractor."""

    def cell(row: Model) -> Any:
        value = at_end(row, path)
        return display_for_value(None if value in (None, "") else show(value), str(empty))

    return named(cell, path, title, ordering)


def named(cell: Column, path: str, title: Words | None, ordering: str | None = None) -> Column:
    cell.__name__ = path
    # The words that its field bears as verbose_name, where it is one.
    return admin.display(cell, description=title or _(path.rpartition("__")[2].replace("_", " ")), ordering=ordering)


def at_end(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name, None)
    return row


def number(path: str, title: Words | None = None, *, empty: Words = EMPTY) -> Column:
    """How much or how many; an id is none."""
    return column(path, title, show=amount, empty=empty, ordering=path)


def link(path: str, title: Words | None = None) -> Column:
    """A parent, as a link to its page. The list names the path in list_select_related."""
    return column(path, title, show=linked)


def linked(row: Model) -> str:
    return format_html('<a href="{}" class="text-link">{}</a>', page_of(row), row)


def page_of(row: Model) -> str:
    return page_at(type(row), row.pk)


def page_at(model: type[Model], key: Any) -> str:
    """NoReverseMatch where the table has no pages."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def label(path: str, title: Words | None = None, **colours: str) -> Column:
    """A choice, or yes and no, as a label in one of the theme's colours: success, info, warning, danger, else grey."""
    parents, _separator, name = path.rpartition("__")

    def cell(row: Model) -> Any:
        owner = at_end(row, parents) if parents else row
        value = getattr(owner, name, None)
        if value in (None, ""):
            return EMPTY
        if isinstance(value, bool):
            return coloured(yes_or_no(value), colours.get("yes" if value else "no"))
        return coloured(chosen(owner, name), colours.get(str(value)))

    return named(cell, path, title)


def chosen(row: Any, name: str) -> str:
    """What a choice is called; what stands there, where it is none."""
    display = getattr(row, f"get_{name}_display", None)
    return str(display() if display else getattr(row, name))


def yes_or_no(value: bool) -> str:
    return gettext("yes") if value else gettext("no")


def coloured(text: Words, colour: str | None = None) -> str:
    return _coloured(str(text), colour)


# A template makes it, and a page has many of few. By type: what is safe is not what has to be escaped.
@lru_cache(maxsize=1000, typed=True)
def _coloured(text: str, colour: str | None) -> str:
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})


def as_json(path: str, title: Words | None = None) -> Column:
    """JSON as a person reads it: indented, and in the letters that it was written in."""
    return column(path, title, show=lambda value: preformatted(json.dumps(value, ensure_ascii=False, indent=2)))


def preformatted(text: str) -> str:
    return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text)
