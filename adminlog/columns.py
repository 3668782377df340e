"""Columns of lists and pages: coloured labels, links to parents, values along a relation."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.utils import display_for_value

EMPTY = "-"
Column = Callable[[Any], Any]


def column(
    path: str, title: str | None = None, *, show: Callable[[Any], Any] = lambda value: value, empty: str = EMPTY
) -> Column:
    """A column of what `show` makes of the value at the end of a path such as channel__contractor."""

    def cell(row: Model) -> Any:
        value: Any = row
        for name in path.split("__"):
            value = getattr(value, name, None)
        return display_for_value(None if value in (None, "") else show(value), empty)

    cell.__name__ = path
    return admin.display(cell, description=title or path.rpartition("__")[2].replace("_", " "))


def link(path: str, title: str | None = None) -> Column:
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


def label(path: str, title: str | None = None, **colours: str) -> Column:
    """A choice, or yes and no, as a label in one of the theme's colours: success, info, warning, danger, else grey."""

    def show(value: Any) -> str:
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        return coloured(text, colours.get(text))

    return column(path, title, show=show)


def coloured(text: str, colour: str | None = None) -> str:
    return render_to_string("unfold/helpers/label.html", {"text": text.replace("_", " "), "type": colour})


def as_json(path: str, title: str | None = None) -> Column:
    """JSON as a person reads it: indented, and in the letters that it was written in."""
    return column(path, title, show=lambda value: preformatted(json.dumps(value, ensure_ascii=False, indent=2)))


def preformatted(text: str) -> str:
    return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text)
