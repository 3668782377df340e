"""Acts that are more than a change of a row's columns: a page that says what will happen and asks why, and one that
tells what came of it."""

from collections.abc import Callable

from django import forms
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from adminlog.columns import page_of


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget, help_text="The journal keeps it.")


def ask(
    model_admin: ModelAdmin, request: HttpRequest, row: Model, *, title: str, warning: str, do: Callable[[str], object]
) -> HttpResponse:
    """`do` is given the reason, and what it returns is told."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        return tell(model_admin, request, row, title=title, outcome=do(form.cleaned_data["reason"]))
    return page(model_admin, request, row, title=title, warning=warning, form=form)


def tell(model_admin: ModelAdmin, request: HttpRequest, row: Model, *, title: str, outcome: object) -> HttpResponse:
    """Answers the POST itself: a message for after a redirect would lie in a cookie, which a password must not."""
    return page(model_admin, request, row, title=title, outcome=outcome)


def page(model_admin: ModelAdmin, request: HttpRequest, row: Model, **context: object) -> HttpResponse:
    context |= model_admin.admin_site.each_context(request) | {"opts": model_admin.opts, "original": row}
    return TemplateResponse(request, "adminlog/act.html", context | {"row_url": page_of(row), "subtitle": str(row)})
